"""CT Loupe: from clinical CT to micro-CT scale by unpaired super-resolution. Research use only.

The public names are imported when first used, so that ``import ctloupe`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctloupe.enhance.resolver import SuperResolver, load_model
    from ctloupe.evaluate.protocols.no_truth import compare_without_truth
    from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
    from ctloupe.foundation.errors import CtLoupeError
    from ctloupe.images.windows import IntensityWindow
    from ctloupe.prepare.patches import PatchBank
    from ctloupe.volume.formats import read, write
    from ctloupe.volume.volume import Volume

__version__ = version("ctloupe")

_WHERE = {
    "CtLoupeError": "ctloupe.foundation.errors",
    "IntensityWindow": "ctloupe.images.windows",
    "PatchBank": "ctloupe.prepare.patches",
    "SuperResolver": "ctloupe.enhance.resolver",
    "Volume": "ctloupe.volume.volume",
    "compare_with_truth": "ctloupe.evaluate.protocols.paired_phantom",
    "compare_without_truth": "ctloupe.evaluate.protocols.no_truth",
    "load_model": "ctloupe.enhance.resolver",
    "read": "ctloupe.volume.formats",
    "write": "ctloupe.volume.formats",
}

__all__ = [
    "CtLoupeError",
    "IntensityWindow",
    "PatchBank",
    "SuperResolver",
    "Volume",
    "__version__",
    "compare_with_truth",
    "compare_without_truth",
    "load_model",
    "read",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'ctloupe' has no attribute '{name}'")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
