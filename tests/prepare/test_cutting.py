"""Where patches fit into a mask, counted by hand; few patches and many are cut from means alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.foundation.errors import IntensityError
from ctloupe.images.windows import IntensityWindow
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.volume import Volume

WINDOW = IntensityWindow(0, 15000)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_patches_lie_at_every_place_of_the_mask_and_nowhere_else(size, repeated, seed):
    random = np.random.default_rng(seed)
    planes = random.random((3, 11, 13)) > 0.1
    planes[1, 2:11, 3:12] = True
    mask = planes.repeat(repeated, 0)
    values = np.arange(mask.size, dtype=np.int16).reshape(mask.shape)
    wanted = [
        values[z, y, x]
        for z, y, x in np.ndindex(len(mask), 12 - size, 14 - size)
        if mask[z, y : y + size, x : x + size].all()
    ]
    bank = PatchBank.sample([("v", Volume(values, (1, 1, 1)), mask)], size, 10**4, WINDOW, stride=1)
    assert bank.provenance[0]["places"] == len(wanted)
    assert bank.patches[:, 0, 0].tolist() == wanted
    assert bank.provenance[0]["mask_share"] == round(float(mask.mean()), 6)


def test_no_place_in_a_mask_smaller_than_the_patch():
    volume = Volume(np.zeros((2, 9, 9), np.int16), (1, 1, 1))
    with pytest.raises(IntensityError, match="no patch"):
        PatchBank.sample([("v", volume, np.eye(9, dtype=bool)[None].repeat(2, 0))], 2, 5, WINDOW)
    with pytest.raises(IntensityError, match="no patch"):
        PatchBank.sample([("v", volume, np.ones(volume.shape, bool))], 10, 5, WINDOW)


@pytest.mark.parametrize("count", [3, 400])
def test_few_and_many_patches_hold_the_mean_of_their_own_place(count):
    values = np.random.default_rng(3).integers(0, 15000, (5, 16, 18)).astype(np.int16)
    volume = Volume(values, (0.1, 0.1, 0.1), modality="micro")
    bank = PatchBank.sample([("v", volume, None)], 5, count, WINDOW, thickness_mm=0.3)
    where = {values[z, y, x].item(): (z, y, x) for z, y, x in np.ndindex(5, 12, 14)}
    for thin, thick in zip(bank.patches, bank.slice_averages, strict=True):
        z, y, x = where[thin[0, 0].item()]
        if np.array_equal(values[z, y : y + 5, x : x + 5], thin):
            slab = values[max(0, z - 1) : z + 2, y : y + 5, x : x + 5].astype(float)
            assert np.abs(thick - slab.mean(0)).max() <= 0.51
