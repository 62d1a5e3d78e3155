"""Layers that compute what plain ones do, with less data moved.

What dominates a super-resolution network on a CPU is not arithmetic but moving data: reflection padding copies every
feature map, activations and skips read and write it again, pixel shuffling scatters single numbers, and a last 7×7
convolution of a few channels uses a fraction of the machine. Here activations are part of the convolution,
padding is computed for the frame only, residual blocks run in strips of rows that stay in the cache, shuffling moves
whole runs of channels, and the last convolution is evaluated before the last shuffles.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.enhance.network.fused import convolve, convolve_onto, works_on
from ctloupe.networks.compiled import winograd

_FEW: Final = 4
"""Channels of which a padded copy costs less than to mend the frame."""

STRIP_BYTES: int = 6 << 20
"""Bytes of the features of one strip of rows; near the size of the second-level cache."""

COMPILED_STRIP_BYTES: int = 12 << 20
"""The same where both convolutions of a block are compiled (`python benchmarks/tries.py`)."""

_FEWEST_ROWS: Final = 16
"""Rows of a strip at least, however wide: each strip costs a call."""


def slope_of(layer: nn.Module) -> float | None:
    """Slope for negative values of an activation that a convolution can take over, else None."""
    if isinstance(layer, nn.ReLU):
        return 0.0
    if isinstance(layer, nn.LeakyReLU):
        return float(layer.negative_slope)
    if isinstance(layer, nn.PReLU) and layer.weight.numel() == 1:
        return float(layer.weight.detach())
    return None


class FastConvolution(nn.Module):
    """A convolution of stride 1 with its activation; reflection padding is computed on the frame only.

    Parameters
    ----------
    convolution
        Convolution with an odd kernel that keeps the size; padding is by zeros or reflection.
    slope
        Slope of the activation for negative values; 1: no activation.
    dtype
        Type of weights and output; the input is converted to it.
    run
        How many outputs lie side by side, where they become sub-pixels.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, convolution: nn.Conv2d, slope: float, dtype: torch.dtype, run: int | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", channels_last(convolution.weight, dtype))
        self.register_buffer("bias", None if convolution.bias is None else convolution.bias.detach().float())
        self.padding = convolution.kernel_size[0] // 2
        self.reflects = convolution.padding_mode == "reflect" and self.padding > 0
        self.slope = slope
        self._run = run

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c_out, h, w)``."""
        image = image.to(self.weight.dtype)
        pad = self.padding
        if self.is_winograd(image):
            return self.by_winograd(image, winograd.Padding.around(pad, self.reflects))
        if not self.reflects:
            return self._convolve(image, (pad, pad))
        if image.shape[1] <= _FEW or min(image.shape[-2:]) < 2 * pad:
            return self._convolve(F.pad(image, (pad,) * 4, "reflect"), (0, 0))
        out = self._convolve(image, (pad, pad))
        self._mend_columns(image, out, (pad, pad))
        for band, pads, target in (
            (image[:, :, : 2 * pad], (pad, pad, pad, 0), out[:, :, :pad]),
            (image[:, :, -2 * pad :], (pad, pad, 0, pad), out[:, :, -pad:]),
        ):
            target.copy_(self._convolve(_padded(band, pads), (0, 0)))
        return out

    @cached_property
    def kernel(self) -> winograd.Kernel | None:
        """What Winograd's convolution multiplies with, where that is to be had."""
        outputs, inputs, taps, _ = self.weight.shape
        known = self.weight.dtype == torch.float32 and taps in winograd.TAPS
        lanes = winograd.lanes_for(inputs, outputs, self._run) if known else 0
        return winograd.transformed(self.weight, lanes) if lanes else None

    def by_winograd(
        self,
        image: Tensor,
        padding: winograd.Padding,
        *,
        skip: Tensor | None = None,
        out: Tensor | None = None,
        shuffles: bool = False,
    ) -> Tensor:
        """Convolve by `kernel`, activate, and add a skip; see `winograd.convolve`."""
        assert self.kernel is not None
        if image.stride(1) != 1:
            image = image.contiguous(memory_format=torch.channels_last)
        return winograd.convolve(
            image, self.kernel, self.bias, padding, self.slope, skip=skip, out=out, shuffles=shuffles
        )

    def rows_by_winograd(self, image: Tensor, begin: int, end: int, out: Tensor) -> None:
        """Compute rows `begin` to `end` of the output for the whole of `image`, by `kernel`."""
        part, beyond = self.seen(image, begin, end)
        self.by_winograd(part, winograd.Padding(beyond, (self.padding,) * 2, self.reflects), out=out)

    def is_winograd(self, image: Tensor) -> bool:
        """Whether `by_winograd` can be used."""
        return image.device.type == "cpu" and self.kernel is not None

    def beyond(self, begin: int, end: int, height: int) -> tuple[int, int]:
        """How many rows of padding rows `begin` to `end` of the output see above and below an image of `height`."""
        return max(0, self.padding - begin), max(0, end + self.padding - height)

    def seen(self, image: Tensor, begin: int, end: int) -> tuple[Tensor, tuple[int, int]]:
        """What rows `begin` to `end` of the output see of `image`, and how many rows of padding above and below it."""
        above, below = self.beyond(begin, end, image.shape[2])
        return image[:, :, begin - self.padding + above : end + self.padding - below], (above, below)

    def rows(self, image: Tensor, begin: int, end: int) -> Tensor:
        """Compute rows `begin` to `end` of the output for the whole of `image`."""
        part, (above, below) = self.seen(image, begin, end)
        return self.within(part, above > 0, below > 0)

    def within(self, image: Tensor, above: bool, below: bool) -> Tensor:
        """Compute the rows of which all is seen in `image`, or in it and the padding above or below it."""
        part = self.with_rows(image, above, below)
        out = self._convolve(part, (0, self.padding))
        if self.reflects:
            self._mend_columns(part, out, (0, 0))
        return out

    def with_rows(self, image: Tensor, above: bool, below: bool) -> Tensor:
        """Add the padding's rows on the sides where the image ends."""
        if not (above or below):
            return image
        pads = (0, 0, self.padding * above, self.padding * below)
        return _padded(image, pads, "reflect" if self.reflects else "constant")

    def add_rows(self, image: Tensor, out: Tensor) -> None:
        """Add to `out`, in place, the convolution of `image`, which has the padding's rows already."""
        pad = self.padding
        columns = [out[..., :pad].clone(), out[..., -pad:].clone()] if self.reflects else None
        bias = None if self.bias is None else self.bias.to(out.dtype)
        convolve_onto(out, image, self.weight, bias, (0, pad))
        if self.reflects:
            self._mend_columns(image, out, (0, 0), columns)

    def _convolve(self, image: Tensor, padding: tuple[int, int]) -> Tensor:
        return convolve(image, self.weight, self.bias, padding, self.slope)

    def _mend_columns(
        self, image: Tensor, out: Tensor, rows: tuple[int, int], added: Sequence[Tensor] | None = None
    ) -> None:
        """Overwrite the columns that zero padding got wrong: as many on either side as the padding is wide."""
        pad, last = self.padding, image.shape[-1] - 1
        near = [*range(pad, 0, -1), *range(2 * pad)]
        columns = torch.tensor([*near, *(last - one for one in reversed(near))], device=image.device)
        # Both sides in one convolution: so little work is mostly the cost of asking for it.
        sides = torch.cat(image.index_select(3, columns).chunk(2, 3))
        sides = _padded(sides, (0, 0, *rows)) if any(rows) else sides.contiguous(memory_format=torch.channels_last)
        left, right = self._convolve(sides, (0, 0)).chunk(2)
        if added is None:
            out[..., :pad], out[..., -pad:] = left, right
        else:
            torch.add(left, added[0], out=out[..., :pad])
            torch.add(right, added[1], out=out[..., -pad:])


def _padded(image: Tensor, pads: tuple[int, ...], mode: str = "reflect") -> Tensor:
    return F.pad(image, pads, mode).contiguous(memory_format=torch.channels_last)


class FastFirst(nn.Module):
    """The convolution of the image itself, in half precision without rounding the image.

    The image is split into what half precision holds and what it leaves, ``x = x₁ + x₂``, the weights likewise, and
    ``w₁x₁ + w₁x₂ + w₂x₁`` is one convolution of three times the channels: the products that are left out are 2⁻¹⁶ of
    the whole.

    Parameters
    ----------
    convolution
        Convolution from the channels of an image.
    slope, dtype
        See `FastConvolution`.
    """

    def __init__(self, convolution: nn.Conv2d, slope: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        whole = convolution.weight.detach().float()
        high, low = in_two_halves(whole, dtype)
        split = copy.deepcopy(convolution)
        split.weight = nn.Parameter(torch.cat([high, high, low], dim=1).float(), requires_grad=False)
        self.convolution = FastConvolution(split, slope, dtype)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, k, h, w)`` to ``(n, c, h, w)``."""
        high, low = in_two_halves(image.float(), self.dtype)
        return self.convolution(torch.cat([high, low, high], dim=1).contiguous(memory_format=torch.channels_last))


def in_two_halves(values: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Half-precision numbers whose sum is `values` to about twice the precision."""
    high = values.to(dtype)
    return high, (values - high.to(values.dtype)).to(dtype)


class Converted(nn.Module):
    """Any other convolution, with its input converted to the type of its weights.

    Parameters
    ----------
    layer
        The convolution.
    dtype
        Type of weights and output.
    """

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """Apply the layer."""
        return self.layer(image.to(self.layer.weight.dtype))


class FastResidual(nn.Module):
    """Two convolutions and the skip around them, in strips of rows that stay in the cache.

    The second convolution adds to the skip where it lies, before anything is rounded.

    Parameters
    ----------
    first, second
        The convolutions, the first with its activation.
    scaling
        Factor of what is added to the skip.
    """

    def __init__(self, first: FastConvolution, second: FastConvolution, scaling: float = 1.0) -> None:
        super().__init__()
        self.first, self.second = first, second
        second.weight = second.weight * scaling
        if second.bias is not None:
            second.bias = second.bias * scaling
        self.in_place = False
        """Whether the input may be overwritten, because nothing else reads it."""

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        given = features
        features = features.to(self.first.weight.dtype).contiguous(memory_format=torch.channels_last)
        if self.first.is_winograd(features) and self.second.is_winograd(features):
            return self._by_winograd(features, self.in_place or features is not given)
        count, channels, height, width = features.shape
        margin = self.first.padding + self.second.padding
        if count > 1 or min(height, width) <= 4 * margin or not works_on(features):
            return features + self.second(self.first(features))
        if features is given and not self.in_place:
            features = features.clone(memory_format=torch.channels_last)
        rows = max(4 * margin, STRIP_BYTES // (channels * width * features.element_size()))
        edges = [0, *range(rows, height - rows // 2, rows), height]
        inner: Tensor | None = None
        for at, (top, bottom) in enumerate(pairwise(edges)):
            # The strip that follows needs these rows as they were, so it is begun before they are overwritten.
            inner = self._inner(features, top, bottom) if inner is None else inner
            after = self._inner(features, bottom, edges[at + 2]) if bottom < height else None
            self.second.add_rows(inner, features[:, :, top:bottom])
            inner = after
        return features

    def _by_winograd(self, features: Tensor, in_place: bool) -> Tensor:
        """Both convolutions in strips: rows of the second follow as soon as those of the first around them are there.

        They end so far above those of the first that what its next rows look at is not overwritten.
        """
        first, second = self.first, self.second
        tile = winograd.tile_side(first.weight.shape[2])
        out = features if in_place else torch.empty_like(features)
        _, channels, height, width = features.shape
        rows = max(_FEWEST_ROWS, COMPILED_STRIP_BYTES // (channels * width * features.element_size()) // tile * tile)
        size = (1, len(first.weight), min(rows, height) + 2 * second.padding, width)
        room = torch.empty(size, memory_format=torch.channels_last)
        for image, made in zip(features.split(1), out.split(1), strict=True):
            done, held = 0, 0
            for begin in range(0, height, rows):
                end = min(height, begin + rows)
                first.rows_by_winograd(image, begin, end, out=room[:, :, held : held + end - begin])
                until = height if end == height else end - second.padding
                hidden = room[:, :, : held + end - begin]
                beyond = second.beyond(done, until, height)
                padding = winograd.Padding(beyond, (second.padding,) * 2, second.reflects)
                strip = slice(done, until)
                second.by_winograd(hidden, padding, skip=image[:, :, strip], out=made[:, :, strip])
                held = 2 * second.padding
                room[:, :, :held] = hidden[:, :, -held:].clone()
                done = until
        return out

    def _inner(self, features: Tensor, top: int, bottom: int) -> Tensor:
        """The first convolution, with as many rows more as the second one will look at."""
        pad = self.second.padding
        begin, end = max(0, top - pad), min(features.shape[2], bottom + pad)
        return self.second.with_rows(self.first.rows(features, begin, end), begin > top - pad, end < bottom + pad)


def channels_last(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A kernel in `dtype`, stored channels last; also where only its strides tell that of one channel it is."""
    stored = torch.empty(weight.shape, dtype=dtype, device=weight.device, memory_format=torch.channels_last)
    return stored.copy_(weight.detach())
