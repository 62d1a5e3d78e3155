"""Files between Slicer and the command: in a folder that this user alone can open, under names that say nothing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path


class WorkFolder:
    """A temporary folder with the files of one enhancement.

    Names are always the same, whatever the volume is called in the scene: no name of a patient reaches the disk.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ctloupe-"))

    @property
    def scan(self) -> Path:
        """The exported scan."""
        return self.path / "scan.nrrd"

    @property
    def mask(self) -> Path:
        """The exported mask."""
        return self.path / "mask.nrrd"

    @property
    def enhanced(self) -> Path:
        """The enhanced volume."""
        return self.path / "enhanced.nrrd"

    @property
    def uncertainty(self) -> Path:
        """The standard deviation in HU."""
        return self.path / "uncertainty.nrrd"

    def remove(self) -> None:
        """Remove the folder and all that is in it; what is gone already does not matter."""
        shutil.rmtree(self.path, ignore_errors=True)
