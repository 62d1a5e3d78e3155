"""A scan whose values the enhanced volume cannot hold is told of."""

import numpy as np
import pytest
import torch

from ctloupe.enhance.resolver import load_model
from ctloupe.enhance.value_range import values_beyond
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.volume.volume import Volume


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32, np.float32])
def test_values_that_fit_are_not_spoken_of(kind):
    assert values_beyond(Volume(np.full((2, 3, 4), 3000, kind), (1, 1, 1))) == ()


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_values_that_would_be_cut_off_are_named(kind):
    values = np.zeros((2, 3, 4), kind)
    values[1, 2, 3] = 40_000
    (told,) = values_beyond(Volume(values, (1, 1, 1)))
    assert told.startswith("values from 0 to 40000,") and "-32768 to 32767" in told


def beside_bone():
    """A scan of air and bone, whose cubic interpolation goes beyond both."""
    values = np.full((3, 12, 12), -1024, np.int16)
    values[:, 3:8, 4:9] = 1800
    values[1] += 10
    return Volume(values, (1, 0.8, 0.8), modality="clinical", units="HU")


def test_the_range_is_that_of_all_slices():
    assert beside_bone().extremes == (-1024, 1810)


def test_the_interpolation_is_keys_cubic_cut_off_at_the_range_of_the_scan():
    scan = beside_bone()
    plain = enlarge_bicubic(torch.from_numpy(scan.data.astype(np.float32))[:, None], 8)[:, 0].numpy()
    assert plain.min() < -1200 and plain.max() > 2000
    np.testing.assert_allclose(load_model("bicubic", 8).enhance(scan).data, plain.clip(-1024, 1810), atol=0.51)


def test_a_part_of_a_scan_is_cut_off_as_the_whole_is():
    scan, bicubic = beside_bone(), load_model("bicubic", 4)
    whole = bicubic.enhance(scan).data
    part = bicubic.enhance(scan, region=(slice(0, 1), slice(0, 12), slice(0, 12))).data
    np.testing.assert_array_equal(part, whole[:1])
