"""Curves for TensorBoard beside the CSV file, where TensorBoard is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Events:
    """Writes scalars to an event file; does nothing where the extra ``tensorboard`` is not installed.

    Parameters
    ----------
    folder
        Folder of the event files.
    first_step
        First step that is to come; what an interrupted run wrote from there on is no longer shown.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write the values of a step under their names."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is waiting."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
