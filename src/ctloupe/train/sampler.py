"""Unpaired patches for each step, straight from banks that live on the training device."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ctloupe.foundation.errors import OptionError
from ctloupe.methods.base import Batch


@dataclass(frozen=True)
class DeviceBank:
    """Patches, on the training device where they fit, and the map from stored integers to [−1, 1].

    Attributes
    ----------
    patches : int16 (n, p, p)
        Patches as stored.
    gain, offset
        Line from stored integers to [−1, 1]: ``unit = clip(gain * stored + offset)``.
    device
        Device that batches go to.
    slice_averages : int16 (n, p, p), optional
        Patches of the same places averaged over the thickness of a clinical slice.
    neighbours : int16 (n, 2, p, p), optional
        What lies below and above.
    slice_spacings : float32 (n,), optional
        Distance of the neighbours in mm.
    """

    patches: Tensor
    gain: float
    offset: float
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    slice_averages: Tensor | None = None
    neighbours: Tensor | None = None
    slice_spacings: Tensor | None = None

    def unit(self, index: Tensor, size: int, corner: Tensor, source: Tensor | None = None) -> Tensor:
        """Return patches `index`, cut to `size` at `corner` ``(n, 2)``, as ``(n, c, size, size)`` in [−1, 1].

        `source` is what they are taken from: `patches`, unless another array of the bank is given; c is 2 for its
        `neighbours`, and else 1.
        """
        source = self.patches if source is None else source
        chosen = source[index.to(source.device)]
        if self.patches.shape[-1] != size:
            cut = [
                patch[..., y : y + size, x : x + size] for patch, (y, x) in zip(chosen, corner.tolist(), strict=True)
            ]
            chosen = torch.stack(cut)
        chosen = chosen if chosen.ndim == 4 else chosen.unsqueeze(1)
        return (chosen.to(self.device).float() * self.gain + self.offset).clamp_(-1, 1)


@dataclass
class UnpairedSampler:
    """Which patches each step sees: a function of seed and step alone, so that resuming needs no state.

    Each bank is gone through in a new random order every pass. All ranks draw the same global batch and take
    their own share of it.

    Parameters
    ----------
    clinical, micro
        Banks of the two modalities.
    patch_size, scale
        Sides of the patches are `patch_size` and ``scale * patch_size``; larger stored patches are cut at random.
    batch_size
        Number of pairs in a step, over all ranks together.
    seed
        Seed of orders, cuts and flips.
    flips
        Whether patches are flipped and transposed at random.
    """

    clinical: DeviceBank
    micro: DeviceBank
    patch_size: int
    scale: int
    batch_size: int
    seed: int
    flips: bool = False
    _orders: dict[tuple[int, int], Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, bank, size in (
            ("clinical", self.clinical, self.patch_size),
            ("micro", self.micro, self.patch_size * self.scale),
        ):
            if bank.patches.shape[-1] < size:
                raise OptionError(
                    f"{name} bank has patches of {bank.patches.shape[-1]} pixels, the method needs {size}; "
                    f"run 'ctloupe prepare' with `patch_size` {self.patch_size} `scale` {self.scale}"
                )

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps that show every patch of the larger bank once."""
        return max(1, max(len(self.clinical.patches), len(self.micro.patches)) // self.batch_size)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """Return the share of `rank` in the batch of `step`."""
        share = self.batch_size // world
        mine = slice(rank * share, (rank + 1) * share)
        random = torch.Generator().manual_seed(_mix(self.seed, step, 7))
        found: list[dict[str, Tensor]] = []
        for which, (bank, size) in enumerate(
            ((self.clinical, self.patch_size), (self.micro, self.patch_size * self.scale))
        ):
            room = bank.patches.shape[-1] - size + 1
            corner = torch.randint(room, (self.batch_size, 2), generator=random)[mine]
            turns = torch.randint(8, (self.batch_size,), generator=random)[mine]
            index = self._indices(which, len(bank.patches), step)[mine]
            found.append(self._images(bank, index, size, corner, turns.tolist()))
        clinical, micro = found
        return Batch(
            clinical["patches"],
            micro["patches"],
            step * self.batch_size + rank * share,
            micro.get("slice_averages"),
            clinical.get("neighbours"),
            micro.get("neighbours"),
            micro.get("spacings"),
        )

    def _images(
        self, bank: DeviceBank, index: Tensor, size: int, corner: Tensor, turns: list[int]
    ) -> dict[str, Tensor]:
        """All that the bank keeps of the patches `index`, cut and turned alike."""
        sources = {"patches": bank.patches, "slice_averages": bank.slice_averages, "neighbours": bank.neighbours}
        made = {name: bank.unit(index, size, corner, source) for name, source in sources.items() if source is not None}
        if self.flips:
            made = {name: _flipped(image, turns) for name, image in made.items()}
        if bank.slice_spacings is not None:
            made["spacings"] = bank.slice_spacings[index].to(bank.device)
        return made

    def _indices(self, which: int, count: int, step: int) -> Tensor:
        at = torch.arange(step * self.batch_size, (step + 1) * self.batch_size)
        passes = at // count
        chosen = [self._order(which, count, int(number)) for number in passes.unique()]
        return torch.cat(
            [order[at[passes == number] % count] for number, order in zip(passes.unique(), chosen, strict=True)]
        )

    def _order(self, which: int, count: int, number: int) -> Tensor:
        if (which, number) not in self._orders:
            random = torch.Generator().manual_seed(_mix(self.seed, number, which))
            for old in [key for key in self._orders if key[0] == which and key[1] < number - 1]:
                del self._orders[old]
            self._orders[which, number] = torch.randperm(count, generator=random)
        return self._orders[which, number]


def _mix(*numbers: int) -> int:
    value = 0x9E3779B97F4A7C15
    for number in numbers:
        value = ((value ^ number) * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**63
    return value


def _flipped(images: Tensor, turns: list[int]) -> Tensor:
    out = torch.empty_like(images)
    for index, turn in enumerate(turns):
        image = images[index]
        if turn & 1:
            image = image.flip(-1)
        if turn & 2:
            image = image.flip(-2)
        out[index] = image.transpose(-1, -2) if turn & 4 else image
    return out
