"""What a kind of exported file is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ctloupe.export.graph import HounsfieldNetwork
from ctloupe.export.record import ExportRecord
from ctloupe.foundation.errors import MissingExtraError

Arrays = Mapping[str, NDArray[np.float32]]

Run = Callable[[Arrays], NDArray[np.float32]]
"""Enhances slices: the inputs by name in, the enhanced slices out."""


@dataclass(frozen=True)
class Example:
    """Inputs that a network is traced with."""

    inputs: dict[str, Tensor]

    @property
    def names(self) -> list[str]:
        """Names of the inputs in their order."""
        return list(self.inputs)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs in their order."""
        return tuple(self.inputs.values())


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes
    ----------
    name
        Name on the command line.
    suffixes
        Suffixes of its files; none: it is a folder.
    needs
        Modules that writing and checking it needs, by the extra that brings them.
    beside
        Returns what else is written beside a file.
    write
        Writes a network to a path, and beside it.
    load
        Reads such a file with the program that it is for.
    """

    name: str
    suffixes: tuple[str, ...]
    needs: Mapping[str, str]
    write: Callable[[HounsfieldNetwork, Example, ExportRecord, Path], None]
    load: Callable[[Path, ExportRecord], Run]
    beside: Callable[[Path], tuple[Path, ...]] = lambda path: ()

    def require_installed(self) -> None:
        """Refuse what cannot be written here, before anything is computed.

        Raises
        ------
        MissingExtraError
            If a module is not installed.
        """
        missing = next((module for module in self.needs if find_spec(module) is None), None)
        if missing is not None:
            raise MissingExtraError(
                f"`to` {self.name} needs the package {missing}: pip install 'ctloupe[{self.needs[missing]}]'"
            )


@contextmanager
def traced_quietly() -> Iterator[None]:
    """Leave out what PyTorch says of tracing: that it is old, and which sizes it takes for granted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
