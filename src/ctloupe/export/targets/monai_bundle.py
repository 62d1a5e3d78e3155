"""A MONAI bundle: a folder that ``monai.bundle`` runs on a NIfTI file, slice by slice; the network is TorchScript."""

from __future__ import annotations

import json
from importlib import resources
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jinja2 import StrictUndefined, Template
from numpy.typing import NDArray

from ctloupe.export.graph import HounsfieldNetwork
from ctloupe.export.record import RECORD_NAME, ExportRecord
from ctloupe.export.targets import torchscript
from ctloupe.export.targets.base import Arrays, Example, Run, Target

_MONAI: Final = "1.6.1"
"""Version that bundles are tested with."""


def _write(graph: HounsfieldNetwork, example: Example, record: ExportRecord, path: Path) -> None:
    for name in ("configs", "models", "docs"):
        (path / name).mkdir(parents=True)
    torchscript.TARGET.write(graph, example, record, path / "models" / "model.ts")
    contents = {"metadata": metadata(record), "inference": inference(record)}
    for name, content in contents.items():
        (path / "configs" / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    template = resources.files(__package__).joinpath("bundle-readme.md.j2").read_text(encoding="utf-8")
    readme = Template(template, undefined=StrictUndefined, keep_trailing_newline=True).render(record=record)
    (path / "docs" / "README.md").write_text(readme, encoding="utf-8")


def metadata(record: ExportRecord) -> dict[str, Any]:
    """Return what MONAI's schema wants to know of a bundle, and the record."""
    channels = {"0": "below", "1": "slice", "2": "above"} if record.neighbours else {"0": "slice"}
    image = {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": len(channels),
        "spatial_shape": ["*", "*"],
        "dtype": "float32",
        "value_range": list(record.window or ()),
        "is_patch_data": record.halo is not None,
        "channel_def": channels,
    }
    told = {
        one.name: {"type": "array", "format": "array", "shape": list(one.shape), "dtype": "float32"}
        for one in record.inputs[1:]
    }
    return {
        "version": "0.1.0",
        "changelog": {"0.1.0": "exported by ctloupe"},
        "monai_version": _MONAI,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"nibabel": version("nibabel")},
        "name": f"ctloupe {record.method}",
        "task": f"In-plane super-resolution of clinical CT, {record.scale} times",
        "description": " ".join(record.texts()),
        "authors": "see the model's training data",
        "copyright": "see the model's training data",
        "intended_use": record.notice,
        "network_data_format": {
            "inputs": {"image": image} | told,
            "outputs": {"pred": image | {"num_channels": 1, "channel_def": {"0": "enhanced"}}},
        },
        RECORD_NAME: record.model_dump(mode="json"),
    }


def inference(record: ExportRecord) -> dict[str, Any]:
    """Return a configuration that enhances a NIfTI file; images have x before y there, and the network y before x."""
    shift = (1 / record.scale - 1) / 2
    affine = [[1 / record.scale, 0, 0, shift], [0, 1 / record.scale, 0, shift], [0, 0, 1, 0], [0, 0, 0, 1]]
    slices = "@rows"
    if record.neighbours:
        below = "torch.cat([@rows[..., :1], @rows[..., :-1]], -1)"
        slices = f"torch.cat([{below}, @rows, torch.cat([@rows[..., 1:], @rows[..., -1:]], -1)])"
    names = [one.name for one in record.inputs[1:]]
    read = f"[torch.as_tensor(np.load(@statistics_file)[name]).to(@device) for name in {names}]"
    return {
        "imports": ["$import numpy as np", "$import torch", "$import monai"],
        "bundle_root": ".",
        "scan": "scan.nii.gz",
        "out": "enhanced.nii.gz",
        "statistics_file": "scan.npz",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device).eval()",
        "statistics": f"${read}" if names else "$[]",
        "call": "$lambda slices: @network(slices, *@statistics)",
        "load": {"_target_": "LoadImage", "image_only": True, "ensure_channel_first": True},
        "image": "$@load(@scan)",
        "rows": "$@image.as_tensor().permute(0, 2, 1, 3)",
        "slices": f"${slices}",
        "inferer": {"_target_": "SliceInferer", "roi_size": [-1, -1], "spatial_dim": 2, "device": "cpu"},
        "enhanced": "$@inferer(@slices[None].float().to(@device), @call)[0].permute(0, 2, 1, 3)",
        "affine": f"$np.matmul(@image.affine.numpy(), np.array({affine}))",
        "writer": {"_target_": "NibabelWriter", "output_dtype": "$np.float32"},
        "save": [
            "$@writer.set_data_array(@enhanced.cpu(), channel_dim=0)",
            "$@writer.set_metadata({'affine': @affine}, resample=False)",
            "$@writer.write(@out)",
        ],
        "run": ["$torch.set_grad_enabled(False)", "$@save"],
    }


def _load(path: Path, record: ExportRecord) -> Run:
    if find_spec("monai") is None:
        return torchscript.TARGET.load(path / "models" / "model.ts", record)
    from monai.bundle.config_parser import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(path / "configs" / "inference.json"))
    parser.read_meta(str(path / "configs" / "metadata.json"))
    parser.update({"bundle_root": str(path), "device": "$torch.device('cpu')"})
    network = parser.get_parsed_content("network")

    @torch.no_grad()
    def run(arrays: Arrays) -> NDArray[np.float32]:
        made = network(*(torch.from_numpy(arrays[one.name]) for one in record.inputs))
        return np.asarray(made.numpy(), dtype=np.float32)

    return run


TARGET: Final = Target("monai-bundle", (), {}, _write, _load)
