"""OpenVINO: an ``.xml`` with its ``.bin``, which Intel's runtime runs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.export.graph import HounsfieldNetwork
from ctloupe.export.record import RECORD_NAME, ExportRecord
from ctloupe.export.targets.base import Arrays, Example, Run, Target
from ctloupe.export.targets.onnx import write_graph


def _write(graph: HounsfieldNetwork, example: Example, record: ExportRecord, path: Path) -> None:
    import openvino

    with TemporaryDirectory(dir=path.parent) as folder:
        between = Path(folder) / "model.onnx"
        write_graph(graph, example, between)
        model = openvino.convert_model(str(between))
        model.set_rt_info(record.model_dump_json(), [RECORD_NAME])
        # Weights of half the precision are the library's default, and several HU off.
        openvino.save_model(model, str(path), compress_to_fp16=False)
        del model


def _load(path: Path, record: ExportRecord) -> Run:
    import openvino

    # Some processors would compute in half precision.
    compiled: Any = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(arrays: Arrays) -> NDArray[np.float32]:
        made = compiled({one.name: arrays[one.name] for one in record.inputs})
        return np.array(made[0], dtype=np.float32)

    return run


TARGET: Final = Target(
    "openvino", (".xml",), {"openvino": "openvino"}, _write, _load, lambda path: (path.with_suffix(".bin"),)
)
