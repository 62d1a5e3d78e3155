"""A trained flow with the scanner that it is to undo: the posterior mean in one evaluation, samples in several."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.flow.deviation import LEVELS, DeviationHead
from ctloupe.networks.flow.network import SCANNER_NUMBERS, FlowNetwork
from ctloupe.networks.flow.texture import TextureHead
from ctloupe.networks.neighbours import slice_alone, with_neighbours
from ctloupe.networks.split import SplitNetwork
from ctloupe.scanner.anatomy import BLURS, NOISES, AnatomySpectra
from ctloupe.scanner.tile_power import COEFFICIENTS


class FlowEnhancer(SplitNetwork):
    """As an enhancer it gives the posterior mean; `advanced` takes a step of the flow that ends in a sample.

    Parameters
    ----------
    flow
        The network.
    patch_size
        Side of the clinical patches whose spectra tell the scanner.
    spread
        Standard deviation of the noise that a sample begins with, in units of [−1, 1].
    head
        What tells the standard deviation of the mean's errors; None: nothing does.
    texture
        What draws the difference of a sample to the mean; None: samples are steps of the flow.

    Notes
    -----
    Where the network looks at neighbouring slices, images have them as channels 1 and 2; an image of one channel
    stands for its neighbours.
    """

    scanner: Tensor
    anatomy: Tensor
    smoothness: Tensor
    prior: Tensor
    thin_plane: Tensor
    slice_spacing: Tensor
    slice_spacings: Tensor

    def __init__(
        self,
        flow: FlowNetwork,
        patch_size: int,
        spread: float,
        head: DeviationHead | None = None,
        texture: TextureHead | None = None,
    ) -> None:
        super().__init__()
        self.flow, self.spread, self.head, self.texture = flow, spread, head, texture
        self.register_buffer("scanner", torch.tensor([0.4, 0.02, 1.0, 0.3]))
        self.register_buffer("anatomy", torch.zeros(len(BLURS), patch_size // 2 - 1, dtype=torch.float64))
        self.register_buffer("smoothness", torch.zeros(len(BLURS), len(NOISES), dtype=torch.float64))
        self.register_buffer("thin_plane", torch.zeros(len(BLURS), len(COEFFICIENTS), dtype=torch.float64))
        if head is not None:
            # Spread of the µCT by the scan's value; see `spread_by_value`.
            self.register_buffer("prior", torch.ones(LEVELS))
        if flow.neighbours:
            # Of the scan, and the smallest and largest of the training, in mm.
            self.register_buffer("slice_spacing", torch.ones(()))
            self.register_buffer("slice_spacings", torch.ones(2))

    @property
    def neighbours(self) -> bool:
        """Whether it looks at the slices below and above."""
        return self.flow.neighbours

    @property
    def scale(self) -> int:
        """In-plane enlargement."""
        return self.flow.scale

    def spectra(self) -> AnatomySpectra | None:
        """Spectra of the µCT that it was trained on; None before a training."""
        if not bool(self.anatomy.any()):
            return None
        smooth = self.smoothness.cpu().numpy() if bool(self.smoothness.any()) else None
        return AnatomySpectra(self.anatomy.cpu().numpy(), smooth)

    def set_spectra(self, spectra: AnatomySpectra) -> None:
        """Keep the spectra of the µCT that it is trained on."""
        self.anatomy.copy_(torch.from_numpy(spectra.power))
        if spectra.smooth is not None:
            self.smoothness.copy_(torch.from_numpy(spectra.smooth))

    def thin_plane_power(self, blur: float) -> NDArray[np.float64] | None:
        """Power by which a plane differs from its slice for a scanner of this blur; None where it is not known.

        See `ctloupe.scanner.thin_plane.thin_plane_power`; in squared units of [−1, 1] of the scan.
        """
        if not bool(self.thin_plane.any()):
            return None
        rows = self.thin_plane.cpu().numpy().T
        return np.array([np.interp(blur, BLURS, row) for row in rows])

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Packages and checkpoints of before know neither how a plane differs from its slice nor how smooth µCT is.
        for name in ("thin_plane", "smoothness"):
            state.setdefault(prefix + name, torch.zeros_like(self.get_buffer(name)))
        super()._load_from_state_dict(state, prefix, *rest)

    def with_scanner(self, numbers: dict[str, float]) -> FlowEnhancer:
        """Return a copy that undoes another scanner, given by `SCANNER_NUMBERS`."""
        made = copy.deepcopy(self)
        made.scanner.copy_(torch.tensor([numbers[name] for name in SCANNER_NUMBERS]))
        return made

    def with_slice_spacing(self, spacing: float) -> FlowEnhancer:
        """Return a copy for a scan whose slices are so many mm apart; itself where it looks at one slice only."""
        if not self.neighbours:
            return self
        made = copy.deepcopy(self)
        made.slice_spacing.fill_(spacing)
        return made

    def coarse_features(self, image: Tensor) -> Tensor:
        """Return the features ``(n, width, h, w)`` that the posterior mean is rendered from."""
        return self.flow.coarse(with_neighbours(image, self.neighbours), self._condition(0.0))

    def render(self, features: Tensor, image: Tensor) -> Tensor:
        """Return the posterior mean ``(n, 1, s·h, s·w)`` in [−1, 1]."""
        made = enlarge_bicubic(slice_alone(image), self.scale) + self.flow.left(features, self._condition(0.0))
        return made.clamp(-1, 1)

    def beginning(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the mean is painted from, and the mean where nothing limits it: what its samples share."""
        condition = self._condition(0.0)
        fine = self.flow.fine(self.coarse_features(image), condition)
        return fine, enlarge_bicubic(slice_alone(image), self.scale) + self.flow.painted(fine)

    def textured(self, fine: Tensor, mean: Tensor, noise: Tensor) -> Tensor:
        """Draw a sample ``(n, 1, s·h, s·w)`` in [−1, 1] from what `beginning` returns and standard normal noise.

        The noise has the shape of the mean.
        """
        if self.texture is None:
            raise ValueError("this flow has no texture; its samples are steps")
        return (mean + self.texture(fine, noise)).clamp(-1, 1)

    def advanced(self, image: Tensor, guess: Tensor, time: float, until: float) -> Tensor:
        """Take one Euler step of the flow.

        Parameters
        ----------
        image : (n, 1, h, w) in [−1, 1], or (n, 3, h, w) with neighbours
            The scan.
        guess : (n, s², h, w)
            Difference to the bicubic enlargement at `time`, with the fine pixels of a scan voxel as channels
            (`torch.nn.functional.pixel_unshuffle`).
        time, until
            Times in [0, 1]. At 0 the guess is noise of deviation `spread`, at 1 it is a sample.

        Returns
        -------
        Tensor of the shape of `guess`
        """
        end = self.begun(image) if time == 0 else self._ended(image, F.pixel_shuffle(guess, self.scale), time)
        return torch.lerp(guess, end, (until - time) / (1 - time))

    def begun(self, image: Tensor) -> Tensor:
        """Return where a step from time 0 heads, whatever the guess, in the shape of the guess of `advanced`."""
        return F.pixel_unshuffle(self.flow.left(self.coarse_features(image), self._condition(0.0)), self.scale)

    def _ended(self, image: Tensor, fine: Tensor, time: float) -> Tensor:
        condition = self._condition(time)
        entered = self.flow.entered(fine, condition)
        features = self.flow.coarse(with_neighbours(image, self.neighbours), condition, entered)
        return F.pixel_unshuffle(self.flow.left(features, condition, entered), self.scale)

    def told(self) -> Tensor:
        """What the network is told of the scanner, ``(4,)``; ``(5,)`` with neighbours."""
        return torch.cat([self.scanner, self.slice_spacing[None]]) if self.neighbours else self.scanner

    def _condition(self, time: float) -> Tensor:
        return self.flow.condition(torch.zeros_like(self.scanner[:1]) + time, self.told()[None])
