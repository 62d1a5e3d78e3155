"""What this machine has that matters to ctloupe."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ctloupe.evaluate.report.pdf import browser
from ctloupe.foundation.memory import memory

_EXTRAS = (
    ("python-gdcm", "dicom", "DICOM files with compressed pixel data"),
    ("imagecodecs", "tiff", "TIFF files compressed with LZW, Zstandard and others"),
    ("distributed", "cluster", "enhancing on several machines through Dask"),
    ("cryptography", "sign", "signatures of packed models"),
    ("tensorboard", "tensorboard", "curves of a training in TensorBoard"),
    ("magicgui", "napari", "the panel inside napari"),
    ("onnx", "export", "trained models as ONNX"),
    ("monai", "monai", "trained models as MONAI bundles"),
    ("openvino", "openvino", "trained models for OpenVINO"),
    ("highdicom", "parametric-map", "maps beside DICOM scans as Parametric Maps"),
    ("obstore", "remote", "OME-Zarr on object stores and web servers"),
)
_LIBRARIES = (
    "numpy",
    "scipy",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "tifffile",
    "zarr",
    "lightning-fabric",
    "pydantic",
)
_MALICIOUS = {
    ("lightning-fabric", "2.6.2"),
    ("lightning-fabric", "2.6.3"),
    ("lightning", "2.6.2"),
    ("lightning", "2.6.3"),
}


def examine() -> dict[str, Any]:
    """Return the facts as plain data: versions, devices, memory, disk, extras and problems."""
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    room = memory()
    return {
        "ctloupe": version("ctloupe"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "torch": {"version": torch.__version__, "build": build, "threads": torch.get_num_threads()},
        "devices": _devices(),
        "memory_gb": {"total": room.total / 1e9, "available": room.available / 1e9},
        "disk_gb": {"free": free},
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
        "extras": [
            {
                "name": name,
                "version": _version(name),
                "need": f"pip install 'ctloupe[{extra}]'",
                "for": purpose,
            }
            for name, extra, purpose in _EXTRAS
        ],
        "convolutions": _convolutions(),
        "browser": browser(),
        "problems": _problems(free, room.available / 1e9),
    }


def _convolutions() -> str:
    """How the convolutions are computed that come as C source."""
    from ctloupe.networks.compiled import library

    if library.registers():
        return f"compiled, {library.registers()[0]} numbers at once"
    if library.is_compiled():
        return "by PyTorch; this processor has too narrow registers for the compiled ones"
    return (
        "by PyTorch, slower on a CPU; install a C compiler and then ctloupe anew, or a wheel for this kind of machine"
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> list[dict[str, Any]]:
    import torch

    from ctloupe.networks.precision import hardware_has_bf16

    found: list[dict[str, Any]] = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        bf16 = hardware_has_bf16("cuda")
        size = facts.total_memory / 1e9
        found.append({"name": f"cuda:{index}", "description": facts.name, "memory_gb": size, "bf16": bf16})
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "description": "Apple GPU", "memory_gb": None, "bf16": False})
    cpu = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    found.append({"name": "cpu", "description": cpu, "memory_gb": None, "bf16": hardware_has_bf16("cpu")})
    return found


def _problems(free_gb: float, available_gb: float) -> list[str]:
    problems = [
        f"{name} {number} is a known malicious release (GHSA-w37p-236h-pfx3); install another version at once"
        for name, number in sorted(_MALICIOUS)
        if _version(name) == number
    ]
    if free_gb < 20:
        problems.append(f"{free_gb:.0f} GB of disk free: a whole chest CT at ×8 needs about 8 GB as OME-Zarr")
    if available_gb < 4:
        problems.append(f"{available_gb:.1f} GB of memory free: whole slices at ×8 need about 4 GB")
    return problems
