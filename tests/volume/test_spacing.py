"""How unlike two spacings are."""

import pytest

from ctloupe.volume.geometry import relative_difference


def test_it_is_the_largest_along_any_axis_and_in_either_direction():
    assert relative_difference((0.6, 0.6), (0.6, 0.6)) == 0
    assert relative_difference((0.66, 0.6), (0.6, 0.6)) == pytest.approx(0.1)
    assert relative_difference((0.6, 0.3), (0.6, 0.6)) == pytest.approx(0.5)


def test_axes_have_to_correspond():
    with pytest.raises(ValueError, match="shorter"):
        relative_difference((1.0, 1.0, 1.0), (1.0, 1.0))
