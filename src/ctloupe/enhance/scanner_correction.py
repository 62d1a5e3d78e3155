"""The correction after which an enhanced slice, scanned again, would be its scan but for noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.scanner.noise import plane_frequency
from ctloupe.scanner.point_spread import gaussian_taps
from ctloupe.scanner.tensor_operator import TensorOperator
from ctloupe.scanner.tile_power import SIDE

REACH: Final = 8
"""Scan voxels at which the correction of a residual ends: the side of the tiles that its spectrum is known from."""

_PERIOD: Final = 64
"""Scan voxels of the periodic grid on which the correction is computed."""

_CORNER: Final = 1 / 16
"""Frequency in cycles a scan voxel up to which errors of an image are taken to be equally strong."""

_SLOPE: Final = 1.5
"""Half the exponent by which their power falls beyond it, about that of the anatomy itself."""


@dataclass(frozen=True, eq=False)
class ScannerCorrection:
    """``x + C Aᵀ (A C Aᵀ + N)⁻¹ (y − A x)`` for an image x of the scan y, as one convolution of finite reach.

    A is the Gaussian point spread and the average over the voxel; N is the expected power of the residual y − A x of an
    image that is right, and A C Aᵀ what the measured one exceeds it by, so that what noise explains is left alone
    (the Wiener filter). How C goes on beyond the frequencies of the scan is assumed: it falls with the third power.

    Attributes
    ----------
    operator
        A, for one scanner.
    kernel : (s², 1, 2r + 1, 2r + 1)
        What a residual of 1 in one scan voxel adds to the fine pixels of those around it.
    lost
        Share of the sum of the magnitudes of the full kernel that lies beyond the reach.
    """

    operator: TensorOperator
    kernel: Tensor
    lost: float

    @classmethod
    def of(
        cls, blur: float, expected: NDArray[np.float64], found: NDArray[np.float64], scale: int, reach: int = REACH
    ) -> Self:
        """Return the correction for a scanner and a residual.

        Parameters
        ----------
        blur
            Standard deviation of the point spread in scan voxels.
        expected, found : (7,)
            Power of the residual as it should be, and as it is, by frequency; see `TilePower.result`.
        scale
            s.
        reach
            r, at most 31.
        """
        share = 1 - np.clip(expected / np.maximum(found, np.finfo(float).tiny), 0, 1)
        response = _response(blur, share, scale)
        side = 2 * reach + 1
        near = np.roll(response, (reach * scale, reach * scale), (0, 1))[: side * scale, : side * scale]
        whole = float(np.abs(response).sum())
        lost = 1 - float(np.abs(near).sum()) / whole if whole else 0.0
        phases = near.reshape(side, scale, side, scale).transpose(1, 3, 0, 2).reshape(scale**2, 1, side, side)
        # A convolution, where torch correlates.
        kernel = torch.from_numpy(phases[..., ::-1, ::-1].astype(np.float32))
        return cls(TensorOperator((scale, scale), torch.full((1, 2), blur)), kernel, lost)

    @property
    def is_none(self) -> bool:
        """Whether noise explains all of the residual."""
        return not bool(self.kernel.any())

    def residual(self, plane: Tensor, scan: Tensor) -> Tensor:
        """Return ``y − A x`` of `plane` ``(s·h, s·w)`` and `scan` ``(h, w)``."""
        return scan - self.operator.forward(plane[None, None])[0, 0]

    def added(self, residual: Tensor) -> Tensor:
        """Return what a residual ``(h, w)`` adds to the image, ``(s·h, s·w)``; beyond its border it is 0."""
        reach, scale = self.kernel.shape[-1] // 2, self.operator.factors[0]
        return F.pixel_shuffle(F.conv2d(residual[None, None], self.kernel, padding=reach), scale)[0, 0]


def _response(blur: float, share: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """What a residual of 1 in scan voxel 0 of a periodic grid adds to the fine pixels."""
    length = _PERIOD * scale
    along = _transfer(blur, scale, length)
    seen = along[:, None] * along[None]
    frequency = plane_frequency(length, length) * scale
    prior = (_CORNER**2 + frequency**2) ** -_SLOPE
    # Sampling at the scan's voxels adds up frequencies that differ by whole cycles a voxel.
    folded = (prior * np.abs(seen) ** 2).reshape(scale, _PERIOD, scale, _PERIOD).sum((0, 2)) / scale**2
    cycles = plane_frequency(_PERIOD, _PERIOD) * SIDE
    gain = np.interp(cycles, np.arange(len(share)), share) / folded
    return np.asarray(np.fft.ifft2(prior * seen * np.tile(gain, (scale, scale))).real)


def _transfer(blur: float, scale: int, length: int) -> NDArray[np.complex128]:
    """Fourier transform along an axis of what scan voxel 0 sees of the fine pixels."""
    weights = np.convolve(gaussian_taps(blur * scale), np.full(scale, 1 / scale))
    line = np.zeros(length)
    line[: len(weights)] = weights
    return np.asarray(np.fft.fft(np.roll(line, -((len(weights) - scale) // 2))))
