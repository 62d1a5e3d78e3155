"""The files of a volume, also those that only its header names."""

import numpy as np
import pytest

from ctloupe.volume.formats import parts_read, parts_written, write
from ctloupe.volume.volume import Volume


@pytest.fixture
def header(tmp_path):
    """A header whose voxels have another name."""
    write(Volume(np.zeros((2, 3, 4), np.int16), (1, 1, 1)), tmp_path / "other.mhd")
    (tmp_path / "other.mhd").rename(tmp_path / "scan.mhd")
    return tmp_path / "scan.mhd"


def test_the_voxels_that_a_header_names_are_read_with_it(header):
    assert parts_read([header, None]) == [header, header.with_name("other.raw")]


def test_what_is_no_volume_or_missing_stands_for_itself(tmp_path):
    (tmp_path / "a.txt").write_text("nothing")
    assert parts_read([tmp_path / "a.txt", tmp_path / "none"]) == [tmp_path / "a.txt", tmp_path / "none"]


def test_the_voxels_beside_a_header_are_written_with_it(tmp_path):
    assert set(parts_written([tmp_path / "a.mhd"])) == {tmp_path / "a.mhd", tmp_path / "a.raw"}
    assert parts_written([tmp_path / "a.nii.gz", None]) == [tmp_path / "a.nii.gz"]
