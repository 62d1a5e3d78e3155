"""Convolutions by Winograd's minimal filtering, with their gradients: a quarter of the multiplications.

A tile of the output is a product, number by number, of a transformed kernel and a transformed tile of the input (Lavin
and Gray 2016, arXiv:1509.09308), so that all tiles together are matrix products, one for each of the 36 numbers of a
tile of 6×6. Both gradients are the transposes of the same transforms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.networks.training.plain_gradients import plain_gradients

_TILE: Final = 6
"""Side of a tile of the input."""

_POINTS: Final = (0.0, 1.0, -1.0, 2.0, -0.5)
"""Where the polynomials are evaluated, beside infinity: with these the rounding is that of a direct convolution."""

_BLOCK_COLUMNS: Final = 20_000
_STRIP_COLUMNS: Final = 80_000
"""Numbers of tiles times channels that are transformed, and multiplied, at once, so that they stay in the cache."""


@dataclass(frozen=True)
class _Transforms:
    """Transforms of tiles of the input, of kernels and of products, each for rows and columns at once."""

    input: Tensor
    kernel: Tensor
    output: Tensor


@lru_cache(maxsize=8)
def _transforms(taps: int) -> _Transforms:
    """Build the transforms by the method of Toom and Cook for kernels of so many taps in each direction."""
    side, points = _TILE - taps + 1, torch.tensor(_POINTS, dtype=torch.float64)
    kernel, output, tile = torch.zeros(_TILE, taps), torch.zeros(side, _TILE), torch.zeros(_TILE, _TILE)
    kernel, output, tile = kernel.double(), output.double(), tile.double()
    for row, point in enumerate(_POINTS):
        others = [one for one in _POINTS if one != point]
        kernel[row] = point ** torch.arange(taps) / (point - torch.tensor(others, dtype=torch.float64)).prod()
        output[:, row] = points[row] ** torch.arange(side)
        tile[row, :-1] = _polynomial(others)
    kernel[-1, -1] = output[-1, -1] = 1
    tile[-1] = _polynomial(list(_POINTS))
    return _Transforms(*(torch.kron(one, one).float() for one in (tile, kernel, output)))


def _polynomial(roots: list[float]) -> Tensor:
    """Coefficients of the polynomial with these roots, the constant one first."""
    found = torch.ones(1, dtype=torch.float64)
    for root in roots:
        longer = torch.zeros(len(found) + 1, dtype=torch.float64)
        longer[1:] += found
        longer[:-1] -= root * found
        found = longer
    return found


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution of stride 1, with equal padding and kernel in both directions.

    Attributes
    ----------
    kernel, padding
        Those of the convolution.
    reflects
        Whether the padding reflects; otherwise it is of zeros.
    """

    kernel: int
    padding: int
    reflects: bool = False

    @property
    def side(self) -> int:
        """Side of a tile of the output."""
        return _TILE - self.kernel + 1

    def output(self, size: int) -> int:
        """Return the side of the output for one of the input."""
        return size + 2 * self.padding - self.kernel + 1

    def tiles(self, output: int) -> int:
        """Return how many tiles hold one side of the output."""
        return -(-output // self.side)

    def padded(self, tiles: int) -> int:
        """Return the side of the padded input that so many tiles look at."""
        return tiles * self.side + self.kernel - 1


@torch.no_grad()
def transformed_kernel(weight: Tensor) -> Tensor:
    """Return weights ``(out, in, k, k)`` transformed, ``(36, in, out)``."""
    outputs, inputs, taps, _ = weight.shape
    by_tap = weight.permute(2, 3, 1, 0).reshape(taps**2, -1)
    return (_transforms(taps).kernel @ by_tap).view(_TILE**2, inputs, outputs)


def _kernel_gradient(transformed: Tensor, taps: int) -> Tensor:
    """Gradient of weights ``(out, in, k, k)`` from that of the transformed ones."""
    by_tap = _transforms(taps).kernel.T @ transformed.flatten(1)
    return by_tap.view(taps, taps, *transformed.shape[1:]).permute(3, 2, 0, 1)


def _padded(image: Tensor, geometry: Geometry, tiles: tuple[int, int]) -> Tensor:
    """Images ``(n, h, w, c)`` with their padding, and zeros as far as tiles reach beyond it."""
    count, height, width, channels = image.shape
    rim = geometry.padding
    made = image.new_zeros(count, geometry.padded(tiles[0]), geometry.padded(tiles[1]), channels)
    made[:, rim : rim + height, rim : rim + width] = image
    if geometry.reflects:
        for near in range(1, rim + 1):
            made[:, :, rim - near] = made[:, :, rim + near]
            made[:, :, rim + width - 1 + near] = made[:, :, rim + width - 1 - near]
        for near in range(1, rim + 1):
            made[:, rim - near] = made[:, rim + near]
            made[:, rim + height - 1 + near] = made[:, rim + height - 1 - near]
    return made


def _unpadded(gradient: Tensor, geometry: Geometry, height: int, width: int) -> Tensor:
    """Gradient of the image from that of the padded one, which is written to where it reflects."""
    rim = geometry.padding
    if geometry.reflects:
        for near in range(1, rim + 1):
            gradient[:, rim + near] += gradient[:, rim - near]
            gradient[:, rim + height - 1 - near] += gradient[:, rim + height - 1 + near]
        for near in range(1, rim + 1):
            gradient[:, :, rim + near] += gradient[:, :, rim - near]
            gradient[:, :, rim + width - 1 - near] += gradient[:, :, rim + width - 1 + near]
    return gradient[:, rim : rim + height, rim : rim + width]


Piece = tuple[slice, slice]
"""Images of a batch, and rows of their tiles."""


def _pieces(images: slice, rows: slice, most: int) -> Iterator[Piece]:
    """Cut images and rows of tiles into pieces of so many rows at most, of several whole images or a part of one."""
    height = rows.stop - rows.start
    together, parts = max(1, most // height), -(-height // most)
    step = -(-height // parts)
    for image in range(images.start, images.stop, together):
        for row in range(rows.start, rows.stop, step):
            yield slice(image, min(image + together, images.stop)), slice(row, min(row + step, rows.stop))


class _Tiles:
    """Tiles of a batch: transformed in blocks and multiplied in strips, both of a size that the caches hold."""

    def __init__(self, geometry: Geometry, count: int, tiles: tuple[int, int], inputs: int, outputs: int) -> None:
        self.geometry, self.count, self.tiles = geometry, count, tiles
        self.inputs, self.outputs = inputs, outputs
        self.transforms = _transforms(geometry.kernel)
        wide = tiles[1] * max(inputs, outputs)
        self._block = max(1, _BLOCK_COLUMNS // wide)
        self._strip = max(self._block, _STRIP_COLUMNS // wide)
        columns = min(self._strip, count * tiles[0]) * tiles[1]
        self._transformed = torch.empty(_TILE**2 * columns * inputs)
        self._product = torch.empty(_TILE**2 * columns * outputs)
        self._work = torch.empty(_TILE**2 * min(self._block, count * tiles[0]) * wide)

    def strips(self) -> Iterator[Piece]:
        """Give what is multiplied at once."""
        return _pieces(slice(0, self.count), slice(0, self.tiles[0]), self._strip)

    def _blocks(self, strip: Piece) -> Iterator[tuple[Piece, slice]]:
        """Give what is transformed at once, and its place among the tiles of the strip."""
        first = 0
        for block in _pieces(*strip, self._block):
            last = first + _tiles_of(block, self.tiles[1])
            yield block, slice(first, last)
            first = last

    def transformed(self, strip: Piece) -> Tensor:
        """Room for transformed tiles of the input, ``(36, tiles, in)``."""
        return self._transformed[: _TILE**2 * _tiles_of(strip, self.tiles[1]) * self.inputs].view(
            _TILE**2, -1, self.inputs
        )

    def product(self, strip: Piece) -> Tensor:
        """Room for products, ``(36, tiles, out)``."""
        return self._product[: _TILE**2 * _tiles_of(strip, self.tiles[1]) * self.outputs].view(
            _TILE**2, -1, self.outputs
        )

    def gathered(self, padded: Tensor, strip: Piece) -> Tensor:
        """Transform tiles of the padded input ``(n, h, w, in)``."""
        side, (whole, row, column, _) = self.geometry.side, padded.stride()
        made = self.transformed(strip)
        for block, place in self._blocks(strip):
            tiles = self._in_work(_TILE, block, self.inputs)
            start = block[0].start * whole + block[1].start * side * row
            steps = (row, column, whole, side * row, side * column, 1)
            tiles.copy_(padded.as_strided(tiles.shape, steps, start))
            torch.mm(self.transforms.input, tiles.view(_TILE**2, -1), out=_columns(made, place))
        return made

    def scattered(self, transformed: Tensor, grid: Tensor, strip: Piece) -> None:
        """Add the gradient of transformed tiles to that of the padded input; the transpose of `gathered`."""
        side, across = self.geometry.side, self.tiles[1]
        for (images, rows), place in self._blocks(strip):
            tiles = self._in_work(_TILE, (images, rows), self.inputs)
            torch.mm(self.transforms.input.T, _columns(transformed, place), out=tiles.view(_TILE**2, -1))
            by_place = tiles.permute(2, 3, 0, 4, 1, 5)
            for down, heights in ((0, slice(0, side)), (1, slice(side, _TILE))):
                for right, widths in ((0, slice(0, side)), (1, slice(side, _TILE))):
                    part = by_place[:, :, heights, :, widths]
                    into = grid[images, rows.start + down : rows.stop + down, :, right : right + across]
                    into[:, :, : part.shape[2], :, : part.shape[4]] += part

    def grid(self) -> Tensor:
        """Zeros in the shape that `scattered` adds to, with a tile more than there are in each direction."""
        side, (rows, columns) = self.geometry.side, self.tiles
        return torch.zeros(self.count, rows + 1, side, columns + 1, side, self.inputs)

    def finish(self, product: Tensor, bias: Tensor | None, made: Tensor, strip: Piece) -> None:
        """Write the outputs of products to ``(n, rows, side, columns, side, out)``."""
        for (images, rows), place in self._blocks(strip):
            tiles = self._in_work(self.geometry.side, (images, rows), self.outputs)
            torch.mm(self.transforms.output, _columns(product, place), out=tiles.view(-1, tiles[0, 0].numel()))
            found, into = tiles.permute(2, 3, 0, 4, 1, 5), made[images, rows]
            into.copy_(found) if bias is None else torch.add(found, bias, out=into)

    def products_of(self, output: Tensor, strip: Piece) -> Tensor:
        """Gradient of the products from that of the output; the transpose of `finish`."""
        made = self.product(strip)
        for (images, rows), place in self._blocks(strip):
            tiles = self._in_work(self.geometry.side, (images, rows), self.outputs)
            tiles.copy_(output[images, rows].permute(2, 4, 0, 1, 3, 5))
            torch.mm(self.transforms.output.T, tiles.view(-1, tiles[0, 0].numel()), out=_columns(made, place))
        return made

    def _in_work(self, side: int, block: Piece, channels: int) -> Tensor:
        """Room for tiles by place within the tile, ``(side, side, images, rows, columns, channels)``."""
        images, rows = (one.stop - one.start for one in block)
        shape = (side, side, images, rows, self.tiles[1], channels)
        return self._work[: math.prod(shape)].view(shape)


def _tiles_of(piece: Piece, columns: int) -> int:
    return math.prod(one.stop - one.start for one in piece) * columns


def _columns(tiles: Tensor, place: slice) -> Tensor:
    """Some of tiles ``(36, tiles, c)``, as a matrix."""
    channels = tiles.shape[2]
    return tiles.flatten(1)[:, place.start * channels : place.stop * channels]


def _sides(geometry: Geometry, height: int, width: int) -> tuple[int, int]:
    return geometry.tiles(height), geometry.tiles(width)


def _whole_tiles(output: Tensor, geometry: Geometry) -> Tensor:
    """Outputs ``(n, h, w, c)`` by tile, ``(n, rows, side, columns, side, c)``, with zeros where a tile reaches out."""
    count, height, width, channels = output.shape
    rows, columns = _sides(geometry, height, width)
    side = geometry.side
    if (rows * side, columns * side) != (height, width):
        made = output.new_zeros(count, rows * side, columns * side, channels)
        made[:, :height, :width] = output
        output = made
    return output.contiguous().view(count, rows, side, columns, side, channels)


def _convolved(image: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Convolve images ``(n, h, w, in)`` with a transformed kernel."""
    height, width = (geometry.output(size) for size in image.shape[1:3])
    sides, side, outputs = _sides(geometry, height, width), geometry.side, kernel.shape[2]
    tiles = _Tiles(geometry, len(image), sides, image.shape[3], outputs)
    padded = _padded(image, geometry, sides)
    made = image.new_empty(len(image), sides[0], side, sides[1], side, outputs)
    for strip in tiles.strips():
        product = torch.bmm(tiles.gathered(padded, strip), kernel, out=tiles.product(strip))
        tiles.finish(product, bias, made, strip)
    return made.view(len(image), sides[0] * side, sides[1] * side, outputs)[:, :height, :width].contiguous()


def _gradients(
    gradient: Tensor, image: Tensor, kernel: Tensor, geometry: Geometry, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of image and weight of `_convolved`, as far as they are wanted."""
    sides = _sides(geometry, *gradient.shape[1:3])
    tiles = _Tiles(geometry, len(gradient), sides, *kernel.shape[1:])
    by_tile = _whole_tiles(gradient, geometry)
    padded = _padded(image, geometry, sides) if wanted[1] else None
    grid = tiles.grid() if wanted[0] else None
    of_kernel: Tensor | None = None
    for strip in tiles.strips():
        product = tiles.products_of(by_tile, strip)
        if padded is not None:
            seen = tiles.gathered(padded, strip).mT
            of_kernel = torch.bmm(seen, product) if of_kernel is None else of_kernel.baddbmm_(seen, product)
        if grid is not None:
            tiles.scattered(torch.bmm(product, kernel.mT, out=tiles.transformed(strip)), grid, strip)
    of_image = None
    if grid is not None:
        whole = grid.view(len(grid), *((tile + 1) * geometry.side for tile in sides), tiles.inputs)
        of_image = _unpadded(whole, geometry, *image.shape[1:3])
    return of_image, None if of_kernel is None else _kernel_gradient(of_kernel, geometry.kernel)


def _directly(image: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    rim = (geometry.padding,) * 4
    return F.conv2d(F.pad(image, rim, "reflect" if geometry.reflects else "constant"), weight, bias)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, kernel: Tensor, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(image, weight, bias)
        ctx.kernel, ctx.geometry = kernel, geometry
        return _convolved(image.permute(0, 2, 3, 1), kernel, bias, geometry).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, bias = ctx.saved_tensors
        by_image, by_weight, by_bias, *_ = ctx.needs_input_grad
        if torch.is_grad_enabled():
            plainly = partial(_directly, geometry=ctx.geometry)
            return *plain_gradients(plainly, (image, weight, bias), gradient, ctx.needs_input_grad[:3]), None, None
        by_place, seen = gradient.permute(0, 2, 3, 1), image.permute(0, 2, 3, 1)
        of_image, of_weight = _gradients(by_place, seen, ctx.kernel, ctx.geometry, (by_image, by_weight))
        of_image = None if of_image is None else of_image.permute(0, 3, 1, 2)
        return of_image, of_weight, gradient.sum((0, 2, 3)) if by_bias else None, None, None


def convolved(
    image: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, kernel: Tensor | None = None
) -> Tensor:
    """Convolve float32 images on a CPU; the same as `torch.nn.functional.conv2d` but for rounding.

    Parameters
    ----------
    image : (n, in, h, w)
        Images; channels-last is quickest.
    weight : (out, in, k, k)
        Weights, of 2 to 4 taps in each direction.
    bias : (out,), optional
        What is added to each output.
    geometry
        Kernel and padding.
    kernel : (36, in, out), optional
        What `transformed_kernel` makes of the weights, where that is at hand.

    Returns
    -------
    Tensor of shape (n, out, h', w')
        It is channels-last.
    """
    kernel = transformed_kernel(weight) if kernel is None else kernel
    made: Tensor = _Convolution.apply(image, weight, bias, kernel, geometry)
    return made
