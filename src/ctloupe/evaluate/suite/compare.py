"""The front door of comparing: records named, gathered into one leaderboard, and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctloupe.evaluate.comparison import load_comparison
from ctloupe.evaluate.suite.leaderboard import Leaderboard, by_case, leaderboard
from ctloupe.evaluate.suite.report import OUTPUTS, write_boards
from ctloupe.foundation.atomic import require_new
from ctloupe.foundation.inputs import require_apart


@dataclass(frozen=True)
class CompareRequest:
    """What `compare_records` is asked for; the names are those of the command line's options.

    Attributes
    ----------
    records
        Files ``metrics.json`` of several cases or models.
    out
        Folder for ``leaderboard.md``, ``leaderboard.csv`` and ``report.html``; None: nothing is written.
    overwrite
        Whether earlier leaderboards in `out` are replaced.
    """

    records: tuple[Path, ...]
    out: Path | None = None
    overwrite: bool = False


def compare_records(request: CompareRequest, say: Callable[[str], None] = lambda line: None) -> Leaderboard:
    """Gather records into one leaderboard.

    Parameters
    ----------
    request
        Records and outputs.
    say
        Told where the leaderboard is.

    Raises
    ------
    FileError
        If a file is no record, or results are in the folder already.
    OptionError
        If records are of different protocols, contradict each other, or lack a row that others have.
    """
    if request.out is not None:
        require_apart(request.records, [request.out / name for name in OUTPUTS])
        require_new(request.out, request.overwrite, *OUTPUTS)
    board = leaderboard(by_case({str(path): load_comparison(path) for path in request.records}))
    if request.out is not None:
        write_boards({"": board}, "Leaderboard", request.out)
        say(f"wrote {', '.join(str(request.out / name) for name in OUTPUTS)}")
    return board
