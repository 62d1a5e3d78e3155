"""Leaderboards of `ctloupe evaluate`: results gathered, and models run on a suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctloupe.foundation.errors import OptionError

if TYPE_CHECKING:
    from ctloupe.evaluate.suite.leaderboard import Leaderboard


def require_new(out: Path | None, overwrite: bool, *names: str) -> None:
    """Refuse to replace results unasked."""
    for name in names:
        if out is not None and not overwrite and (out / name).exists():
            raise OptionError(f"{out / name}: exists already; give --overwrite or another --out")


def compare_results(paths: list[Path], out: Path | None, as_json: bool, overwrite: bool) -> None:
    """Gather results into one leaderboard."""
    from ctloupe.evaluate.comparison import load_comparison
    from ctloupe.evaluate.suite.leaderboard import by_case, leaderboard

    require_new(out, overwrite, "leaderboard.md", "leaderboard.csv", "report.html")
    boards = {"": leaderboard(by_case({str(path): load_comparison(path) for path in paths}))}
    _print_boards(boards, as_json)
    if out is not None:
        from ctloupe.evaluate.suite.report import write_boards

        write_boards(boards, "Leaderboard", out)
        _say_written(out)


def run_on_suite(
    suite: str,
    models: list[tuple[str, Path]],
    controls: bool,
    data: Path | None,
    out: Path | None,
    pdf: bool,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Run models on a suite and print its leaderboards."""
    from ctloupe.cli.progress import say
    from ctloupe.evaluate.suite.definition import load_suite
    from ctloupe.evaluate.suite.run import run_suite

    if out is None:
        raise OptionError("--suite needs --out")
    if pdf:
        raise OptionError("--pdf belongs to single cases; a suite writes report.html")
    require_new(out, overwrite, "leaderboard.md", "leaderboard.csv", "report.html")
    _print_boards(run_suite(load_suite(suite), models, out, data or out / "data", controls, say), as_json)
    _say_written(out)


def models_of(study: Path) -> list[tuple[str, Path]]:
    """Row and model package of every training of a study; the seeds of a row share its name."""
    found = [(path.parent.name.rpartition("-seed-")[0], path) for path in sorted(study.glob("runs/*-seed-*/model"))]
    if not found:
        raise OptionError(
            f"--study {study}: no trained model here (runs/*-seed-*/model); give the --out of 'study run'"
        )
    return found


def _print_boards(boards: dict[str, Leaderboard], as_json: bool) -> None:
    import json

    from ctloupe.evaluate.suite.leaderboard import LEGEND
    from ctloupe.evaluate.suite.report import board_markdown
    from ctloupe.foundation.notice import RESEARCH_NOTICE

    if as_json:
        print(json.dumps({name: one.plain() for name, one in boards.items()}, indent=2))
        return
    for name, one in boards.items():
        print(f"## {name}\n" if name else "", end="")
        print(board_markdown(one) + "\n")
    print(LEGEND)
    print(RESEARCH_NOTICE)


def _say_written(out: Path) -> None:
    from ctloupe.cli.progress import say

    say(f"wrote {out / 'leaderboard.md'}, {out / 'leaderboard.csv'} and {out / 'report.html'}")
