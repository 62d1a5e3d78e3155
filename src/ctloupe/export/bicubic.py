"""Bicubic enlargement out of convolutions, which every program computes alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_REACH = 2
"""Scan voxels on either side that a fine pixel depends on."""


def bicubic_kernel(scale: int) -> Tensor:
    """Return the weights of the scan's voxels for each of the fine pixels of one, ``(s², 1, 5, 5)``.

    They are those of Keys' kernel with a = −0.5 (1981, doi:10.1109/TASSP.1981.1163711).
    """
    rows = [[_keys(at - ((place + 0.5) / scale - 0.5)) for at in range(-_REACH, _REACH + 1)] for place in range(scale)]
    one = torch.tensor(rows, dtype=torch.float64)
    side = 2 * _REACH + 1
    return torch.einsum("py,qx->pqyx", one, one).reshape(scale**2, 1, side, side).float()


def _keys(distance: float, a: float = -0.5) -> float:
    x = abs(distance)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


class BicubicByConvolution(TorchFunctionMode):
    """While it is entered, `enlarge_bicubic` is computed as convolutions and a pixel-shuffle.

    The formats that models are exported to have an interpolation too, but of several kinds, and how each treats the
    border depends on the program that runs it.

    Parameters
    ----------
    kernel
        See `bicubic_kernel`.
    scale
        The enlargement; no other is met in a network.
    """

    def __init__(self, kernel: Tensor, scale: int) -> None:
        super().__init__()
        self.kernel, self.scale = kernel, scale

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace the one function and call any other."""
        kwargs = kwargs or {}
        if func is not F.interpolate or kwargs.get("mode") != "bicubic":
            return func(*args, **kwargs)
        (image,) = args
        if int(kwargs["size"][-1]) != int(image.shape[-1]) * self.scale or image.shape[1] != 1:
            raise ValueError(f"expected images of one channel that are enlarged {self.scale} times")
        # Weights that fall outside of the image are left out, and the others make up for them.
        return self._weighed(image) / self._weighed(torch.ones_like(image))

    def _weighed(self, image: Tensor) -> Tensor:
        return F.pixel_shuffle(F.conv2d(image, self.kernel, padding=_REACH), self.scale)
