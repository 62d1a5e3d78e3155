"""What machine a benchmark ran on, so that its tables can be compared with those of another.

python benchmarks/machine.py
"""

from __future__ import annotations

import json
import platform

import psutil
import torch

from ctloupe.foundation.beside import cores
from ctloupe.networks.compiled import library

FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
"""Of a processor, which decide in what number format and how fast it convolves; named as by the Linux kernel."""

KINDS = {"amx_tile": "AMX", "avx512_bf16": "AVX-512 with bf16", "avx512f": "AVX-512", "avx2": "AVX2"}
"""What a processor is called by the best that it has."""

PEAK_CONVOLUTIONS = ((64, 128), (64, 256), (128, 128), (256, 64), (256, 128))
"""Channels and sides of images by which the peak of a machine is found."""


def features() -> dict[str, bool]:
    """Return which of `FEATURES` the processor has, as far as PyTorch tells."""
    cpu = torch.backends.cpu.get_cpu_capability()
    vectors = {"avx2": cpu in ("AVX2", "AVX512"), "avx512f": cpu == "AVX512"}
    bf16, amx = torch.cpu._is_avx512_bf16_supported(), torch.cpu._is_amx_tile_supported()
    return vectors | {"avx512_bf16": bf16, "amx_tile": amx, "amx_bf16": amx}


def kind() -> str:
    """Return the kind of machine in a word: what its convolutions are limited by."""
    found = features()
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    for name, told in KINDS.items():
        if found[name]:
            return told
    return platform.machine()


def machine() -> dict[str, object]:
    """Return what decides the speed of this machine."""
    return {
        "kind": kind(),
        "architecture": platform.machine(),
        "features": features(),
        "compiled_convolutions": next(iter(library.registers()), 0),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def in_words() -> str:
    """Return the machine in a line."""
    found = machine()
    return f"{found['kind']}, {found['cores']} cores, {found['threads']} threads, PyTorch {found['torch']}"


if __name__ == "__main__":
    print(json.dumps(machine(), indent=2))
