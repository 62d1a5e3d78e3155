"""How far a network looks: which inputs one output pixel can depend on, found by following its operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_PIXELWISE = frozenset(
    {
        *("__add__", "__iadd__", "__imul__", "__isub__", "__mul__", "__neg__", "__radd__", "__rmul__", "__rsub__"),
        *("__sub__", "__truediv__", "abs", "add", "add_", "addcdiv", "addcmul", "div", "lerp", "mul", "mul_", "neg"),
        *("rsub", "sqrt", "square", "sub", "sub_", "where", "cat", "concat", "expand", "batch_norm", "dropout"),
        *("clamp", "clamp_", "elu", "gelu", "hardtanh", "leaky_relu", "leaky_relu_", "prelu", "relu", "relu_"),
        *("relu6", "sigmoid", "silu", "softplus", "tanh", "tanh_"),
        *("bfloat16", "clone", "contiguous", "cpu", "detach", "double", "float", "half", "to", "type", "type_as"),
    }
)


@dataclass(frozen=True)
class _Span:
    """Output pixel i of a grid depends on the input pixels ``[i·step + low, i·step + high]``, fractions rounded out."""

    step: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)

    def window(self, first: Fraction | int, last: Fraction | int, ratio: Fraction | int) -> _Span:
        """Grid whose pixel i depends on the pixels from ``i·ratio + first`` to ``i·ratio + last`` of this one."""
        low, high = self.low + self.step * first, self.high + self.step * last
        return _Span(self.step * ratio, low, high)

    def joined(self, other: _Span) -> _Span:
        return _Span(self.step, min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class ReceptiveField:
    """Receptive field of a network, per axis.

    Attributes
    ----------
    before, after
        Input pixels above and below (left and right of) a pixel that its own outputs depend on.
    multiple
        An input may be cut only at multiples of this many pixels, so that strided layers stay in step.
    everything
        Names of the operations that look at the whole image; when there are any, nothing may be cut.
    """

    before: int
    after: int
    multiple: int = 1
    everything: tuple[str, ...] = ()

    @property
    def halo(self) -> int:
        """The larger of both sides, as a multiple of `multiple`; a tile widened by it computes its middle exactly."""
        widest = max(self.before, self.after)
        return -(-widest // self.multiple) * self.multiple


class _Tracer(TorchFunctionMode):
    """Gives every tensor that comes from the input its span, through whatever code computes it."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: dict[int, _Span] = {}
        self.alive: list[Tensor] = []
        self.everything: dict[str, None] = {}
        self.coarsest = Fraction(1)

    def give(self, tensor: Tensor, span: _Span) -> None:
        self.alive.append(tensor)  # an id is a name only while its owner lives
        self.spans[id(tensor)] = span
        self.coarsest = max(self.coarsest, span.step)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        known = [self.spans[id(one)] for one in _tensors((args, kwargs)) if id(one) in self.spans]
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        if known and isinstance(out, Tensor):
            self.give(out, self._span(name, known, args, kwargs, out))
        return out

    def _span(self, name: str, known: list[_Span], args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> _Span:
        if name in _PIXELWISE and len({span.step for span in known}) == 1 and kwargs.get("dim", 1) == 1:
            return reduce(_Span.joined, known)
        rule = _RULES.get(name)
        span = rule(known[0], args, kwargs, out) if rule else None
        if span is None:
            self.everything[name] = None
            return known[0]
        return span


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, tuple | list):
        return [one for part in tree for one in _tensors(part)]
    return []


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _same(value: Any) -> int | None:
    """One number for both axes, or None when they differ or it is none."""
    values = set(value) if isinstance(value, tuple | list | torch.Size) else {value}
    only = values.pop() if len(values) == 1 else None
    return only if isinstance(only, int) else None


def _convolution(span: _Span, args: Any, kwargs: Any, out: Tensor) -> _Span | None:
    weight = _argument(args, kwargs, 1, "weight", None)
    stride, padding, dilation = (
        _same(_argument(args, kwargs, place, name, default))
        for place, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    )
    kernel = _same(weight.shape[-2:])
    if kernel is None or stride is None or padding is None or dilation is None:
        return None
    return span.window(-padding, dilation * (kernel - 1) - padding, stride)


def _transposed(span: _Span, args: Any, kwargs: Any, out: Tensor) -> _Span | None:
    weight = _argument(args, kwargs, 1, "weight", None)
    stride, padding, dilation = (
        _same(_argument(args, kwargs, place, name, default))
        for place, name, default in ((3, "stride", 1), (4, "padding", 0), (7, "dilation", 1))
    )
    kernel = _same(weight.shape[-2:])
    if kernel is None or stride is None or padding is None or dilation != 1:
        return None
    return span.window(Fraction(padding - kernel + 1, stride), Fraction(padding, stride), Fraction(1, stride))


def _pooling(span: _Span, args: Any, kwargs: Any, out: Tensor) -> _Span | None:
    kernel = _same(_argument(args, kwargs, 1, "kernel_size", None))
    stride = _same(_argument(args, kwargs, 2, "stride", None) or kernel)
    padding = _same(_argument(args, kwargs, 3, "padding", 0))
    if kernel is None or stride is None or padding is None:
        return None
    return span.window(-padding, kernel - 1 - padding, stride)


def _shuffle(span: _Span, args: Any, kwargs: Any, out: Tensor) -> _Span:
    factor = _argument(args, kwargs, 1, "upscale_factor", 1)
    return span.window(-Fraction(factor - 1, factor), 0, Fraction(1, factor))


def _unshuffle(span: _Span, args: Any, kwargs: Any, out: Tensor) -> _Span:
    factor = _argument(args, kwargs, 1, "downscale_factor", 1)
    return span.window(0, factor - 1, factor)


_SUPPORT = {"nearest": 0, "nearest-exact": 0, "area": 0, "bilinear": 1, "bicubic": 2}


def _interpolation(span: _Span, args: Any, kwargs: Any, out: Tensor) -> _Span | None:
    image = _argument(args, kwargs, 0, "input", None)
    mode = _argument(args, kwargs, 3, "mode", "nearest")
    ratios = {Fraction(a, b) for a, b in zip(image.shape[-2:], out.shape[-2:], strict=True)}
    if mode not in _SUPPORT or len(ratios) != 1 or kwargs.get("align_corners"):
        return None
    ratio = ratios.pop()
    if max(ratio.numerator, ratio.denominator) != max(ratio, 1 / ratio):
        return None
    if _SUPPORT[mode] == 0:
        return span.window(-(1 - ratio), 0, ratio) if ratio <= 1 else span.window(0, ratio - 1, ratio)
    # Centre of output pixel i: (i + 1/2)·ratio − 1/2, and the kernel's support on either side, which an
    # antialiasing filter widens when shrinking.
    support = _SUPPORT[mode] * (max(ratio, Fraction(1)) if kwargs.get("antialias") else 1)
    centre = (ratio - 1) / 2
    return span.window(centre - support, centre + support, ratio)


def _pad(span: _Span, args: Any, kwargs: Any, out: Tensor) -> _Span | None:
    pads = _argument(args, kwargs, 1, "pad", ())
    if len(pads) != 4 or pads[0] != pads[2]:
        return None
    # A border pixel mirrors others that are no further away than the padding is wide, which the next window covers.
    return span.window(-pads[0], -pads[0], 1)


def _cut(span: _Span, args: Any, kwargs: Any, out: Tensor) -> _Span | None:
    key = args[1]
    keys = key if isinstance(key, tuple) else (key,)
    if Ellipsis not in keys or keys.index(Ellipsis) != 0 or len(keys) != 3:
        return None
    if any(not isinstance(one, slice) or one.step not in (None, 1) or (one.start or 0) != 0 for one in keys[1:]):
        return None
    return span


_RULES: dict[str, Callable[[_Span, Any, Any, Tensor], _Span | None]] = {
    "conv2d": _convolution,
    "conv_transpose2d": _transposed,
    "avg_pool2d": _pooling,
    "max_pool2d": _pooling,
    "boolean_dispatch": _pooling,
    "pixel_shuffle": _shuffle,
    "pixel_unshuffle": _unshuffle,
    "interpolate": _interpolation,
    "pad": _pad,
    "__getitem__": _cut,
}


def trace(function: Callable[..., Tensor], *inputs: Any) -> ReceptiveField:
    """Follow `function` on `inputs` that share one grid; their values do not matter, their sizes should be even.

    Parameters
    ----------
    function
        Maps tensors ``(n, c, h, w)`` of one size to one tensor ``(n, c, k·h, k·w)``.
    inputs
        Tensors, or tuples of them. They may be on the ``meta`` device, with the network on it too.

    Returns
    -------
    ReceptiveField
        It may be wider than the true one, never narrower, provided that all data flow through
        PyTorch functions; an operation that it does not know counts as one that looks at everything.
    """
    tracer = _Tracer()
    for one in _tensors(inputs):
        tracer.give(one, _Span())
    with torch.no_grad(), tracer:
        out = function(*inputs)
    span = tracer.spans[id(out)]
    scale = out.shape[-1] // _tensors(inputs)[0].shape[-1]
    if span.step != Fraction(1, scale):
        tracer.everything["resizing"] = None
    # Outputs of input pixel p are i = p·scale … p·scale + scale − 1.
    before = math.floor(-span.low)
    after = math.floor(span.high + 1 - Fraction(1, scale))
    return ReceptiveField(max(0, before), max(0, after), math.ceil(tracer.coarsest), tuple(tracer.everything))


def receptive_field_of(network: nn.Module, size: int = 64) -> ReceptiveField:
    """Receptive field of an enhancer ``(1, 1, h, w)`` to ``(1, 1, s·h, s·w)``; see `trace`."""
    first = next((parameter for parameter in network.parameters()), None)
    device = torch.device("cpu") if first is None else first.device
    return trace(network, torch.zeros(1, 1, size, size, device=device))
