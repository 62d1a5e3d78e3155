"""Instance normalisation with the (leaky) ReLU behind it, compiled, on channels-last float32 images on a CPU."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ctloupe.networks.compiled import library

_PIECE: Final = 1 << 14
"""Numbers of an image that are summed together: few enough for the second-level cache."""

_FEWEST_PIXELS: Final = 64
"""Pixels that are summed together at least, so that there are far fewer sums than numbers."""


class _Job(ctypes.Structure):
    """One pass of an instance normalisation, as `normalise.c` knows it; addresses are of float32 numbers."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("input", "gradient", "mean", "inverse", "first", "second")),
        *((name, ctypes.c_void_p) for name in ("sums", "out")),
        *((name, ctypes.c_int64) for name in ("images", "pixels", "channels", "pixels_at_once", "next")),
        ("slope", ctypes.c_float),
        ("lanes", ctypes.c_int32),
    ]


@dataclass(frozen=True)
class Statistics:
    """Mean and inverse standard deviation of each channel of each image, ``(n, c)``."""

    mean: Tensor
    inverse: Tensor


def suits(features: Tensor) -> bool:
    """Whether there is compiled code for features ``(n, c, h, w)`` on this machine."""
    return library.registers_for(features.shape[1]) > 0


def normalise(features: Tensor, epsilon: float, slope: float) -> tuple[Tensor, Statistics]:
    """Normalise and activate.

    Parameters
    ----------
    features : (n, c, h, w)
        Channels of a pixel lie side by side.
    epsilon
        What is added to the variance.
    slope
        Slope of the activation for negative values; 1: none.

    Returns
    -------
    tuple
        The result, channels-last, and by what it was normalised.
    """
    # About a value of the image itself, so that squares do not cancel where the mean is large.
    about = features[:, :, 0, 0].contiguous()
    first, second = _means(features, _Job(mean=about.data_ptr()))
    variance = (second - first.square()).clamp_min(0)
    found = Statistics((about + first).float(), (variance + epsilon).rsqrt().float())
    made = torch.empty_like(features)
    job = _Job(mean=found.mean.data_ptr(), inverse=found.inverse.data_ptr(), out=made.data_ptr(), slope=slope)
    _run(features, job)
    return made, found


def gradient(given: Tensor, features: Tensor, by: Statistics, slope: float) -> Tensor:
    """Gradient of `features` from that of the result of `normalise`, which is stored like them."""
    made = torch.empty_like(features)
    about = {"mean": by.mean.data_ptr(), "inverse": by.inverse.data_ptr(), "slope": slope, "gradient": given.data_ptr()}
    first, second = (one.float() for one in _means(features, _Job(**about)))
    job = _Job(**about, first=first.data_ptr(), second=second.data_ptr(), out=made.data_ptr())
    _run(features, job)
    return made


def _means(features: Tensor, job: _Job) -> tuple[Tensor, Tensor]:
    """Both sums over pixels that `normalise.h` speaks of, divided by how many there are, ``(n, c)`` in float64."""
    count, channels = features.shape[:2]
    pieces = -(-_pixels(features) // _pixels_at_once(channels))
    sums = torch.empty(count, pieces, 2, channels)
    job.sums = sums.data_ptr()
    _run(features, job)
    first, second = (sums.sum(1, dtype=torch.float64) / _pixels(features)).unbind(1)
    return first.contiguous(), second.contiguous()


def _run(features: Tensor, job: _Job) -> None:
    count, channels = features.shape[:2]
    job.input, job.images, job.pixels, job.channels = features.data_ptr(), count, _pixels(features), channels
    job.pixels_at_once, job.lanes = _pixels_at_once(channels), library.registers_for(channels)
    pieces = count * -(-job.pixels // job.pixels_at_once)
    library.on_threads("normalise", job, min(torch.get_num_threads(), pieces))


def _pixels(features: Tensor) -> int:
    return features.shape[2] * features.shape[3]


def _pixels_at_once(channels: int) -> int:
    return max(_FEWEST_PIXELS, _PIECE // channels)
