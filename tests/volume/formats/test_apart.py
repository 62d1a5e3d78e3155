"""A library that dies of a file costs a line, not the command: what it decodes is read by another process first."""

import signal
import sys

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from ctloupe.foundation.errors import FileError
from ctloupe.volume.formats import format_of, read, write
from ctloupe.volume.formats.apart import death, require_survivable
from ctloupe.volume.volume import Volume


def scan():
    values = np.random.default_rng(0).integers(-900, 0, (3, 12, 12)).astype(np.int16)
    return Volume(values, (0.6, 0.6, 0.6), modality="clinical", units="HU")


def test_the_signal_that_ended_a_process_is_named():
    kill = f"import os, signal; os.kill(os.getpid(), {int(signal.SIGABRT)})"
    assert death([sys.executable, "-c", kill]) == "SIGABRT"
    assert death([sys.executable, "-c", "raise SystemExit(3)"]) is None


@pytest.mark.parametrize(
    ("name", "natively"), [("a.nii.gz", False), ("a.mha", True), ("a.nrrd", True), ("a.tif", True)]
)
def test_what_is_sound_passes_and_what_is_damaged_is_left_to_the_reader(tmp_path, name, natively):
    path = write(scan(), tmp_path / name)
    assert format_of(path).decodes_natively(path) == natively
    require_survivable(path)
    path.write_bytes(path.read_bytes()[:-40])
    require_survivable(path)
    with pytest.raises(FileError):
        read(path).array()


def test_only_compressed_dicom_is_decoded_natively(tmp_path, dicom_series):
    files = dicom_series(tmp_path).files
    assert not format_of(tmp_path).decodes_natively(tmp_path)
    for file in files:
        dataset = dcmread(file)
        dataset.compress(RLELossless)
        dataset.save_as(file)
    assert format_of(tmp_path).decodes_natively(tmp_path)
    assert format_of(files[0]).decodes_natively(files[0])
    require_survivable(tmp_path)


def test_no_module_of_the_working_folder_is_imported(tmp_path, monkeypatch):
    path = write(scan(), tmp_path / "a.mha")
    (tmp_path / "SimpleITK.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    monkeypatch.chdir(tmp_path)
    require_survivable(path)
    assert not (tmp_path / "ran").exists()
