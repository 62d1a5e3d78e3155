"""A name is one part of a path, whatever it is made of."""

import pytest

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.names import checked_name, require_name


@pytest.mark.parametrize("name", ["lung", "thin slices", "a-1", "Physics_Flow+GAN v1.2", "größe", "x" * 100])
def test_names_are_taken_as_they_are(name):
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "/x", "a/b", "a\\b", "C:x", "~", "-x", "_x", ".x", " x", "x ", "x."),
        "x\n",
        "x\0",
        "x" * 101,
    ],
)
def test_what_leads_elsewhere_hides_or_cannot_be_a_file_is_no_name(name):
    with pytest.raises(OptionError, match=r"`model` .*expected a name of 1 to 100 letters") as refused:
        require_name(name, "model")
    assert "\n" not in str(refused.value) and "\0" not in str(refused.value)
