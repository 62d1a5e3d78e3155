"""TorchScript: one file that PyTorch runs, in Python or in C++, without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ctloupe.export.graph import HounsfieldNetwork
from ctloupe.export.record import RECORD_NAME, ExportRecord
from ctloupe.export.targets.base import Arrays, Example, Run, Target, traced_quietly

RECORD_FILE: Final = f"{RECORD_NAME}.json"
"""Name of the record among the extra files of the archive."""


def _write(graph: HounsfieldNetwork, example: Example, record: ExportRecord, path: Path) -> None:
    with torch.no_grad(), traced_quietly():
        traced = torch.jit.trace(graph, example.tensors, check_trace=False)
        torch.jit.save(traced, str(path), _extra_files={RECORD_FILE: record.model_dump_json()})


def _load(path: Path, record: ExportRecord) -> Run:
    with traced_quietly():
        loaded = torch.jit.load(str(path), map_location="cpu")

    @torch.no_grad()
    def run(arrays: Arrays) -> NDArray[np.float32]:
        made = loaded(*(torch.from_numpy(arrays[one.name]) for one in record.inputs))
        return np.asarray(made.numpy(), dtype=np.float32)

    return run


TARGET: Final = Target("torchscript", (".ts", ".pt"), {}, _write, _load)
