"""CT Loupe: from clinical CT to micro-CT scale by unpaired super-resolution. Research use only.

The public names are imported when first used, so that ``import ctloupe`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctloupe.enhance.request import EnhanceRequest, enhance_files
    from ctloupe.enhance.resolver import SuperResolver, load_model
    from ctloupe.evaluate.protocols.no_truth import compare_without_truth
    from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
    from ctloupe.evaluate.request import EvaluateRequest, evaluate_files
    from ctloupe.evaluate.suite.compare import CompareRequest, compare_records
    from ctloupe.evaluate.suite.request import SuiteRequest, run_suite
    from ctloupe.export.request import ExportRequest, export_model
    from ctloupe.foundation.errors import CtLoupeError
    from ctloupe.images.windows import IntensityWindow
    from ctloupe.prepare.banks import BankRequest, prepare_banks
    from ctloupe.prepare.patches import PatchBank
    from ctloupe.prepare.scanner_request import ScannerRequest, find_scanner
    from ctloupe.studies.runner import StudyRequest, run_study
    from ctloupe.train.request import TrainRequest
    from ctloupe.viewer.notebook import view
    from ctloupe.volume.formats import read, write
    from ctloupe.volume.volume import Volume

__version__ = version("ctloupe")

_WHERE = {
    "BankRequest": "ctloupe.prepare.banks",
    "CompareRequest": "ctloupe.evaluate.suite.compare",
    "CtLoupeError": "ctloupe.foundation.errors",
    "EnhanceRequest": "ctloupe.enhance.request",
    "EvaluateRequest": "ctloupe.evaluate.request",
    "ExportRequest": "ctloupe.export.request",
    "IntensityWindow": "ctloupe.images.windows",
    "PatchBank": "ctloupe.prepare.patches",
    "ScannerRequest": "ctloupe.prepare.scanner_request",
    "StudyRequest": "ctloupe.studies.runner",
    "SuiteRequest": "ctloupe.evaluate.suite.request",
    "SuperResolver": "ctloupe.enhance.resolver",
    "TrainRequest": "ctloupe.train.request",
    "Volume": "ctloupe.volume.volume",
    "compare_records": "ctloupe.evaluate.suite.compare",
    "compare_with_truth": "ctloupe.evaluate.protocols.paired_phantom",
    "compare_without_truth": "ctloupe.evaluate.protocols.no_truth",
    "enhance_files": "ctloupe.enhance.request",
    "evaluate_files": "ctloupe.evaluate.request",
    "export_model": "ctloupe.export.request",
    "find_scanner": "ctloupe.prepare.scanner_request",
    "load_model": "ctloupe.enhance.resolver",
    "prepare_banks": "ctloupe.prepare.banks",
    "read": "ctloupe.volume.formats",
    "run_study": "ctloupe.studies.runner",
    "run_suite": "ctloupe.evaluate.suite.request",
    "view": "ctloupe.viewer.notebook",
    "write": "ctloupe.volume.formats",
}

__all__ = [
    "BankRequest",
    "CompareRequest",
    "CtLoupeError",
    "EnhanceRequest",
    "EvaluateRequest",
    "ExportRequest",
    "IntensityWindow",
    "PatchBank",
    "ScannerRequest",
    "StudyRequest",
    "SuiteRequest",
    "SuperResolver",
    "TrainRequest",
    "Volume",
    "__version__",
    "compare_records",
    "compare_with_truth",
    "compare_without_truth",
    "enhance_files",
    "evaluate_files",
    "export_model",
    "find_scanner",
    "load_model",
    "prepare_banks",
    "read",
    "run_study",
    "run_suite",
    "view",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'ctloupe' has no attribute '{name}'")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
