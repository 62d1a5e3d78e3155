"""`ctloupe compare`: results of several cases or models in one leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.leaderboards import print_boards
from ctloupe.cli.options import AsJson, Overwrite


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("compare")(compare)


def compare(
    records: Annotated[
        list[Path], typer.Argument(metavar="METRICS...", help="Files metrics.json that 'evaluate' wrote.")
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for the leaderboard and report.html.")] = None,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Gather results of one protocol into one leaderboard, with intervals over cases.

    Example: ctloupe compare one/metrics.json two/metrics.json -o gathered
    """
    from ctloupe.cli.progress import say
    from ctloupe.evaluate.suite.compare import CompareRequest, compare_records

    board = compare_records(CompareRequest(tuple(records), out, overwrite), say)
    print_boards({"": board}, as_json)
