"""Total variation: how much an image changes from pixel to pixel."""

from __future__ import annotations

from torch import Tensor


def total_variation(image: Tensor) -> Tensor:
    """Mean of the squared differences between neighbours, vertical plus horizontal (CinCGAN, Eq. 4).

    Parameters
    ----------
    image : (n, c, h, w) with h, w ≥ 2
    """
    vertical = (image[..., 1:, :] - image[..., :-1, :]).square().mean()
    horizontal = (image[..., :, 1:] - image[..., :, :-1]).square().mean()
    return vertical + horizontal
