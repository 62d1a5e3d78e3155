"""Scanners as linear operators on tensors, one for each image of a batch, with their adjoints; differentiable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.scanner.noise import LOWEST, plane_frequency
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.point_spread import HALF, TRUNCATION
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.geometry import Triple

_NARROWEST = 1e-3
"""Standard deviation in pixels below which a Gaussian is a point."""


def block_mean(image: Tensor, scale: int | tuple[int, int]) -> Tensor:
    """Average blocks: f↓ of JMI 2022, Eq. 4, from ``(n, c, s·h, s·w)`` to ``(n, c, h, w)``."""
    return F.avg_pool2d(image, scale)


def gaussian_taps(sigma: Tensor, radius: int | None = None) -> Tensor:
    """Return one sampled Gaussian a row, each of sum 1.

    Parameters
    ----------
    sigma : (n,)
        Standard deviations in pixels.
    radius
        Pixels on either side of the middle; by default each ends at three of its own standard deviations, rounded.

    Returns
    -------
    Tensor of shape (n, 2·radius + 1)
    """
    wide = sigma.reshape(-1, 1)
    own = (TRUNCATION * wide.detach() + HALF).floor()
    reach = int(own.max()) if radius is None else radius
    at = torch.arange(-reach, reach + 1, device=sigma.device, dtype=sigma.dtype)
    taps = torch.exp(-0.5 * (at / wide.clamp_min(_NARROWEST)).square())
    if radius is None:
        taps = taps * (at.abs() <= own)
    return taps / taps.sum(1, keepdim=True)


@dataclass(frozen=True)
class TensorOperator:
    """The linear parts A of the scanners of a batch: slice profile, point spread, average over voxels.

    Values of the fine image beyond its border are taken to be those at the border, as in `ScannerOperator`.

    Attributes
    ----------
    factors : (y, x)
        Fine pixels a clinical pixel.
    blur : (n, 2)
        Standard deviation of the Gaussian point spread of each scanner along y and x, in clinical pixels.
    weights : (n, z, s·z), optional
        Weight of every fine slice in every clinical one, rows of sum 1; None where both have the same slices.
    radius
        Fine pixels at which all point spreads end; by default each ends at three of its standard deviations.
    """

    factors: tuple[int, int]
    blur: Tensor
    weights: Tensor | None = None
    radius: int | None = None

    @classmethod
    def of(
        cls,
        scanners: Sequence[Scanner],
        spacing: Triple,
        depth: int,
        *,
        radius: int | None = None,
        like: Tensor | None = None,
    ) -> TensorOperator:
        """Return the operators of `scanners` that share the size of their voxels.

        Parameters
        ----------
        scanners
            One for each image of a batch.
        spacing : (z, y, x) in mm
            Voxels of the fine grid.
        depth
            Number of fine slices.
        radius
            Fine pixels at which all point spreads end; by default each ends at three of its standard deviations.
        like
            Tensor whose device and type the operator is to have; by default float32 on the CPU.

        Raises
        ------
        GeometryError
            If their voxels are not whole multiples of those of the fine grid.
        ValueError
            If their voxels differ.
        """
        if len({one.voxel for one in scanners}) != 1:
            raise ValueError("the scanners of a batch must share the size of their voxels")
        operators = [ScannerOperator(one, spacing, radius) for one in scanners]
        rows = np.stack([one.weights(depth) for one in operators])
        rows /= rows.sum(2, keepdims=True)
        model = torch.zeros(0) if like is None else like
        blur = [[one.blur / one.voxel[1], one.blur / one.voxel[2]] for one in scanners]
        return cls(
            operators[0].factors[1:],
            torch.tensor(blur, device=model.device, dtype=model.dtype),
            torch.tensor(rows, device=model.device, dtype=model.dtype),
            radius,
        )

    def forward(self, fine: Tensor) -> Tensor:
        """Apply A to each image of a batch, ``(n, s·z, s·y, s·x)`` to ``(n, z, y, x)``; constants are kept."""
        image = fine if self.weights is None else _slices(self.weights, fine)
        count, (high, wide) = len(image), self.factors
        rows, columns, pads = self._taps()
        stacked = F.pad(image.transpose(0, 1), pads, mode="replicate")
        coarse = F.conv2d(stacked, rows.view(count, 1, -1, 1), stride=(high, 1), groups=count)
        return F.conv2d(coarse, columns.view(count, 1, 1, -1), stride=(1, wide), groups=count).transpose(0, 1)

    def adjoint(self, coarse: Tensor) -> Tensor:
        """Apply Aᵀ to each image of a batch, ``(n, z, y, x)`` to ``(n, s·z, s·y, s·x)``."""
        count, (high, wide) = len(coarse), self.factors
        rows, columns, (left, _, top, _) = self._taps()
        stacked = coarse.transpose(0, 1)
        stacked = F.conv_transpose2d(stacked, columns.view(count, 1, 1, -1), stride=(1, wide), groups=count)
        spread = F.conv_transpose2d(stacked, rows.view(count, 1, -1, 1), stride=(high, 1), groups=count).transpose(0, 1)
        image = _folded(_folded(spread, top).transpose(-1, -2), left).transpose(-1, -2)
        return image if self.weights is None else _slices(self.weights.transpose(1, 2), image)

    def _taps(self) -> tuple[Tensor, Tensor, tuple[int, int, int, int]]:
        """Weights of the fine pixels in a voxel along y and along x, and what they reach beyond the border.

        A point spread and the average over a voxel are one filter of which only each voxel's own value is computed.
        """
        rows, columns = (gaussian_taps(self.blur[:, axis] * self.factors[axis], self.radius) for axis in (0, 1))
        top, left = rows.shape[1] // 2, columns.shape[1] // 2
        high, wide = self.factors
        return _averaged(rows, high), _averaged(columns, wide), (left, left, top, top)


def _averaged(taps: Tensor, width: int) -> Tensor:
    """A filter followed by the mean over so many neighbours, ``(n, k)`` to ``(n, k + width - 1)``."""
    return F.pad(taps, (width - 1, width - 1)).unfold(1, width, 1).mean(2)


def _folded(image: Tensor, radius: int) -> Tensor:
    """Add the outer `radius` rows on both sides to the row next to them: the adjoint of repeating the border."""
    if radius == 0:
        return image
    inner = image[..., radius:-radius, :]
    first = image[..., :radius, :].sum(-2, keepdim=True)
    last = image[..., -radius:, :].sum(-2, keepdim=True)
    ends = F.pad(first, (0, 0, 0, inner.shape[-2] - 1)) + F.pad(last, (0, 0, inner.shape[-2] - 1, 0))
    return inner + ends


def _slices(weights: Tensor, image: Tensor) -> Tensor:
    return torch.einsum("nzk,nkyx->nzyx", weights, image)


def noise_amplitude(rise: Tensor, roll_off: Tensor, height: int, width: int) -> Tensor:
    """Return the square root of the noise power of each scanner on the grid of `torch.fft.rfft2`.

    As `NoiseSpectrum.amplitude`: white noise multiplied by it keeps its variance.

    Parameters
    ----------
    rise, roll_off : (n,)
        See `NoiseSpectrum`.
    height, width
        Size of the image.

    Returns
    -------
    Tensor of shape (n, 1, height, width // 2 + 1)
    """
    frequency = torch.as_tensor(plane_frequency(height, width), device=rise.device, dtype=rise.dtype)
    exponent = rise.view(-1, 1, 1, 1)
    power = frequency.clamp_min(LOWEST) ** exponent * torch.exp(-((frequency / roll_off.view(-1, 1, 1, 1)) ** 2))
    power = power / power.mean((-2, -1), keepdim=True)
    return power.sqrt()[..., : width // 2 + 1]


def coloured(white: Tensor, amplitude: Tensor) -> Tensor:
    """Give white noise ``(n, c, height, width)`` the spectrum of an `amplitude` on the grid of `torch.fft.rfft2`."""
    return torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=white.shape[-2:])
