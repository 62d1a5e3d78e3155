"""How far the small patterns of two images are apart, whatever their places."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_SIDES = (3, 5, 9, 15)
"""Sides of the filters in pixels."""
_FINEST = 5
"""The largest side of filters of which every weight is drawn for itself; larger ones are smooth, or lines."""
_LINE_WIDTHS, _LINE_LENGTHS = (0.7, 2.0), (2.0, 5.0)
"""Standard deviations of lines across and along, in pixels: the least and the largest."""
_STRIDE = 4
_SHARE_OF_ALL = 0.1
_LEAST = 1e-6


def sliced_wasserstein_loss(drawn: Tensor, real: Tensor, filters: int = 16) -> Tensor:
    """Return the mean squared Wasserstein distance of responses to random filters, and of the pixels themselves.

    The distance of two sets of numbers is that of their sorted values (Rabin et al. 2011; Deshpande et al. 2018,
    arXiv:1803.11188). Each image is compared with the real one of its pair, so that patterns are right where they
    belong, in units of the variance of the latter's responses and a tenth of that of all, without which an image of
    one value would outweigh the others. Filters and the places that are looked at, every fourth of each direction, are
    drawn anew at each call.

    Parameters
    ----------
    drawn : (m·n, 1, h, w)
        m images for each real one; the first n belong to the n real ones in their order, and so do the next.
    real : (n, 1, h, w)
        What they should have the patterns of.
    filters
        Filters of each size: 3, 5, 9 and 15 pixels, as far as the images hold them at every place.

    Returns
    -------
    Tensor of no dimensions
    """
    terms = [_distance(drawn, real, real.new_ones(1, 1, 1, 1))]
    terms += [
        _distance(drawn, real, _filters(filters, side, real))
        for side in _SIDES
        if side < min(real.shape[-2:]) - _STRIDE
    ]
    return torch.stack(terms).mean()


def _filters(count: int, side: int, like: Tensor) -> Tensor:
    """Random filters ``(count, 1, side, side)`` of length 1; of the larger ones half are lines of any direction."""
    if side <= _FINEST:
        drawn = torch.randn(count, 1, side, side, device=like.device, dtype=like.dtype)
    else:
        coarse = torch.randn(count - count // 2, 1, (side + 1) // 3, (side + 1) // 3, device=like.device)
        smooth = F.interpolate(coarse.to(like.dtype), size=(side, side), mode="bilinear")
        drawn = torch.cat([smooth, _lines(count // 2, side, like)])
    return drawn / drawn.square().sum((1, 2, 3), keepdim=True).sqrt()


def _lines(count: int, side: int, like: Tensor) -> Tensor:
    """Short lines with dark rims, second derivatives of Gaussians across, by which walls differ from grains."""
    chance = torch.rand(3, count, 1, 1, device=like.device, dtype=like.dtype)
    (thin, thick), (short, long) = _LINE_WIDTHS, _LINE_LENGTHS
    angle, width = math.pi * chance[0], thin * (thick / thin) ** chance[1]
    length = short * (long / short) ** chance[2]
    place = torch.arange(side, device=like.device, dtype=like.dtype) - (side - 1) / 2
    x, y = place[None, None, :], place[None, :, None]
    across = (x * angle.cos() + y * angle.sin()) / width
    along = (y * angle.cos() - x * angle.sin()) / length
    return ((1 - across.square()) * (-(across.square() + along.square()) / 2).exp())[:, None]


def _distance(drawn: Tensor, real: Tensor, filters: Tensor) -> Tensor:
    top, left = torch.randint(0, _STRIDE, (2,), device="cpu").tolist()
    mine, theirs = (
        F.conv2d(image[..., top:, left:], filters, stride=_STRIDE).flatten(2).sort(-1).values for image in (drawn, real)
    )
    times = len(drawn) // len(real)
    apart = (mine - theirs.repeat(times, 1, 1)).square().mean(-1)
    spread = theirs.var(-1)
    unit = (spread + _SHARE_OF_ALL * spread.mean(0)).clamp_min(_LEAST)
    return (apart / unit.repeat(times, 1)).mean()
