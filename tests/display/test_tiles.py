"""Planes of a volume in tiles: every pixel, every level, and no more read than that."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.display.cache import ArrayCache
from ctloupe.display.frame import Frame, place
from ctloupe.display.tiles import BORDER, IN_PLANE, MOST_BYTES_ACROSS, NOTHING, TILE, Tiles, reduced
from ctloupe.foundation.errors import OptionError
from ctloupe.volume.formats import format_of, read
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter
from ctloupe.volume.volume import LazyArray, Volume


def tiles_of(*volumes):
    frame = Frame.of(volumes[0])
    return Tiles([place(one, frame) for one in volumes], ArrayCache(1 << 26), "a")


def whole_plane(tiles, axis, level, index):
    """The plane put together from its tiles without their borders."""
    shape = tiles.planes[axis][level].shape
    made = np.empty(shape, np.float32)
    for row in range(-(-shape[0] // TILE)):
        for column in range(-(-shape[1] // TILE)):
            tile = tiles.tile(axis, level, index, row, column)[BORDER:-BORDER, BORDER:-BORDER]
            made[row * TILE : row * TILE + tile.shape[0], column * TILE : column * TILE + tile.shape[1]] = tile
    return made


@pytest.mark.parametrize("lazy", [False, True])
def test_tiles_are_the_voxels_of_every_plane_with_those_of_their_neighbours_around(lazy):
    values = np.random.default_rng(0).integers(-1000, 1000, (3, 530, 700)).astype(np.int16)
    data = LazyArray(values.shape, values.dtype, lambda block: values[block], "v") if lazy else values
    tiles = tiles_of(Volume(data, (1.0, 0.5, 0.5)))
    assert np.array_equal(whole_plane(tiles, 0, 0, 1), values[1])
    assert np.array_equal(whole_plane(tiles, 1, 0, 511), values[:, 511])
    assert np.array_equal(whole_plane(tiles, 2, 0, 699), values[:, :, 699])
    padded = np.pad(values[2], BORDER, mode="edge")
    assert np.array_equal(tiles.tile(0, 0, 2, 1, 1), padded[512 : 530 + 4, 512 : 700 + 4])


def test_levels_of_a_store_are_used_and_those_beyond_are_means_of_blocks(tmp_path):
    values = np.random.default_rng(0).integers(-1000, 1000, (2, 1024, 1024)).astype(np.int16)
    with OmeZarrWriter(tmp_path / "a.ome.zarr", values.shape, np.int16, (5.0, 0.1, 0.1), levels=1) as writer:
        writer.write(0, values)
    volume = read(tmp_path / "a.ome.zarr")
    coarser = format_of(tmp_path / "a.ome.zarr").coarser(tmp_path / "a.ome.zarr", volume)
    assert [one.shape for one in coarser] == [(2, 512, 512)]
    assert coarser[0].origin == pytest.approx((0.05, 0.05, 0.0))
    tiles = tiles_of(volume, *coarser)
    assert [(one.own, one.shape) for one in tiles.planes[0]] == [(0, (1024, 1024)), (1, (512, 512)), (1, (256, 256))]
    assert all(one.edge == pytest.approx((-0.05, -0.05)) for one in tiles.planes[0])
    stored = np.asarray(coarser[0].data[1]).astype(np.float32)
    blocks = stored.reshape(256, 2, 256, 2).mean((1, 3))
    assert np.abs(whole_plane(tiles, 0, 2, 1) - blocks).max() <= 0.5


def test_a_damaged_level_is_left_out(tmp_path):
    path = tmp_path / "a.ome.zarr"
    with OmeZarrWriter(path, (1, 64, 64), np.int16, (1.0, 1.0, 1.0), levels=2) as writer:
        writer.write(0, np.ones((1, 64, 64), np.int16))
    (path / "1" / "zarr.json").write_text("{}")
    volume = read(path)
    assert [one.shape for one in format_of(path).coarser(path, volume)] == [(1, 16, 16)]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_the_last_block_holds_what_is_left(height, width, tall, wide):
    values = np.random.default_rng(height).normal(size=(height, width)).astype(np.float32)
    found = reduced(values, (tall, wide))
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            block = values[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            assert found[row, column] == pytest.approx(block.mean(), abs=1e-5)


def test_planes_across_slices_are_offered_as_fine_as_reading_them_is_affordable():
    reading = []

    def read_block(block):
        reading.append(block)
        return np.zeros([one.stop - one.start for one in block], np.int16)

    shape = (64, 8192, 8192)
    fine = Volume(LazyArray(shape, np.int16, read_block, "v"), (1.0, 0.1, 0.1))
    coarse = Volume(np.zeros((64, 32, 32), np.int16), (1.0, 25.6, 25.6), (12.75, 12.75, 0.0))
    tiles = tiles_of(fine, coarse)
    assert MOST_BYTES_ACROSS < 64 * 8192 * 512 * 2
    assert {one.own for one in tiles.planes[1]} == {1} and tiles.planes[0][0].own == 0
    assert not reading
    alone = tiles_of(fine)
    assert alone.planes[1] == () == alone.planes[2] and len(alone.planes[0]) == 6


def test_a_part_of_a_slice_is_read_once_and_kept():
    reading = []

    def read_block(block):
        reading.append(block)
        return np.zeros([one.stop - one.start for one in block], np.int16)

    tiles = tiles_of(Volume(LazyArray((4, 1024, 1024), np.int16, read_block, "v"), (1.0, 0.1, 0.1)))
    tiles.tile(0, 0, 2, 0, 0)
    assert reading == [(slice(2, 3), slice(0, 1024), slice(0, 1024))], "the tile, and what borders on it"
    tiles.tile(0, 0, 2, 1, 1)
    assert tiles.value((0.0, 0.0, 2.0)) == 0
    assert len(reading) == 1
    tiles.forget()
    tiles.tile(0, 0, 2, 0, 0)
    assert len(reading) == 2


def test_whole_numbers_travel_in_two_bytes_and_others_in_four():
    whole = tiles_of(Volume(np.full((1, 4, 4), -32768, np.int16), (1.0, 1.0, 1.0))).tile(0, 0, 0, 0, 0)
    assert whole.dtype == np.int16 and np.all(whole == NOTHING + 1), "the lowest number means that there is no value"
    for kind in (np.uint16, np.float32, np.int32):
        tile = tiles_of(Volume(np.full((1, 4, 4), 60000, kind), (1.0, 1.0, 1.0))).tile(0, 0, 0, 0, 0)
        assert tile.dtype == np.float32 and np.all(tile == 60000)


@pytest.mark.parametrize(
    "place", [(3, 0, 0, 0, 0), (0, 9, 0, 0, 0), (0, 0, 5, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, -1)]
)
def test_what_is_not_there_is_refused(place):
    with pytest.raises(OptionError):
        tiles_of(Volume(np.zeros((2, 8, 8), np.int16), (1.0, 1.0, 1.0))).tile(*place)


def test_the_sides_of_a_pixel_become_alike_before_both_are_doubled():
    tiles = tiles_of(Volume(np.zeros((300, 8, 2048), np.int16), (4.0, 1.0, 0.5)))
    sides = [one.pixel for one in tiles.planes[1]]
    assert sides[:4] == [(4.0, 0.5), (4.0, 1.0), (4.0, 2.0), (4.0, 4.0)]
    assert IN_PLANE[1] == (0, 2)


def test_the_cache_keeps_to_its_bound_and_drops_what_was_not_asked_for_longest():
    cache = ArrayCache(3000)
    for name in "abc":
        cache.keep(name, np.zeros(1000, np.uint8))
    assert cache.held("a") is not None and cache.held_bytes == 3000
    cache.keep("d", np.zeros(1000, np.uint8))
    assert [name for name in "abcd" if cache.held(name) is not None] == ["a", "c", "d"]
    cache.keep("large", np.zeros(5000, np.uint8))
    assert cache.held("large") is None and cache.held_bytes <= 3000
    with pytest.raises(ValueError, match="read-only"):
        cache.held("a")[0] = 1
