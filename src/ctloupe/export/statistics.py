"""What an exported file wants to be told of a scan, as a file of arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from ctloupe.export.scan_model import ScanModel
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.notice import RESEARCH_NOTICE

SUFFIXES: Final = (".npz", ".json")


def write_statistics(scan_model: ScanModel, path: Path, overwrite: bool = False) -> None:
    """Write what a model is told of a scan: inputs of the exported file by name, and ``model``, which they are for.

    Parameters
    ----------
    scan_model
        The model, and what it is told of the scan.
    path
        An ``.npz`` of NumPy (no pickle in it), or ``.json``, where arrays are lists.
    overwrite
        Whether a file of that name may be replaced.
    """
    arrays, model = scan_model.arrays(), scan_model.model.digest()
    with replacing(path, overwrite) as temporary:
        if path.suffix.lower() == ".json":
            content = {"model": model, "notice": RESEARCH_NOTICE} | {name: one.tolist() for name, one in arrays.items()}
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        else:
            with temporary.open("wb") as file:
                np.savez(file, model=np.array(model), notice=np.array(RESEARCH_NOTICE), **arrays)  # type: ignore[arg-type]
