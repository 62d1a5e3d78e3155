"""Thick slices: the mean over a slab, against a brute-force sum over many thin sheets."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.patches import PatchBank
from ctloupe.prepare.slice_average import SliceAverages
from ctloupe.volume.volume import LazyArray, Volume


@settings(max_examples=30, deadline=None)
@given(depth=st.integers(1, 9), spacing=st.floats(0.3, 2), thickness=st.floats(0.31, 6), z=st.integers(0, 8))
def test_a_plane_is_the_mean_over_the_slab_inside_the_volume(depth, spacing, thickness, z):
    z = min(z, depth - 1)
    values = np.random.default_rng(0).random((depth, 2, 3)).astype(np.float32)
    sheets = 2000
    at = z * spacing + (np.arange(sheets) + 0.5) / sheets * thickness - thickness / 2
    index = np.floor(at / spacing + 0.5).astype(int)
    inside = index[(index >= 0) & (index < depth)]
    found = SliceAverages(Volume(values, (spacing, 1, 1)), thickness).plane(z)
    assert np.abs(found - values[inside].mean(0)).max() < 5e-3


def test_neighbouring_slabs_read_each_slice_once():
    values = np.random.default_rng(0).random((12, 4, 4)).astype(np.float32)
    reads = []

    def read(block):
        reads.extend(range(block[0].start, block[0].stop))
        return values[block]

    slabs = SliceAverages(Volume(LazyArray(values.shape, np.float32, read, "test"), (1, 1, 1)), 4.0)
    for z in range(12):
        slabs.plane(z)
    assert sorted(reads) == list(range(12))


def test_a_bank_keeps_thin_and_thick_patches_of_the_same_places(tmp_path):
    values = np.random.default_rng(1).integers(0, 15000, (9, 20, 22)).astype(np.int16)
    volume = Volume(values, (0.1, 0.1, 0.1), modality="micro")
    bank = PatchBank.sample([("v", volume, None)], 6, 25, IntensityWindow(0, 15000), thickness_mm=0.5)
    for thin, thick in zip(bank.patches, bank.slice_averages, strict=True):
        (place,) = [
            (z, y, x)
            for z, y, x in np.argwhere(values[:, :15, :17] == thin[0, 0])
            if np.array_equal(values[z, y : y + 6, x : x + 6], thin)
        ]
        z, y, x = place
        slab = values[max(0, z - 2) : z + 3, y : y + 6, x : x + 6].astype(float)
        assert np.abs(thick - slab.mean(0)).max() <= 0.51
    bank.save(tmp_path / "bank")
    again = PatchBank.load(tmp_path / "bank")
    assert np.array_equal(again.slice_averages, bank.slice_averages)
    assert again.provenance[0]["thickness_mm"] == 0.5


def test_slices_as_thick_as_the_clinical_ones_need_no_second_copy():
    volume = Volume(np.zeros((3, 9, 9), np.int16), (0.6, 0.1, 0.1))
    assert PatchBank.sample([("v", volume, None)], 4, 3, thickness_mm=0.6).slice_averages is None


def test_a_part_of_a_mean_is_the_part_of_the_whole_mean():
    values = np.random.default_rng(2).integers(-1000, 15000, (9, 12, 14)).astype(np.int16)
    slabs = SliceAverages(Volume(values, (0.1, 0.1, 0.1)), 0.47)
    for z in (0, 4, 8):
        for mean in slabs.planes(z, (-1, 0, 1)):
            assert np.array_equal(mean[2:9, 3:11], mean[:, :][2:9, 3:11])
            assert mean[:, :].dtype == np.float32
