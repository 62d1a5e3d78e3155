"""Reading once in a process of its own first, where a native library decodes: its death is told in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from ctloupe.foundation.errors import CtLoupeError, FileError
from ctloupe.foundation.location import Location, Remote
from ctloupe.volume.formats.detection import format_of
from ctloupe.volume.formats.reading import read
from ctloupe.volume.geometry import Triple


def require_survivable(path: Location, series: str | int | None = None, voxel_size: Triple | None = None) -> None:
    """Refuse a file that a library dies of, where one of other languages decodes it; others pass without a look.

    What our own checks know of never reaches such a library; this is for what they do not know. The volume is read
    twice for it, the first time by a process that ends before this returns. Whatever else is wrong is left to `read`.

    Parameters
    ----------
    path, series, voxel_size
        See `ctloupe.read`.

    Raises
    ------
    FileError
        If the process that reads it is ended by a signal.
    """
    if isinstance(path, Remote) or not format_of(path).decodes_natively(path):
        return
    asked = json.dumps({"path": str(path), "series": series, "voxel_size": voxel_size})
    # Without -P a module in the working folder, which may hold anything, would be imported in place of ours.
    died_of = death([sys.executable, "-P", "-m", "ctloupe.volume.formats.apart", asked])
    if died_of is not None:
        raise FileError(
            f"{path}: a library that decodes it died of it ({died_of}); the file is damaged, or memory is short: "
            "export it again, or convert it with another program"
        )


def death(command: Sequence[str]) -> str | None:
    """Run a command that is not heard, and return the name of the signal that ended it, if one did."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
        check=False,
    )
    if done.returncode >= 0:
        return None
    try:
        return signal.Signals(-done.returncode).name
    except ValueError:
        return f"signal {-done.returncode}"


def main() -> None:
    """Read every slice of what the command line names; what is refused is refused again by who asked."""
    asked = json.loads(sys.argv[1])
    try:
        volume = read(asked["path"], series=asked["series"], voxel_size=asked["voxel_size"])
        for number in range(volume.shape[0]):
            np.asarray(volume.data[number : number + 1])
    except (CtLoupeError, OSError, MemoryError):
        pass


if __name__ == "__main__":
    main()
