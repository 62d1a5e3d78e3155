"""Folders that are a volume, and folders of volumes."""

from pathlib import Path

import numpy as np
import pytest

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.volume.collection import holds_several, name_of, volume_paths
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

SCAN = Volume(np.zeros((2, 3, 4), np.int16), (1.0, 1.0, 1.0))


@pytest.fixture
def folder(tmp_path):
    """Two volumes in two formats, a hidden file, and a text."""
    write(SCAN, tmp_path / "scans" / "b.nii.gz")
    write(SCAN, tmp_path / "scans" / "a.ome.zarr")
    (tmp_path / "scans" / ".hidden.nii.gz").touch()
    (tmp_path / "scans" / "notes.txt").write_text("none")
    return tmp_path / "scans"


def test_a_folder_of_volumes_is_expanded_in_order_and_a_volume_stays(folder):
    assert holds_several(folder) and not holds_several(folder / "a.ome.zarr") and not holds_several(folder / "b.nii.gz")
    assert volume_paths([folder, folder / "b.nii.gz"]) == [
        folder / "a.ome.zarr",
        folder / "b.nii.gz",
        folder / "b.nii.gz",
    ]


def test_what_holds_nothing_readable_is_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match="empty: no readable volume"):
        volume_paths([tmp_path / "empty"])
    with pytest.raises(FileError, match="nowhere"):
        volume_paths([tmp_path / "nowhere.nii.gz"])


def test_a_name_is_without_the_suffix_of_its_format(folder):
    assert [name_of(path) for path in volume_paths([folder])] == ["a", "b"]
    assert name_of(Path("case.7.nii.gz")) == "case.7"
    assert name_of(folder) == "scans"
