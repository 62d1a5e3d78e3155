"""Layers that compute what plain ones do, with less data moved.

What dominates a super-resolution network on a CPU is not arithmetic but moving data: reflection padding copies every
feature map, activations and skips read and write it again, pixel shuffling scatters single numbers, and a last 7×7
convolution of a few channels uses a fraction of the machine. Here activations are part of the convolution,
padding is computed for the frame only, residual blocks run in strips of rows that stay in the cache, shuffling moves
whole runs of channels, and the last convolution is evaluated before the last shuffle.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctloupe.networks.blocks import SubPixelStep
from ctloupe.networks.tile import PlacedLayer

STRIP_BYTES: Final = 6 << 20
"""Bytes of the features of one strip of rows; near the size of the second-level cache."""

NO_ACTIVATION: Final = 1.0
"""Slope for negative values of a layer without activation; 0 is ReLU."""


def slope_of(layer: nn.Module) -> float | None:
    """Slope for negative values of an activation that a convolution can take over, else None."""
    if isinstance(layer, nn.ReLU):
        return 0.0
    if isinstance(layer, nn.LeakyReLU):
        return float(layer.negative_slope)
    if isinstance(layer, nn.PReLU) and layer.weight.numel() == 1:
        return float(layer.weight)
    return None


def _fused_convolution_works() -> bool:
    """Whether this build of PyTorch has oneDNN's convolution with activation, and it does what we think."""
    try:
        random = torch.Generator().manual_seed(0)
        image, weight, bias = (torch.randn(size, generator=random) for size in ((1, 2, 5, 5), (2, 2, 3, 3), (2,)))
        fused = torch.ops.mkldnn._convolution_pointwise(
            image, weight, None, [1, 1], [1, 1], [1, 1], 1, "leaky_relu", [0.1], ""
        )
        # In half precision the bias may stay in float32 here, and only here.
        half = torch.ops.mkldnn._convolution_pointwise(
            image.bfloat16(), weight.bfloat16(), bias, [1, 1], [1, 1], [1, 1], 1, "none", [], ""
        )
        plain = F.conv2d(image, weight, padding=1)
        rest = torch.ops.mkldnn._convolution_pointwise.binary(
            image, plain, weight, None, [1, 1], [1, 1], [1, 1], 1, "sub", None, None, [], None
        )
        near = (half.float() - plain - bias.view(1, -1, 1, 1)).abs().max() < 0.2
        return (
            torch.allclose(fused, F.leaky_relu(plain, 0.1), atol=1e-5) and bool(rest.abs().max() < 1e-5) and bool(near)
        )
    except (AttributeError, RuntimeError, TypeError):
        return False


_FUSED: Final = _fused_convolution_works()


def _convolve(image: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], slope: float) -> Tensor:
    """Convolve with zero padding and activate."""
    if _FUSED and image.device.type == "cpu" and image.dtype in (torch.float32, torch.bfloat16):
        kind, numbers = ("none", []) if slope == NO_ACTIVATION else ("leaky_relu", [slope])
        if slope == 0:
            kind, numbers = "relu", []
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise(
            image, weight, bias, list(padding), [1, 1], [1, 1], 1, kind, numbers, ""
        )
        return fused
    result = F.conv2d(image, weight, None if bias is None else bias.to(weight.dtype), padding=padding)
    return result if slope == NO_ACTIVATION else F.leaky_relu_(result, slope)


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
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, convolution: nn.Conv2d, slope: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", _weights(convolution.weight, dtype))
        self.register_buffer("bias", None if convolution.bias is None else convolution.bias.detach().float())
        self.padding = convolution.kernel_size[0] // 2
        self.reflects = convolution.padding_mode == "reflect" and self.padding > 0
        self.slope = slope

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c_out, h, w)``."""
        image = image.to(self.weight.dtype)
        pad = self.padding
        if not self.reflects:
            return self._convolve(image, (pad, pad))
        if min(image.shape[-2:]) < 2 * pad:
            return self._convolve(F.pad(image, (pad,) * 4, "reflect"), (0, 0))
        out = self._convolve(image, (pad, pad))
        self._mend_columns(image, out, (pad, pad))
        for band, pads, target in (
            (image[:, :, : 2 * pad], (pad, pad, pad, 0), out[:, :, :pad]),
            (image[:, :, -2 * pad :], (pad, pad, 0, pad), out[:, :, -pad:]),
        ):
            target.copy_(self._convolve(_padded(band, pads), (0, 0)))
        return out

    def rows(self, image: Tensor, begin: int, end: int) -> Tensor:
        """Compute rows `begin` to `end` of the output for the whole of `image`."""
        pad = self.padding
        above, below = max(0, begin - pad), min(image.shape[2], end + pad)
        part = self.with_rows(image[:, :, above:below], above > begin - pad, below < end + pad)
        out = self._convolve(part, (0, pad))
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
        torch.ops.mkldnn._convolution_pointwise_.binary(
            out, image, self.weight, bias, [0, pad], [1, 1], [1, 1], 1, "add", 1.0, None, [], None
        )
        if self.reflects:
            self._mend_columns(image, out, (0, 0), columns)

    def _convolve(self, image: Tensor, padding: tuple[int, int]) -> Tensor:
        return _convolve(image, self.weight, self.bias, padding, self.slope)

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
        high, low = _split(whole, dtype)
        split = copy.deepcopy(convolution)
        split.weight = nn.Parameter(torch.cat([high, high, low], dim=1).float(), requires_grad=False)
        self.convolution = FastConvolution(split, slope, dtype)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, k, h, w)`` to ``(n, c, h, w)``."""
        high, low = _split(image.float(), self.dtype)
        return self.convolution(torch.cat([high, low, high], dim=1).contiguous(memory_format=torch.channels_last))


def _split(values: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
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
        count, channels, height, width = features.shape
        margin = self.first.padding + self.second.padding
        if count > 1 or min(height, width) <= 4 * margin or not (_FUSED and features.device.type == "cpu"):
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

    def _inner(self, features: Tensor, top: int, bottom: int) -> Tensor:
        """The first convolution, with as many rows more as the second one will look at."""
        pad = self.second.padding
        begin, end = max(0, top - pad), min(features.shape[2], bottom + pad)
        return self.second.with_rows(self.first.rows(features, begin, end), begin > top - pad, end < bottom + pad)


class FastSubPixel(nn.Module):
    """A sub-pixel step whose activation comes before the shuffle, where it is the same, and whose shuffle moves runs.

    The convolution's outputs are reordered so that the two pixels that a row gets from one lie side by side.

    Parameters
    ----------
    step
        Sub-pixel step whose normalisation is folded.
    dtype
        Type of weights and output.
    shuffles
        False: leave the four sub-pixels in ``(row, column, channel)`` order for `FastLast`.
    """

    def __init__(self, step: SubPixelStep, dtype: torch.dtype, shuffles: bool = True) -> None:
        super().__init__()
        slope = slope_of(step.activation)
        assert slope is not None
        reordered = copy.deepcopy(step.convolution).requires_grad_(False)
        for parameter in (reordered.weight, reordered.bias):
            if parameter is not None:
                parameter.data = _subpixel_first(parameter.data)
        self.convolution = FastConvolution(reordered, slope, dtype)
        self.shuffles = shuffles

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c_out, 2h, 2w)``, or to ``(n, 4·c_out, h, w)`` without the shuffle."""
        found = self.convolution(features)
        return interleaved(found) if self.shuffles else found


def interleaved(features: Tensor) -> Tensor:
    """Pixel shuffle of channels in ``(row, column, channel)`` order, stored channels last."""
    count, channels, height, width = features.shape
    runs = features.permute(0, 2, 3, 1).view(count, height, width, 2, channels // 2).transpose(2, 3)
    return runs.reshape(count, 2 * height, 2 * width, channels // 4).permute(0, 3, 1, 2)


class FastLast(PlacedLayer):
    """The last convolution, evaluated on the grid before the last shuffle, with a float32 result.

    Each of the four sub-pixels of an output is a convolution of the unshuffled features with a kernel of about half
    the size, so that one convolution with four outputs does the work of one with a single output on four times as
    many pixels.

    In half precision the result y is found in three parts that each are rounded and together are not:
    ``y₁ = W₁∗x``, then ``W₁∗x − y₁``, which is small, and ``W₂∗x`` for what the weights had lost.

    Parameters
    ----------
    convolution
        Convolution from c channels to one, with an odd kernel.
    dtype
        Type of the features; the result is float32.
    """

    high: Tensor
    low: Tensor
    bias: Tensor | None

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.plain = FastConvolution(convolution, NO_ACTIVATION, torch.float32)
        whole = _polyphase(convolution.weight.detach().float())
        half = dtype != torch.float32 and _FUSED
        high, low = _split(whole, dtype) if half else (whole, whole)
        self.register_buffer("high", _weights(high, high.dtype))
        self.register_buffer("low", _weights(low, low.dtype) if half else None)
        bias = None if convolution.bias is None else convolution.bias.detach().float()
        self.register_buffer("bias", bias)
        self.padding = whole.shape[-1] // 2

    def forward(self, features: Tensor) -> Tensor:
        """Map unshuffled features ``(n, 4·c, h, w)`` to the image ``(n, 1, 2h, 2w)``."""
        pad = self.plain.padding
        if min(features.shape[-2:]) < 2 * pad:
            return self.plain(interleaved(features))
        found = self._convolved(features)
        if self.bias is not None:
            found += self.bias
        out = F.pixel_shuffle(found, 2)
        if self.plain.reflects:
            top, bottom, left, right = (True,) * 4 if self.tile is None else self.tile.at_border
            bands = (
                (left, features[..., :pad], (..., slice(None, pad))),
                (right, features[..., -pad:], (..., slice(-pad, None))),
                (top, features[:, :, :pad], (..., slice(None, pad), slice(None))),
                (bottom, features[:, :, -pad:], (..., slice(-pad, None), slice(None))),
            )
            for at_border, band, place in bands:
                if at_border:
                    whole = band.contiguous(memory_format=torch.channels_last)
                    out[place] = self.plain(interleaved(whole))[place]
        return out

    def _convolved(self, features: Tensor) -> Tensor:
        around = (self.padding, self.padding)
        if self.low is None or features.device.type != "cpu":
            weight = self.high if self.low is None else self.high.float() + self.low.float()
            return _convolve(features.float(), weight, None, around, NO_ACTIVATION)
        features = features.to(self.high.dtype)
        rounded = _convolve(features, self.high, None, around, NO_ACTIVATION)
        rest = torch.ops.mkldnn._convolution_pointwise.binary(
            features, rounded, self.high, None, list(around), [1, 1], [1, 1], 1, "sub", None, None, [], None
        )
        of_weights = _convolve(features, self.low, None, around, NO_ACTIVATION)
        return rounded.float().add_(rest).add_(of_weights)


def _weights(weight: Tensor, dtype: torch.dtype) -> Tensor:
    return weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)


def _subpixel_first(values: Tensor) -> Tensor:
    """Reorder outputs from PyTorch's ``(channel, sub-pixel)`` to ``(sub-pixel, channel)``."""
    return values.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1).contiguous()


def _polyphase(weight: Tensor) -> Tensor:
    """Kernels ``(4, 4·c, k', k')`` on the coarse grid of the four sub-pixels of a ``(1, c, k, k)`` convolution.

    Sub-pixel a of coarse pixel i lies at 2i + a; tap t of the fine kernel reaches 2i + a + t = 2(i + u) + r, which is
    sub-pixel r of coarse pixel i + u.
    """
    _, channels, size, _ = weight.shape
    pad = size // 2
    reach = (pad + 1) // 2
    made = weight.new_zeros(2, 2, 2, 2, channels, 2 * reach + 1, 2 * reach + 1)
    taps = [
        (a, r, u) for a in range(2) for r in range(2) for u in range(-reach, reach + 1) if abs(2 * u + r - a) <= pad
    ]
    for a, r, u in taps:
        for b, s, v in taps:
            made[a, b, r, s, :, u + reach, v + reach] = weight[0, :, 2 * u + r - a + pad, 2 * v + s - b + pad]
    return made.flatten(2, 4).flatten(0, 1)
