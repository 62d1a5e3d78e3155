"""The command line of an enhancement."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class CommandError(Exception):
    """Something that the user of the panel can mend."""


SPACINGS = ("must fit", "resample", "accept")
"""What is done where the scan has not the spacing that the model was trained at."""


@dataclass(frozen=True)
class Enhancement:
    """What the panel asks for.

    Attributes
    ----------
    model
        Folder of a model package or a name; empty: the one that `ctloupe` uses where none is named.
    scale
        Enlargement that is required of the model; 0: its own.
    mask
        ``auto``, ``lungs``, ``box`` or ``none``; without effect where a mask file is given.
    slices
        Slices ``a:b``; empty: all.
    spacing
        One of `SPACINGS`.
    samples, output, consistent, seed
        Options of the same names of ``ctloupe enhance``.
    uncertainty
        Whether a standard deviation is made too.
    """

    model: str = ""
    scale: int = 0
    mask: str = "auto"
    slices: str = ""
    spacing: str = "must fit"
    samples: int = 0
    output: str = "mean"
    uncertainty: bool = False
    consistent: bool = False
    seed: int = 0

    @property
    def with_uncertainty(self) -> bool:
        """Whether there will be a standard deviation: it also comes of samples."""
        return self.uncertainty or self.samples > 0

    def arguments(self, scan: Path, out: Path, uncertainty: Path, mask: Path | None = None) -> list[str]:
        """Return what follows the name of the command.

        Parameters
        ----------
        scan, out, uncertainty
            Files that are read and written.
        mask
            File of a mask on the scan's grid; None: the kind that the panel says.
        """
        found = ["enhance", str(scan), "-o", str(out), "--no-preview", "--seed", str(self.seed)]
        found += ["--mask", str(mask) if mask else self.mask]
        if self.model.strip():
            found += ["--model", self.model.strip()]
        if self.scale:
            found += ["--scale", str(self.scale)]
        if self.slices.strip():
            found += ["--slices", self.slices.strip()]
        if self.spacing == "resample":
            found += ["--resample"]
        if self.spacing == "accept":
            found += ["--accept-spacing"]
        if self.samples:
            found += ["--samples", str(self.samples)]
        if self.output != "mean":
            found += ["--output", self.output]
        if self.with_uncertainty:
            found += ["--uncertainty", str(uncertainty)]
        if self.consistent:
            found += ["--consistent"]
        return found


def find_command(stated: str, environment: Mapping[str, str]) -> str:
    """Return the path of the installed ``ctloupe``.

    Parameters
    ----------
    stated
        What the panel says: a path, a folder such as a virtual environment, or nothing.
    environment
        Environment whose ``PATH`` is searched where nothing is said.

    Raises
    ------
    CommandError
        If there is none.
    """
    stated = stated.strip()
    if not stated:
        found = shutil.which("ctloupe", path=environment.get("PATH", ""))
        if found is None:
            raise CommandError("ctloupe was not found; install it, and set the path of its command in the panel")
        return found
    path = Path(stated).expanduser()
    candidates = [path]
    if path.is_dir():
        candidates = [
            path / "bin" / "ctloupe",
            path / "Scripts" / "ctloupe.exe",
            path / "ctloupe",
            path / "ctloupe.exe",
        ]
    for one in candidates:
        if one.is_file() and os.access(one, os.X_OK):
            return str(one)
    raise CommandError(f"{stated}: no ctloupe command is here; set the path of the one that pip installed")


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a Python that is not Slicer's, whose lines come as they are written, in UTF-8."""
    left_out = {"PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE"}
    kept = {name: value for name, value in environment.items() if name not in left_out}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
