"""Patch banks: inside the mask, uniform, seeded, recorded, and safe on disk."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.foundation.errors import FileError, GeometryError, IntensityError, OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.volume import LazyArray, Volume

WIDE = IntensityWindow(-30000, 30000)


def numbered(shape):
    """Every voxel its own number, so that a patch tells where it was cut."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def changed(bank, **values):
    """The record of a bank with some values replaced."""
    return json.dumps(json.loads((bank / "bank.json").read_text()) | values)


def corners(bank, shape):
    return [np.unravel_index(int(patch[0, 0]), shape) for patch in bank.patches]


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(6, 14), st.integers(6, 14)),
    size=st.integers(1, 6),
    share=st.floats(0.6, 1),
    seed=st.integers(0, 5),
)
def test_every_patch_lies_wholly_inside_the_mask(shape, size, share, seed):
    mask = np.random.default_rng(seed).random(shape) < share
    values = numbered(shape)
    places = {
        (z, y, x)
        for z, y, x in np.ndindex(shape[0], shape[1] - size + 1, shape[2] - size + 1)
        if mask[z, y : y + size, x : x + size].all()
    }
    case = ("v", Volume(values, (1, 1, 1)), mask)
    if not places:
        with pytest.raises(IntensityError, match="v: no patch"):
            PatchBank.sample([case], size, 5, WIDE, seed)
        return
    bank = PatchBank.sample([case], size, 30, WIDE, seed)
    for patch, (z, y, x) in zip(bank.patches, corners(bank, shape), strict=True):
        assert (z, y, x) in places
        assert np.array_equal(patch, values[z, y : y + size, x : x + size])
    assert bank.provenance[0]["places"] == len(places)
    assert bank.provenance[0]["drawn_twice"] == (len(places) < 30)


def test_with_as_many_patches_as_places_each_is_taken_once():
    shape = (2, 8, 9)
    bank = PatchBank.sample([("v", Volume(numbered(shape), (1, 1, 1)), None)], 4, 2 * 5 * 6, WIDE)
    assert len(set(corners(bank, shape))) == 60


@pytest.mark.parametrize("seed", [0, 1])
def test_every_place_inside_the_mask_is_reached_and_no_other(seed):
    shape, size = (3, 9, 11), 3
    mask = np.random.default_rng(seed).random(shape) < 0.9
    mask[1] = False
    places = {
        (z, y, x)
        for z, y, x in np.ndindex(shape[0], shape[1] - size + 1, shape[2] - size + 1)
        if mask[z, y : y + size, x : x + size].all()
    }
    bank = PatchBank.sample([("v", Volume(numbered(shape), (1, 1, 1)), mask)], size, len(places), WIDE, seed)
    assert set(corners(bank, shape)) == places


def test_places_are_drawn_evenly_over_slices_of_unlike_mask():
    shape = (2, 20, 20)
    mask = np.ones(shape, bool)
    mask[1, 11:] = False
    bank = PatchBank.sample([("v", Volume(numbered(shape), (1, 1, 1)), mask)], 2, 20_000, WIDE)
    lower = sum(z == 0 for z, _, _ in corners(bank, shape)) / 20_000
    assert lower == pytest.approx(19 * 19 / (19 * 19 + 10 * 19), abs=0.015)


def test_each_volume_is_recorded_with_its_own_share():
    whole, half = np.ones((1, 20, 20), bool), np.zeros((1, 20, 20), bool)
    half[:, :10] = True
    volume = Volume(numbered((1, 20, 20)), (2, 0.5, 0.25), history=("cropped",))
    bank = PatchBank.sample([("a", volume, whole), ("b", volume, half)], 8, 10, WIDE, 3)
    assert [one["name"] for one in bank.provenance] == ["a", "b"]
    assert [one["mask_share"] for one in bank.provenance] == [1, 0.5]
    assert [one["places"] for one in bank.provenance] == [13 * 13, 3 * 13]
    assert all(one["seed"] == 3 and one["history"] == ["cropped"] for one in bank.provenance)
    assert not np.array_equal(bank.patches[:10], bank.patches[10:])


def test_the_same_seed_gives_the_same_patches_and_another_seed_others():
    case = [("v", Volume(numbered((2, 40, 40)), (1, 0.5, 0.25)), None)]
    one, same, other = (PatchBank.sample(case, 8, 20, WIDE, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.patches, same.patches)
    assert not np.array_equal(one.patches, other.patches)
    assert one.spacing == (0.5, 0.25)
    assert one.provenance[0]["patches_sha256"] == same.provenance[0]["patches_sha256"]


def test_values_beyond_int16_and_narrow_float_windows_are_resolved():
    bright = np.linspace(0, 65000, 400).reshape(1, 20, 20).astype(np.uint16)
    bank = PatchBank.sample([("v", Volume(bright, (1, 1, 1)), None)], 20, 1, IntensityWindow(0, 60000))
    inside = bright[0] <= 60000
    assert np.abs(bank.values(0) - bright[0])[inside].max() <= 1
    narrow = np.linspace(-0.2, 0.9, 400, dtype=np.float32).reshape(1, 20, 20)
    bank = PatchBank.sample([("v", Volume(narrow, (1, 1, 1)), None)], 20, 1, IntensityWindow(0, 0.8))
    inside = (narrow[0] >= 0) & (narrow[0] <= 0.8)
    assert np.abs(bank.values(0) - narrow[0])[inside].max() < 1e-4


def test_unit_values_are_those_of_the_window():
    window = IntensityWindow(-1000, 400)
    values = np.random.default_rng(0).normal(-700, 400, (1, 12, 12)).astype(np.int16)
    bank = PatchBank.sample([("v", Volume(values, (1, 1, 1)), None)], 12, 1, window)
    assert np.allclose(bank.unit()[0, 0], window.to_unit(values[0]), atol=1e-5)
    gain, offset = bank.unit_line()
    assert np.allclose((gain * bank.patches + offset).clip(-1, 1), bank.unit()[:, 0], atol=1e-5)


def test_a_lazily_read_volume_is_read_slice_by_slice():
    values, most = numbered((5, 20, 20)), []

    def read(block):
        most.append(block[0].stop - block[0].start)
        return values[block]

    lazy = Volume(LazyArray(values.shape, np.int16, read, "v"), (1, 1, 1))
    assert len(PatchBank.sample([("v", lazy, None)], 6, 50, WIDE)) == 50
    assert max(most) == 1
    assert len(most) <= 5


def test_a_bank_on_disk_is_the_same_bank(tmp_path):
    bank = PatchBank.sample([("a", Volume(numbered((2, 20, 20)), (2, 1, 1), modality="micro"), None)], 8, 7, WIDE)
    bank.save(tmp_path / "x.bank")
    found = PatchBank.load(tmp_path / "x.bank")
    assert np.array_equal(found.patches, bank.patches)
    assert (found.window, found.spacing, found.modality) == (bank.window, bank.spacing, "micro")
    assert found.provenance == bank.provenance
    assert "Research use only" in (tmp_path / "x.bank" / "bank.json").read_text()
    with pytest.raises(FileError, match="overwrite"):
        bank.save(tmp_path / "x.bank")
    bank.save(tmp_path / "x.bank", overwrite=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda bank: (bank / "patches.npy").unlink(),
        lambda bank: (bank / "bank.json").unlink(),
        lambda bank: (bank / "patches.npy").write_bytes((bank / "patches.npy").read_bytes()[:200]),
        lambda bank: (bank / "patches.npy").write_bytes(b""),
        lambda bank: np.save(bank / "thick.npy", np.zeros((1, 8, 8), np.int16)),
        lambda bank: (bank / "bank.json").write_text(changed(bank, spacing=[float("nan"), 1])),
        lambda bank: (bank / "bank.json").write_text(changed(bank, slope=-1.0)),
        lambda bank: (bank / "bank.json").write_text("{"),
        lambda bank: (bank / "bank.json").write_text(changed(bank, window={"low": 1, "high": 0})),
        lambda bank: (bank / "bank.json").write_text(changed(bank, window={"low": 0, "hihg": 1})),
        lambda bank: np.save(bank / "patches.npy", np.zeros((2, 3, 4))),
        lambda bank: np.save(bank / "patches.npy", np.array([{}], dtype=object)),
    ],
)
def test_a_damaged_bank_is_an_error_that_names_it(tmp_path, damage):
    PatchBank.sample([("a", Volume(numbered((1, 20, 20)), (1, 1, 1)), None)], 8, 3, WIDE).save(tmp_path / "x.bank")
    damage(tmp_path / "x.bank")
    with pytest.raises(FileError, match=r"x\.bank"):
        PatchBank.load(tmp_path / "x.bank")


@pytest.mark.parametrize("stride", [3, 5])
def test_patches_on_a_grid_are_all_places_of_the_grid_inside_the_mask_once(stride):
    shape, mask = (2, 17, 19), np.ones((2, 17, 19), bool)
    mask[1, :4] = False
    mask[:, :, :2] = False
    values = numbered(shape)
    bank = PatchBank.sample([("v", Volume(values, (1, 1, 1)), mask)], 4, 500, WIDE, stride=stride)
    expected = {
        (z, y, x)
        for z in range(2)
        for y in range(0, 14, stride)
        for x in range(2, 16, stride)
        if mask[z, y : y + 4, x : x + 4].all()
    }
    found = [tuple(map(int, corner)) for corner in corners(bank, shape)]
    assert len(found) == len(set(found)) and set(found) == expected
    few = PatchBank.sample([("v", Volume(values, (1, 1, 1)), None)], 4, 7, WIDE, stride=stride)
    assert len(few) == 7


def test_a_mask_of_numbers_counts_where_it_is_not_zero_and_must_fit():
    volume = Volume(numbered((1, 9, 9)), (1, 1, 1))
    assert len(PatchBank.sample([("v", volume, np.ones((1, 9, 9), np.uint8))], 4, 3, WIDE)) == 3
    with pytest.raises(GeometryError, match="v: the mask has shape"):
        PatchBank.sample([("v", volume, np.ones((1, 9, 8), bool))], 4, 3, WIDE)


@pytest.mark.parametrize("sizes", [(0, 3), (4, 0)])
def test_sizes_must_be_positive(sizes):
    with pytest.raises(OptionError, match="positive"):
        PatchBank.sample([("v", Volume(numbered((1, 9, 9)), (1, 1, 1)), None)], *sizes, WIDE)


def test_no_volume_is_an_error():
    with pytest.raises(OptionError):
        PatchBank.sample([], 8)
