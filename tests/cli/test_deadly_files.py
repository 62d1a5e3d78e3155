"""A file that a library dies of costs a folder of scans one line."""

import numpy as np
import pytest

from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from warm_process import run_python

DEADLY = '''
import ctypes

from ctloupe.volume.formats.base import Format


class Deadly(Format):
    """Files whose decoder reads where nothing is."""

    name, title, suffixes = "deadly", "deadly", (".deadly",)

    def recognises(self, path, head):
        return head.startswith(b"DEADLY")

    def decodes_natively(self, path):
        return True

    def read(self, path, series=None, voxel_size=None):
        return ctypes.string_at(0)

    def write(self, volume, path, source=()):
        raise NotImplementedError
'''


@pytest.mark.slow
def test_a_folder_run_goes_on_behind_a_file_that_a_library_dies_of(tmp_path):
    site, scans = tmp_path / "site", tmp_path / "scans"
    (site / "deadly-1.0.dist-info").mkdir(parents=True)
    scans.mkdir()
    (site / "deadly.py").write_text(DEADLY)
    (site / "deadly-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (site / "deadly-1.0.dist-info" / "entry_points.txt").write_text("[ctloupe.formats]\ndeadly = deadly:Deadly\n")
    (scans / "a.deadly").write_bytes(b"DEADLY")
    write(Volume(np.zeros((2, 12, 12), np.int16), (0.6, 0.6, 0.6), units="HU"), scans / "b.nii.gz")
    command = (
        "-m",
        "ctloupe.cli.main",
        "enhance",
        scans,
        "-o",
        tmp_path / "fine",
        "--model",
        "bicubic",
        "--scale",
        "2",
    )
    done = run_python(*command, path=[site])
    assert done.returncode == 2, done.stderr
    assert f"{scans / 'a.deadly'}: a library that decodes it died of it (SIGSEGV)" in done.stderr
    assert sorted(path.name for path in (tmp_path / "fine").iterdir()) == ["b-preview.png", "b.ome.zarr"]
