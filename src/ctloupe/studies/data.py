"""The scans and patch banks of a study, made once and used by all its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.records import load_record, save_record
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.clinical_slices import SliceMode, labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.prepare.masks import Mask, mask_of
from ctloupe.studies.recipe import as_request
from ctloupe.train.bank_pair import load_banks
from ctloupe.volume.formats import format_of, read
from ctloupe.volume.geometry import Triple
from ctloupe.volume.resampling import resample_in_plane
from ctloupe.volume.volume import Volume

DATA_RECORD: Final = "data.json"
_ADVICE: Final = "delete the folder, and the study makes its data again"


class HeldOutScan(BaseModel):
    """A clinical scan that no training has seen.

    Paths may be relative to the folder of the study's data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scan: Path
    truth: Path | None = None
    """Its truth on a finer grid, where there is one."""
    labels: Path | None = None
    """Labels on the grid of the truth."""
    mask: str = "none"
    """Where it is enhanced: a kind of mask, or a file."""


class DataRecord(BaseModel):
    """What a study's data were made of and for: the content of ``data.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    made_with: dict[str, Any]
    """Whatever decides the data, to compare with."""
    patch_size: int
    """Side of a clinical patch; rows with smaller ones cut them out of these."""
    kind: Literal["phantoms", "own"]
    """Whether the scans are phantoms, or volumes of the user's own."""
    scans: tuple[HeldOutScan, ...]
    micros: tuple[Path, ...]
    """µCT volumes that no training has seen."""
    micro_window: tuple[float, float] | str
    micro_mask: str
    clinical_spacing: tuple[float, float] | None = None
    """In-plane spacing in mm that clinical scans are brought to."""
    micro_spacing: tuple[float, float] | None = None
    """The same of µCT."""
    voxel_size: Triple | None = None
    """Voxel size in mm of µCT in TIFF files that do not state it."""


class StudyData:
    """Where a study's scans lie, and how they are read.

    Parameters
    ----------
    folder
        Folder that holds the record and the patch banks.

    Raises
    ------
    FileError
        If the record is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = load_record(folder / DATA_RECORD, DataRecord, "record of study data", _ADVICE)

    @property
    def bank(self) -> Path:
        """Patch banks of the training volumes."""
        return self.folder / "bank"

    @property
    def scans(self) -> tuple[HeldOutScan, ...]:
        """Clinical scans that no training has seen."""
        return self.record.scans

    def clinical_window(self, scan: Volume) -> IntensityWindow:
        """Return the window of the clinical bank, or the scan's own range where every volume has its own."""
        bank = load_banks(self.bank).clinical
        if bank.scaling == "min-max":
            return IntensityWindow.from_extremes(scan)
        return IntensityWindow(bank.window.low, bank.window.high)

    def scan(self, test: HeldOutScan) -> Volume:
        """Read a clinical scan, at the spacing of the training."""
        return self._brought(read(self.folder / test.scan), self.record.clinical_spacing)

    def mask(self, test: HeldOutScan, scan: Volume) -> Mask | None:
        """Make the mask inside of which a scan is enhanced; None: everywhere."""
        return mask_of(test.mask, scan)

    def truth(self, test: HeldOutScan, scan: Volume, mode: SliceMode = "centre") -> Volume | None:
        """Read the truth on the slices of its `scan`, where there is one; see `truth_on_clinical_slices`."""
        return None if test.truth is None else truth_on_clinical_slices(read(self.folder / test.truth), scan, mode)

    def labels(self, test: HeldOutScan, scan: Volume) -> Volume | None:
        """Read the labels on the slices of its `scan`, where there are any."""
        return None if test.labels is None else labels_on_clinical_slices(read(self.folder / test.labels), scan)

    def micro(self, path: Path) -> tuple[Volume, IntensityWindow]:
        """Read a µCT that no training has seen, at the spacing of the training, and find its window."""
        volume = self._brought(read_micro(self.folder / path, self.record.voxel_size), self.record.micro_spacing)
        asked = as_request(self.record.micro_window)
        mask = None if asked.kind == "values" else mask_of(self.record.micro_mask, volume)
        return volume, asked.of(volume, mask)

    def facts(self) -> dict[str, Any]:
        """Return what the data were made with."""
        return self.record.made_with

    @staticmethod
    def _brought(volume: Volume, spacing: tuple[float, float] | None) -> Volume:
        return volume if spacing is None else resample_in_plane(volume, spacing, lazily=True)


def read_micro(path: Path, voxel_size: Triple | None) -> Volume:
    """Read a µCT; the voxel size is that of TIFF files alone, which may not state it."""
    return read(path, voxel_size=voxel_size if "voxel_size" in format_of(path).takes else None)


def made_before(folder: Path, wanted: dict[str, Any], patch_size: int) -> StudyData | None:
    """Return the data that are in `folder` already; None where there are none.

    Parameters
    ----------
    folder
        Folder of the data.
    wanted
        What they should have been made with.
    patch_size
        Side that their clinical patches should have at least.

    Raises
    ------
    FileError
        If they were made otherwise.
    """
    if not (folder / DATA_RECORD).is_file():
        return None
    data = StudyData(folder)
    for key, value in wanted.items():
        if data.facts().get(key) != value:
            found = data.facts().get(key)
            raise FileError(f"{folder}: holds data of another study ({key} {found}, here {value}); give another `data`")
    if data.record.patch_size < patch_size:
        raise FileError(
            f"{folder}: holds patches of {data.record.patch_size}, here {patch_size} are needed; give another `data`, "
            "or begin with the study of the largest patches"
        )
    return data


def keep(folder: Path, record: DataRecord) -> StudyData:
    """Write the record of data that are complete, and return them."""
    save_record(folder / DATA_RECORD, record.model_dump(mode="json"))
    return StudyData(folder)
