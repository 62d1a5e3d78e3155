"""What is read is never written to, under whatever name."""

import os

import pytest

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.inputs import require_apart


@pytest.fixture
def place(tmp_path):
    """A folder with a scan in a file, and one in a folder."""
    (tmp_path / "series").mkdir()
    for name in ("scan.mha", "series/one.dcm", "series/two.dcm"):
        (tmp_path / name).write_text("voxels")
    return tmp_path


def linked(place):
    (place / "other.mha").symlink_to("scan.mha")
    return "scan.mha", "other.mha", "is the input"


def hard_linked(place):
    os.link(place / "scan.mha", place / "other.mha")
    return "scan.mha", "other.mha", "is the input"


def a_linked_folder(place):
    (place / "by-link").symlink_to(place / "series")
    return "series", "by-link/fine.mha", "lies inside the input"


def a_link_inside(place):
    (place / "cohort").mkdir()
    (place / "cohort" / "scan.mha").symlink_to(place / "scan.mha")
    return "cohort", "scan.mha", "is the input"


def a_hard_link_inside(place):
    (place / "cohort").mkdir()
    os.link(place / "scan.mha", place / "cohort" / "scan.mha")
    return "cohort", "scan.mha", "is the input"


@pytest.mark.parametrize(
    "make",
    [
        lambda place: ("scan.mha", "scan.mha", "is the input"),
        lambda place: ("scan.mha", "series/../scan.mha", "is the input"),
        lambda place: ("series", "series", "is the input"),
        lambda place: ("series", "series/new/fine.mha", "lies inside the input"),
        lambda place: ("series/one.dcm", "series", "holds the input"),
        lambda place: ("series", ".", "holds the input"),
        linked,
        hard_linked,
        a_linked_folder,
        a_link_inside,
        a_hard_link_inside,
    ],
)
def test_an_output_that_touches_an_input_is_refused(place, make):
    source, output, words = make(place)
    with pytest.raises(FileError, match=f"{words}.*an input is never replaced") as refused:
        require_apart([None, place / source], [place / "apart.mha", place / output])
    assert str(place / output) in str(refused.value)


def test_outputs_may_stand_beside_inputs_and_what_is_not_there_is_no_input(place):
    require_apart([place / "scan.mha", place / "series", "lungs"], [place / "scan-fine.mha", place / "lungs", None])


@pytest.mark.parametrize("other", ["fine.mha", "fine.mha/deeper.mha"])
def test_two_outputs_are_two(place, other):
    with pytest.raises(FileError, match="give different names"):
        require_apart([], [place / "fine.mha", place / other])
