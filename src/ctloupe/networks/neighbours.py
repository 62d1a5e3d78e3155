"""A slice and its two neighbours as the channels of one image: the slice first, then below, then above."""

from __future__ import annotations

from torch import Tensor


def with_neighbours(image: Tensor, wanted: bool) -> Tensor:
    """Return what a network is shown: where neighbours are `wanted` and not there, the slice stands for them.

    Parameters
    ----------
    image : (n, 1, h, w) or (n, 3, h, w)
        Slices, alone or with their neighbours.
    wanted
        Whether the network looks at neighbours.
    """
    return image.expand(-1, 3, -1, -1) if wanted and image.shape[1] == 1 else image


def slice_alone(image: Tensor) -> Tensor:
    """Return the slices ``(n, 1, h, w)`` without their neighbours."""
    return image if image.shape[1] == 1 else image[:, :1]
