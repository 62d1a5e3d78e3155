"""Scanners drawn at random for training, and what they make of fine images, on tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ctloupe.scanner.tensor_operator import TensorOperator, coloured, noise_amplitude

_REACH = 5
"""Clinical voxels at which the point spread of a drawn scanner ends."""


_SHARPENED = 1.0
"""Standard deviation in clinical voxels of the Gaussian whose output a sharp kernel takes off."""

_ALIKE = 0.25
"""Frequency in cycles a voxel at which a sharpened point spread and the Gaussian that it is told as transfer alike."""


@dataclass(frozen=True)
class DrawnScanners:
    """In-plane blur and noise of one scanner for each image of a batch; units as in `ScannerEstimate`.

    Attributes
    ----------
    blur, noise, rise, roll_off : (n,)
    overshoot : (n,), or None
        How much of what a Gaussian of one voxel takes from the blurred image is added to it, as sharp kernels do: edges
        then overshoot. 0, or None: nothing.
    """

    blur: Tensor
    noise: Tensor
    rise: Tensor
    roll_off: Tensor
    overshoot: Tensor | None = None

    def numbers(self) -> Tensor:
        """Return them as ``(n, 4)``, as they would be estimated: the blur is that of the Gaussian that is alike."""
        blur = self.blur
        if self.overshoot is not None:
            kept = 1 - math.exp(-2 * (math.pi * _SHARPENED * _ALIKE) ** 2)
            sharper = torch.log1p(self.overshoot * kept) / (2 * (math.pi * _ALIKE) ** 2)
            blur = (blur.square() - sharper).clamp_min(0).sqrt()
        return torch.stack([blur, self.noise, self.rise, self.roll_off], 1)

    def scanned(self, fine: Tensor, scale: int) -> Tensor:
        """Scan images ``(n, 1, s·h, s·w)`` in [−1, 1], each with its own scanner and noise, to ``(n, 1, h, w)``."""
        reach = min(_REACH * scale, fine.shape[-1] - 1)
        operator = TensorOperator((scale, scale), self.blur.view(-1, 1).expand(-1, 2), radius=reach)
        low = operator.forward(fine)
        if self.overshoot is not None:
            smooth = TensorOperator((1, 1), torch.full((len(low), 2), _SHARPENED, device=low.device)).forward(low)
            low = low + self.overshoot.view(-1, 1, 1, 1) * (low - smooth)
        amplitude = noise_amplitude(self.rise, self.roll_off, *low.shape[-2:])
        noise = coloured(torch.randn_like(low), amplitude) * self.noise.view(-1, 1, 1, 1)
        return (low + noise).clamp(-1, 1)


@dataclass(frozen=True)
class ScannerRange:
    """What scanners are drawn from: uniformly, each number for itself.

    Attributes
    ----------
    blur, noise, rise, roll_off
        Lowest and highest value.
    """

    blur: tuple[float, float]
    noise: tuple[float, float]
    rise: tuple[float, float] = (0.0, 1.0)
    roll_off: tuple[float, float] = (0.2, 1.0)

    def draw(self, count: int, like: Tensor) -> DrawnScanners:
        """Draw `count` scanners on the device of `like`."""

        def between(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, device=like.device)

        return DrawnScanners(*(between(*one) for one in (self.blur, self.noise, self.rise, self.roll_off)))


def near(numbers: Tensor, spread: Tensor, count: int) -> DrawnScanners:
    """Draw scanners around known ones.

    Parameters
    ----------
    numbers : (4,)
        Blur, noise, rise and roll-off.
    spread : (4,)
        Relative half-width of the uniform distribution of each.
    count
        How many.
    """
    around = 2 * torch.rand(count, 4, device=numbers.device) - 1
    found = numbers * (1 + spread * around)
    return DrawnScanners(*found.unbind(1))
