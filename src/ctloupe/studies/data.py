"""Phantoms and patch banks of a study, made once and used by all its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.lock import locked
from ctloupe.foundation.records import read_plain, save_record
from ctloupe.phantom.anatomies.registry import DEFAULT, get
from ctloupe.phantom.clinical_slices import SliceMode, labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom
from ctloupe.prepare.banks import BankRequest, WindowRequest, prepare_banks
from ctloupe.studies.definition import Budget
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume

CLINICAL_WINDOW = WindowRequest(-1000.0, 400.0)
MICRO_WINDOW = WindowRequest(2500.0, 15000.0)
HELD_OUT_SEED = 9001
_DONE = "data.json"
_WHAT = "record of study data"
_ADVICE = "delete the folder, and the study makes its data again"


@dataclass(frozen=True)
class StudyData:
    """Where a study's scans lie.

    Attributes
    ----------
    folder
        Folder that holds the phantoms and the banks.
    """

    folder: Path

    @property
    def bank(self) -> Path:
        """Patch banks of the training phantoms."""
        return self.folder / "bank"

    def scan(self) -> Volume:
        """Read the clinical scan of the held-out anatomy."""
        return read(self.folder / "held-out" / "clinical.nii.gz")

    def truth(self, scan: Volume, mode: SliceMode = "centre") -> Volume:
        """Read the truth of the held-out anatomy, on the slices of its `scan`; see `truth_on_clinical_slices`."""
        return truth_on_clinical_slices(read(self.folder / "held-out" / "truth.nii.gz"), scan, mode)

    def labels(self, scan: Volume) -> Volume:
        """Read the labels of the held-out anatomy, on the slices of its `scan`."""
        return labels_on_clinical_slices(read(self.folder / "held-out" / "labels.nii.gz"), scan)

    def micro(self) -> Volume:
        """Read the µCT of the held-out anatomy, which no training has seen."""
        return read(self.folder / "held-out" / "micro.nii.gz")

    def specimen(self) -> Volume:
        """Read the µCT of a training anatomy."""
        return read(self.folder / "micro" / "specimen-1.nii.gz")

    def facts(self) -> dict[str, object]:
        """Read what the data were made with.

        Raises
        ------
        FileError
            If the record is missing or damaged.
        """
        path = self.folder / _DONE
        found = read_plain(path, _WHAT, _ADVICE)
        if not isinstance(found, dict):
            raise FileError(f"{path}: not a valid {_WHAT}: expected keys and values; {_ADVICE}")
        return found


def prepare_data(
    folder: Path, budget: Budget, enlargement: int, patch_size: int, say: Callable[[str], None]
) -> StudyData:
    """Make the phantoms and banks in `folder`, unless they are there already.

    Training anatomies have the seeds 1, 2, … (clinical) and 101, 102, … (µCT); the held-out one has 9001.

    Raises
    ------
    FileError
        If the folder holds data made otherwise, or another process is making them.
    """
    wanted = {
        "size": list(budget.size),
        "cases": budget.cases,
        "per_case": budget.per_case,
        "enlargement": enlargement,
        "patch_size": patch_size,
        "held_out_seed": HELD_OUT_SEED,
        "clinical_window": [CLINICAL_WINDOW.low, CLINICAL_WINDOW.high],
        "micro_window": [MICRO_WINDOW.low, MICRO_WINDOW.high],
    }
    record = folder / _DONE
    if record.is_file():
        found = StudyData(folder).facts()
        differing = [key for key, value in wanted.items() if found.get(key) != value]
        if differing:
            raise FileError(
                f"{folder}: holds data of another study ({differing[0]} {found.get(differing[0])}, here "
                f"{wanted[differing[0]]}); give another `data`"
            )
        return StudyData(folder)
    with locked(folder):
        _make(folder, budget, enlargement, patch_size, say)
        save_record(record, wanted)
    return StudyData(folder)


def _make(folder: Path, budget: Budget, enlargement: int, patch_size: int, say: Callable[[str], None]) -> None:
    config = replace(get(DEFAULT).usual, scale=enlargement, slices=enlargement)
    for number in range(1, budget.cases + 1):
        say(f"phantoms {number} of {budget.cases}")
        case = make_phantom(DEFAULT, budget.size, number, config)
        write(case.clinical, folder / "clinical" / f"case-{number}.nii.gz", overwrite=True)
        case = make_phantom(DEFAULT, budget.size, 100 + number, config)
        write(case.micro, folder / "micro" / f"specimen-{number}.nii.gz", overwrite=True)
    say("held-out phantom")
    make_phantom(DEFAULT, budget.size, HELD_OUT_SEED, config).write(folder / "held-out", overwrite=True)
    request = BankRequest(
        clinical=tuple(sorted((folder / "clinical").glob("*.nii.gz"))),
        micro=tuple(sorted((folder / "micro").glob("*.nii.gz"))),
        scale=enlargement,
        patch_size=patch_size,
        per_case=budget.per_case,
        clinical_window=CLINICAL_WINDOW,
        micro_window=MICRO_WINDOW,
    )
    prepare_banks(request, folder / "bank", overwrite=True)
