"""A network that predicts a fine image from a scan, a noisy guess, the time of the flow, and the scanner."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.networks.blocks import Activation, convolution, full_precision

SCANNER_NUMBERS: Final = ("blur", "noise", "rise", "roll_off")
"""What the network is told of a scanner, in the units of `ctloupe.scanner.estimate.ScannerEstimate`."""

_NOISE_UNIT: Final = 0.1
"""Noise, in units of [−1, 1], that is brought to about 1."""

_SPACING_UNIT: Final = 2.0
"""Distance of slices in mm that is brought to 1."""

_WAVES: Final = 4
"""Sines and cosines that the time is given as."""


@torch.no_grad()
def _start_small(layer: nn.Conv2d) -> None:
    """Let a fresh layer add little, so that depth costs nothing at the start."""
    layer.weight.mul_(0.1)
    if layer.bias is not None:
        layer.bias.zero_()


class ConditionedBlock(nn.Module):
    """3×3, gain and offset by the condition, PReLU, 3×3, plus the input.

    Parameters
    ----------
    channels
        Width of input and output.
    condition
        Length of the condition.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels, 3)
        self.affine = nn.Linear(condition, 2 * channels)
        self.activation = Activation()
        self.second = convolution(channels, channels, 3)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)
        _start_small(self.second)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape; `condition` is ``(n, k)``."""
        hidden = self.first(features)
        gain, offset = self.affine(condition)[:, :, None, None].to(hidden.dtype).chunk(2, 1)
        return features + self.second(self.activation(hidden + hidden * gain + offset))


class FlowNetwork(nn.Module):
    """Predicts what is to be added to the bicubic enlargement of a scan.

    The guess is taken apart into the grid of twice the scan's resolution, refined there, taken to the scan's grid,
    joined by the scan, and brought back; most of the work is done on the scan's grid (pixel-unshuffled flow, CAFlow,
    arXiv:2603.18513). At time 0 the guess is ignored, so that the prediction is one of the scan alone: the posterior
    mean (posterior-mean rectified flow, arXiv:2410.00418).

    Parameters
    ----------
    scale
        In-plane enlargement s: 2, 4, 8 or 16.
    width, blocks
        Feature maps and residual blocks on the scan's grid.
    fine_width, fine_blocks
        Feature maps and residual blocks on the grid of twice its resolution.
    condition
        Length of what time and scanner are turned into.
    neighbours
        Whether the scan comes with its neighbouring slices as channels 1 and 2, and their distance in mm as a fifth
        number of the scanner.
    """

    waves: Tensor
    units: Tensor

    def __init__(
        self,
        scale: int,
        width: int = 96,
        blocks: int = 6,
        fine_width: int = 32,
        fine_blocks: int = 2,
        condition: int = 64,
        neighbours: bool = False,
    ) -> None:
        super().__init__()
        self.scale, self.step, self.neighbours = scale, scale // 2, neighbours
        numbers = 1 + 2 * _WAVES + len(SCANNER_NUMBERS) + neighbours
        # Buffers, so that an exported network takes them to whatever device it runs on; no state of the network.
        units = [1.0, 1 / _NOISE_UNIT, 1.0, 1.0, 1 / _SPACING_UNIT]
        # Not `torch.arange`, which imports PyTorch's compiler where there is no storage: that takes seconds.
        self.register_buffer("waves", torch.tensor([1.0 + wave for wave in range(_WAVES)]), persistent=False)
        self.register_buffer("units", torch.tensor(units[: len(SCANNER_NUMBERS) + neighbours]), persistent=False)
        self.conditioning = nn.Sequential(
            nn.Linear(numbers, condition), nn.SiLU(), nn.Linear(condition, condition), nn.SiLU()
        )
        self.entrance = convolution(self.step**2, fine_width, 3)
        self.entering = ConditionedBlock(fine_width, condition)
        self.down = convolution(4 * fine_width, width, 1)
        self.head = convolution(3 if neighbours else 1, width, 5)
        self.trunk = nn.ModuleList(ConditionedBlock(width, condition) for _ in range(blocks))
        self.up = convolution(width, 4 * fine_width, 3)
        self.leaving = nn.ModuleList(ConditionedBlock(fine_width, condition) for _ in range(fine_blocks))
        self.exit = convolution(fine_width, self.step**2, 3)
        _start_small(self.exit)
        self.painting = nn.PixelShuffle(self.step)

    def inner_weights(self) -> list[nn.Parameter]:
        """Return the weights of the convolutions that lead from features to features."""
        blocks = (self.entering, *self.trunk, *self.leaving)
        between = [self.down, self.up, *(layer for block in blocks for layer in (block.first, block.second))]
        return [layer.weight for layer in between]

    def leave_guesses(self) -> None:
        """Leave what only a guess is seen by as it is, for a training at time 0 alone."""
        for module in (self.entrance, self.entering, self.down):
            module.requires_grad_(False)

    def forward(self, scan: Tensor, guess: Tensor | None, time: Tensor, scanner: Tensor) -> Tensor:
        """Return the predicted difference to the bicubic enlargement.

        Parameters
        ----------
        scan : (n, 1, h, w) in [−1, 1], or (n, 3, h, w) with neighbours
        guess : (n, 1, s·h, s·w)
            Guess of that difference, noisy before time 1; None: all times are 0, where it is ignored.
        time : (n,)
            Times in [0, 1].
        scanner : (n, 4), or (n, 5) with neighbours
            See `SCANNER_NUMBERS`.

        Returns
        -------
        Tensor of shape (n, 1, s·h, s·w)
        """
        condition = self.condition(time, scanner)
        if guess is None:
            return self.left(self.coarse(scan, condition), condition)
        entered = self.entered(guess, condition) * (time > 0).to(guess.dtype).view(-1, 1, 1, 1)
        return self.left(self.coarse(scan, condition, entered), condition, entered)

    def condition(self, time: Tensor, scanner: Tensor) -> Tensor:
        """Turn times ``(n,)`` and scanners, as in `forward`, into conditions ``(n, k)``."""
        at = time[:, None]
        angle = at * torch.pi * self.waves.to(at.dtype)
        scaled = scanner * self.units.to(scanner.dtype)
        found: Tensor = self.conditioning(torch.cat([at, angle.sin(), angle.cos(), scaled], 1))
        return found

    def entered(self, guess: Tensor, condition: Tensor) -> Tensor:
        """Refine a guess on the grid of twice the scan's resolution, ``(n, fine_width, 2h, 2w)``."""
        found: Tensor = self.entering(self.entrance(F.pixel_unshuffle(guess, self.step)), condition)
        return found

    def coarse(self, scan: Tensor, condition: Tensor, entered: Tensor | None = None) -> Tensor:
        """Return features ``(n, width, h, w)`` on the scan's grid; without `entered`, those of time 0."""
        features: Tensor = self.head(scan)
        if entered is not None:
            features = features + self.down(F.pixel_unshuffle(entered, 2))
        for block in self.trunk:
            features = block(features, condition)
        return features

    def left(self, features: Tensor, condition: Tensor, entered: Tensor | None = None) -> Tensor:
        """Bring features to the fine grid: the prediction ``(n, 1, s·h, s·w)``."""
        return self.painted(self.fine(features, condition, entered))

    def fine(self, features: Tensor, condition: Tensor, entered: Tensor | None = None) -> Tensor:
        """Return features ``(n, fine_width, 2h, 2w)`` on the grid of twice the scan's resolution."""
        fine: Tensor = F.pixel_shuffle(self.up(features), 2)
        if entered is not None:
            fine = fine + entered
        for block in self.leaving:
            fine = block(fine, condition)
        return fine

    def painted(self, fine: Tensor) -> Tensor:
        """Return the prediction that is made of those features."""
        return full_precision(self.painting(self.exit(fine)))
