"""A bank keeps what lies below and above its patches, of scans as it is and of µCT as a scanner would see it."""

import numpy as np
import pytest

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.banks import BankRequest, prepare_banks
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

WINDOW = IntensityWindow(0, 15000)


def noise(depth=9, spacing=0.1):
    values = np.random.default_rng(1).integers(0, 15000, (depth, 14, 15)).astype(np.int16)
    return Volume(values, (spacing, 0.1, 0.1), modality="micro")


def places(values, patches):
    """Where each patch was cut."""
    size = patches.shape[-1]
    for patch in patches:
        (place,) = [
            (z, y, x)
            for z, y, x in np.argwhere(values == patch[0, 0])
            if np.array_equal(values[z, y : y + size, x : x + size], patch)
        ]
        yield place


def test_of_a_scan_they_are_the_next_slices_and_the_nearest_at_its_ends():
    volume = noise(depth=4, spacing=1.25)
    bank = PatchBank.sample([("v", volume, None)], 6, 20, WINDOW, neighbours=())
    for (z, y, x), two in zip(places(volume.data, bank.patches), bank.neighbours.patches, strict=True):
        for neighbour, at in zip(two, (max(0, z - 1), min(3, z + 1)), strict=True):
            assert np.array_equal(neighbour, volume.data[at, y : y + 6, x : x + 6])
    assert np.array_equal(bank.neighbours.spacings, np.full(20, 1.25, np.float32))


def test_of_micro_ct_they_are_means_over_the_slabs_beside():
    volume = noise(depth=20)
    bank = PatchBank.sample([("v", volume, None)], 6, 30, WINDOW, neighbours=(0.3, 0.5))
    assert set(bank.neighbours.spacings.tolist()) == {np.float32(0.3), np.float32(0.5)}
    kept = zip(bank.slice_averages, bank.neighbours.patches, bank.neighbours.spacings, strict=True)
    for (z, y, x), (average, two, spacing) in zip(places(volume.data, bank.patches), kept, strict=True):
        step = round(float(spacing) / 0.1)
        for found, centre in zip((average, *two), (z, z - step, z + step), strict=True):
            # A slab whose middle lies outside does not exist; the slice stands for it.
            centre = centre if 0 <= centre < 20 else z
            slab = volume.data[max(0, centre - step // 2) : centre + step // 2 + 1, y : y + 6, x : x + 6]
            assert np.abs(found - slab.astype(float).mean(0)).max() <= 0.51


def test_they_change_nothing_else_where_scans_have_one_spacing(tmp_path):
    plain = PatchBank.sample([("v", noise(), None)], 6, 12, WINDOW, thickness_mm=0.3)
    with_them = PatchBank.sample([("v", noise(), None)], 6, 12, WINDOW, thickness_mm=0.3, neighbours=(0.3,))
    assert np.array_equal(plain.patches, with_them.patches) and plain.neighbours is None
    assert np.array_equal(plain.slice_averages, with_them.slice_averages)
    with_them.save(tmp_path / "bank")
    again = PatchBank.load(tmp_path / "bank")
    assert np.array_equal(again.neighbours.patches, with_them.neighbours.patches)
    assert again.provenance[0]["neighbours_mm"] == [pytest.approx(0.3)]
    np.save(tmp_path / "bank" / "neighbours.npy", np.zeros((12, 2, 5, 5), np.int16))
    with pytest.raises(FileError, match=r"neighbours\.npy: expected int16 \(12, 2, 6, 6\)"):
        PatchBank.load(tmp_path / "bank")


def test_prepare_keeps_them_on_request_at_the_distances_of_the_scans(tmp_path):
    random = np.random.default_rng(0)
    for name, spacing in (("a", 0.6), ("b", 1.2)):
        scan = Volume(random.normal(-800, 50, (3, 16, 16)).astype(np.int16), (spacing, 0.4, 0.4), modality="clinical")
        write(scan, tmp_path / f"{name}.nii.gz")
    micro = Volume(random.integers(0, 9000, (12, 40, 40)).astype(np.int16), (0.2, 0.2, 0.2), modality="micro")
    write(micro, tmp_path / "micro.nii.gz")
    request = BankRequest(
        (tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"),
        (tmp_path / "micro.nii.gz",),
        scale=2,
        patch_size=8,
        per_case=24,
        clinical_mask="none",
        micro_mask="none",
        neighbours=True,
    )
    prepare_banks(request, tmp_path / "bank")
    for name in ("clinical", "micro"):
        found = PatchBank.load(tmp_path / "bank" / f"{name}.bank").neighbours
        assert np.unique(found.spacings).tolist() == pytest.approx([0.6, 1.2])
    with pytest.raises(OptionError, match="`neighbours`"):
        prepare_banks(
            BankRequest(request.clinical, request.micro, neighbours=True, slice_averages=False), tmp_path / "x"
        )
