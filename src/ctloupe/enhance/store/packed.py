"""What enhances slices, on its way to other processes: each of its arrays once, and as it lies in memory."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import torch


def packed(made: Any) -> bytes:
    """Return bytes from which another process makes the same, `unpacked`."""
    content = BytesIO()
    torch.save(made, content)
    return content.getvalue()


def unpacked(content: bytes) -> Any:
    """Make what was `packed` by the process that started this one, or that gave it work; never of files people have."""
    return torch.load(BytesIO(content), weights_only=False)


def lay_down(made: Any, file: Path) -> None:
    """Write what other processes of this machine take up, to a file of a folder that only this user can enter."""
    torch.save(made, file)


def taken_up(file: Path) -> Any:
    """Make what was laid down; its arrays stay in the file, and are in memory once for all processes."""
    return torch.load(file, weights_only=False, mmap=True)
