"""A scan whose values the enhanced volume cannot hold is told of."""

import numpy as np
import pytest

from ctloupe.enhance.value_range import values_beyond
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
