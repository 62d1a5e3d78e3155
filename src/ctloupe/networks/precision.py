"""What number formats a device computes in."""

from __future__ import annotations

import torch


def hardware_has_bf16(accelerator: str) -> bool:
    """Whether bfloat16 convolutions are done by the hardware rather than emulated."""
    if accelerator == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
