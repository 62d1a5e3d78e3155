"""Whether an image is made for its numbers alone, so that it may be made in a quicker way."""

from __future__ import annotations

import torch
from torch import Tensor


def is_only_computed(image: Tensor) -> bool:
    """Whether an image lies on a CPU, and nobody will differentiate what is made of it, or follows it to export it."""
    followed = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined]
    return image.device.type == "cpu" and torch.is_inference_mode_enabled() and not followed
