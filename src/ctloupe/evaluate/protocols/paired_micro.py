"""Protocol ``paired-micro``: a real µCT is the truth, and a scanner that is known made its clinical scan."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from ctloupe.evaluate.case_scanner import CaseScanner
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.consistency import CONSISTENCY
from ctloupe.evaluate.metrics.fidelity import FIDELITY
from ctloupe.evaluate.metrics.mesh import MESH
from ctloupe.evaluate.metrics.resolution import DETAIL
from ctloupe.evaluate.metrics.scan_chi2 import CONSISTENCY_CHI2
from ctloupe.evaluate.metrics.spectrum import SPECTRUM_DISTANCE
from ctloupe.evaluate.metrics.texture import TEXTURE_OF_MICRO, Unpaired
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.case import compare_case
from ctloupe.evaluate.slices import Flags
from ctloupe.foundation.errors import GeometryError
from ctloupe.foundation.records import load_record
from ctloupe.scanner.record import ScannerRecord
from ctloupe.scanner.scanner import Scanner
from ctloupe.volume.geometry import same_spacing
from ctloupe.volume.volume import Volume

PAIRED_MICRO: Final = Protocol(
    "paired-micro",
    1,
    "a real µCT, of which a scanner drawn at random made the scan",
    (*FIDELITY, *DETAIL, SPECTRUM_DISTANCE, MESH, *CONSISTENCY, CONSISTENCY_CHI2, *TEXTURE_OF_MICRO),
)
"""The metrics of ``paired-phantom`` that need no labels."""


class _MadeBy(BaseModel):
    """What is read of the record beside a scan."""

    model_config = ConfigDict(extra="ignore")

    scanner: ScannerRecord


def read_scanner(path: Path, scan: Volume) -> Scanner:
    """Read the scanner that made a scan from the record beside it.

    Raises
    ------
    FileError
        If it is not such a record.
    GeometryError
        If the scanner has other voxels than the scan.
    """
    advice = "give the paired-micro.json that 'ctloupe phantom `from_micro`' wrote beside the scan"
    scanner = load_record(path, _MadeBy, "record of a scanner", advice).scanner.scanner()
    if not same_spacing(scanner.voxel, scan.spacing):
        sizes = ("×".join(f"{edge:.4g}" for edge in grid) for grid in (scanner.voxel, scan.spacing))
        raise GeometryError("{}: a scanner with voxels of {} mm did not make this scan of {} mm".format(path, *sizes))
    return scanner


def compare_with_micro(
    scan: Volume,
    enhanced: dict[str, Volume],
    truth: Volume,
    scanner: CaseScanner,
    mask: Flags | None = None,
    unpaired: Unpaired | None = None,
    thick_truth: Volume | None = None,
) -> Comparison:
    """Compare enhanced volumes with the µCT that their scan was made of; bicubic is the first row.

    Parameters
    ----------
    scan, enhanced, truth, mask, unpaired, thick_truth
        The same as in `paired_phantom.compare_with_truth`, the truth being the µCT in HU.
    scanner
        What made the scan; see `case_scanner.known_scanner`.

    Raises
    ------
    OptionError
        If nothing is enhanced or the mask is empty.
    GeometryError
        If the grids do not belong together.
    """
    return compare_case(PAIRED_MICRO, scan, enhanced, mask, truth, None, unpaired, thick_truth, scanner)
