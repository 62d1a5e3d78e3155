"""One set of CTs as both domains: reduced copies that lie where their CT lies."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.studies.recipe import Recipe
from ctloupe.studies.reduced import reduced_copy
from ctloupe.volume.volume import Volume

OBLIQUE = ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0))
RECIPE = Recipe(clinical_window=(-1000, 500), micro_window=(-1000, 500), reduced={"noise": 0.05, "share": 0.5})
QUIET = RECIPE.model_copy(update={"reduced": None})


def ct(shape=(3, 41, 54)):
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    values = (-800 + 8 * y - 5 * x + 20 * z).astype(np.int16)
    return Volume(values, (2.0, 0.6, 0.7), (10.0, -20.0, 30.0), OBLIQUE, "clinical", "HU")


@settings(max_examples=20, deadline=None)
@given(scale=st.sampled_from([2, 4, 8]), z=st.integers(0, 2), y=st.integers(1, 3), x=st.integers(1, 4))
def test_a_reduced_voxel_has_the_value_of_the_ct_at_its_place(scale, z, y, x):
    copy, whole = reduced_copy(ct(), scale, QUIET, 0)
    image = sitk.GetImageFromArray(whole.array().astype(np.float32))
    image.SetSpacing(whole.spacing[::-1])
    image.SetOrigin(whole.origin)
    image.SetDirection(np.ravel(whole.direction).tolist())
    place = copy.physical((z, y, x))
    index = image.TransformPhysicalPointToContinuousIndex(place.tolist())
    expected = -800 + 8 * index[1] - 5 * index[0] + 20 * index[2]
    # Cubic splines bend a little at the border of the slice.
    assert copy.array()[z, y, x] == pytest.approx(expected, abs=1.5)


def test_what_does_not_fill_a_reduced_voxel_is_left_out_of_both():
    copy, whole = reduced_copy(ct(), 8, QUIET, 0)
    assert whole.shape == (3, 40, 48) and copy.shape == (3, 5, 6)


def test_noise_is_in_a_part_of_the_slices_and_is_the_same_for_one_seed():
    flat = Volume(np.full((200, 16, 16), -300, np.int16), (1.0, 1.0, 1.0), modality="clinical", units="HU")
    copy = reduced_copy(flat, 2, RECIPE, 3)[0].array()
    deviation = copy.std(axis=(1, 2))
    noisy = deviation > 0
    assert 0.35 < noisy.mean() < 0.65
    assert deviation[noisy].mean() == pytest.approx(0.05 * 1500, rel=0.05)
    assert np.array_equal(reduced_copy(flat, 2, RECIPE, 3)[0].array(), copy)
    assert not np.array_equal(reduced_copy(flat, 2, RECIPE, 4)[0].array(), copy)
