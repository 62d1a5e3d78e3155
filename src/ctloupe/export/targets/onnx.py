"""ONNX: one file that onnxruntime and many other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ctloupe.export.graph import HounsfieldNetwork
from ctloupe.export.record import IMAGE, OUTPUT, RECORD_NAME, ExportRecord
from ctloupe.export.targets.base import Arrays, Example, Run, Target, traced_quietly

OPSET: Final = 18
"""Version of the operators; the runtimes of 2023 know it."""

_SIZES: Final = {IMAGE: {0: "n", 2: "h", 3: "w"}, OUTPUT: {0: "n", 2: "fine_h", 3: "fine_w"}}


def write_graph(graph: HounsfieldNetwork, example: Example, path: Path) -> None:
    """Write a network as ONNX without a record.

    PyTorch's older exporter is used, which follows one run of the network: the newer one gives the same numbers, takes
    some twenty times as long, and needs another package.
    """
    with torch.no_grad(), traced_quietly():
        torch.onnx.export(
            graph,
            example.tensors,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=example.names,
            output_names=[OUTPUT],
            dynamic_axes=_SIZES,
        )


def _write(graph: HounsfieldNetwork, example: Example, record: ExportRecord, path: Path) -> None:
    import onnx

    write_graph(graph, example, path)
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    model.doc_string = " ".join(record.texts())
    onnx.helper.set_model_props(model, {RECORD_NAME: record.model_dump_json(), "notice": record.notice})
    onnx.save(model, str(path))


def _load(path: Path, record: ExportRecord) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(arrays: Arrays) -> NDArray[np.float32]:
        made = session.run([OUTPUT], {one.name: arrays[one.name] for one in record.inputs})
        return np.asarray(made[0], dtype=np.float32)

    return run


TARGET: Final = Target("onnx", (".onnx",), {"onnx": "export", "onnxruntime": "export"}, _write, _load)
