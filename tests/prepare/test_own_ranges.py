"""Volumes scaled each by its own minimum and maximum: what of them is kept, and what no longer matters."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.foundation.errors import FileError, IntensityError, OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.banks import MIN_MAX, window_request
from ctloupe.prepare.own_ranges import UNIT, OwnRanges
from ctloupe.prepare.patches import PatchBank
from ctloupe.prepare.scanner_request import ScannerRequest, find_scanner
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume


def scan(seed=0, shape=(2, 9, 11)):
    values = np.random.default_rng(seed).integers(-1024, 3072, shape).astype(np.int16)
    return Volume(values, (1.0, 0.6, 0.6), modality="clinical", units="HU")


def bank_of(*volumes, **options):
    """A bank of volumes that are scaled each by its own range."""
    ranges = OwnRanges()
    cases = ((f"case-{number}", ranges.scaled(one, "scan")[0], None) for number, one in enumerate(volumes))
    return ranges.kept_by(PatchBank.sample(cases, 4, 12, UNIT, seed=3, **options))


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.01, 20), offset=st.floats(-5000, 5000), seed=st.integers(0, 5))
def test_values_that_differ_by_a_line_give_the_same_patches(gain, offset, seed):
    one = scan(seed)
    other = one.with_data((one.array().astype(np.float64) * gain + offset).astype(np.float32))
    first, second = bank_of(one), bank_of(other)
    # Stored are whole numbers from −30,000 to 30,000; float32 holds the scaled values to one of them.
    assert np.abs(first.patches.astype(int) - second.patches).max() <= 2
    assert np.abs(first.unit()).max() <= 1


def test_the_ends_of_a_volume_become_the_ends_of_the_scale():
    one = scan()
    cut = bank_of(one, one).unit()
    assert UNIT.low <= cut.min() and cut.max() <= UNIT.high
    scaled, note = OwnRanges().scaled(one, "scan")
    assert (np.asarray(scaled.data).min(), np.asarray(scaled.data).max()) == pytest.approx((-1, 1), abs=1e-6)
    assert note == f"values scaled by their own range of {one.array().min()} … {one.array().max()}"
    assert scaled.history[-1] == note


def test_each_volume_keeps_its_range_and_the_bank_says_the_mean_of_them(min_max_bank):
    bank = PatchBank.load(min_max_bank / "clinical.bank")
    ranges = np.array([one["range"] for one in bank.provenance])
    files = [read(min_max_bank.parent / f"{name}.nii.gz").array() for name in ("one", "two")]
    assert np.array_equal(ranges, [(one.min(), one.max()) for one in files])
    assert bank.scaling == "min-max"
    assert (bank.window.low, bank.window.high) == pytest.approx(tuple(ranges.mean(0)))
    # The values of a patch are those that it would have in a volume of that mean range.
    assert bank.window.to_unit(bank.values(0)) == pytest.approx(bank.unit()[0, 0], abs=1e-5)
    record = json.loads((min_max_bank / "clinical.bank" / "bank.json").read_text())
    assert record["scaling"] == "min-max"


def test_slices_beside_a_patch_are_scaled_with_it():
    one = scan(shape=(4, 9, 11))
    doubled = one.with_data((one.array().astype(np.int32) * 2).astype(np.int32))
    found = [bank_of(volume, thickness_mm=2.0, neighbours=(2.0,)) for volume in (one, doubled)]
    for name in ("slice_averages", "patches"):
        assert np.abs(getattr(found[0], name).astype(int) - getattr(found[1], name)).max() <= 1
    beside = [one.neighbours.patches.astype(int) for one in found]
    assert np.abs(beside[0] - beside[1]).max() <= 1


def test_a_bank_of_before_has_one_window_for_all(small_bank, tmp_path):
    folder = shutil.copytree(small_bank / "clinical.bank", tmp_path / "clinical.bank")
    record = json.loads((folder / "bank.json").read_text())
    assert record.pop("scaling") == "fixed"
    (folder / "bank.json").write_text(json.dumps(record))
    assert PatchBank.load(folder).scaling == "fixed"
    (folder / "bank.json").write_text(json.dumps(record | {"scaling": "each"}))
    with pytest.raises(FileError, match=r"bank\.json.*'scaling'"):
        PatchBank.load(folder)


def test_a_volume_of_one_value_has_no_range():
    with pytest.raises(IntensityError, match=r"air\.nii\.gz: every voxel has the value -1000"):
        OwnRanges().scaled(scan().with_data(np.full((2, 9, 11), -1000, np.int16)), "air.nii.gz")


def test_no_scanner_is_found_with_a_bank_whose_volumes_have_no_hu_in_common(min_max_bank):
    with pytest.raises(OptionError, match="no HU in common"):
        find_scanner(ScannerRequest(min_max_bank.parent / "one.nii.gz", min_max_bank, mask="none"))


def test_it_is_asked_for_by_its_name():
    assert window_request("min-max") == MIN_MAX
    assert MIN_MAX.of(scan(), None) == IntensityWindow(scan().array().min(), scan().array().max())
    with pytest.raises(OptionError, match=r"`clinical_window` minmax: expected .* min-max"):
        window_request("minmax", "clinical_window")
