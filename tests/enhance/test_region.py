"""Index ranges from the command line."""

import pytest

from ctloupe.enhance.region import parse_region
from ctloupe.foundation.errors import OptionError

SHAPE = (10, 20, 30)


def test_nothing_asked_for_is_the_whole_scan():
    assert parse_region(SHAPE) == (slice(0, 10), slice(0, 20), slice(0, 30))


def test_slices_and_roi():
    assert parse_region(SHAPE, slices="2:5")[0] == slice(2, 5)
    assert parse_region(SHAPE, slices=":5")[0] == slice(0, 5)
    assert parse_region(SHAPE, roi="1:2,3:4,5:30") == (slice(1, 2), slice(3, 4), slice(5, 30))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"slices": "5"}, "start:stop"),
        ({"slices": "a:b"}, "start:stop"),
        ({"slices": "5:5"}, "0:10"),
        ({"slices": "8:11"}, "0:10"),
        ({"slices": "-2:3"}, "0:10"),
        ({"roi": "1:2,3:4"}, "three ranges"),
        ({"roi": "1:2,3:4,5:31"}, "x indices 0:30"),
        ({"slices": "1:2", "roi": "1:2,3:4,5:6"}, "exclude each other"),
    ],
)
def test_what_cannot_be_is_an_error_that_says_why(asked, found):
    with pytest.raises(OptionError, match=found):
        parse_region(SHAPE, **asked)
