"""How far the power spectra of two kinds of images are apart."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

_BANDS_OF_A_SCAN = 3
"""Bands of equal width up to the highest frequency that a scan can hold."""
_LEAST = 1e-8


def spectrum_distance(drawn: Tensor, real: Tensor, scale: int) -> Tensor:
    """Return the mean squared logarithm of the ratio of two power spectra, each averaged over images and directions.

    Both are taken in bands of equal width, three of which reach to the highest frequency that a scan can hold; what
    lies beyond the highest of the axes, towards the corners, belongs to the last. Each image is divided by its own
    power first, so that all count alike: how strong an image is does not matter.

    Parameters
    ----------
    drawn : (n, 1, h, w)
        Images.
    real : (m, 1, h, w)
        What they should have the spectrum of.
    scale
        Factor from the scan's grid to that of the images.

    Returns
    -------
    Tensor of no dimensions
        It is in squared nepers of power: 0.053 is 1 dB.
    """
    mine, theirs = (_shares_by_band(image, scale).mean(0).clamp_min(_LEAST) for image in (drawn, real))
    return (mine / theirs).log().square().mean()


def _shares_by_band(image: Tensor, scale: int) -> Tensor:
    power = _power_by_band(image, scale)
    return power / power.sum(1, keepdim=True).clamp_min(_LEAST)


def _power_by_band(image: Tensor, scale: int) -> Tensor:
    """Power of each image in each band, ``(n, bands)``, about its mean and with a Hann window."""
    height, width = image.shape[-2:]
    window = _window(height, image)[:, None] * _window(width, image)
    spectrum = torch.fft.rfft2((image[:, 0] - image[:, 0].mean((-2, -1), keepdim=True)) * window)
    return spectrum.abs().square().flatten(1) @ _bands(height, width, scale).to(image)


def _window(length: int, like: Tensor) -> Tensor:
    return torch.hann_window(length, dtype=like.dtype, device=like.device)


@lru_cache(maxsize=8)
def _bands(height: int, width: int, scale: int) -> Tensor:
    """Share of every frequency of `rfft2` in the mean square of each band, ``(height·(width // 2 + 1), bands)``."""
    # What is kept must have values, also where it is first asked for while tensors are made without any.
    with torch.device("cpu"):
        rows, columns = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.rfftfreq(width, dtype=torch.float64)
        bands = _BANDS_OF_A_SCAN * scale
        index = (torch.hypot(rows[:, None], columns) * 2 * bands).long().clamp_max(bands - 1)
        # Frequencies between the first and the last column stand for their mirror images too.
        share = torch.full(index.shape, 2.0 / (height * width) ** 2)
        share[:, 0] /= 2
        if width % 2 == 0:
            share[:, -1] /= 2
        weight = torch.zeros(index.numel(), bands)
        return weight.scatter_(1, index.view(-1, 1), share.view(-1, 1))
