"""Run suite lung-v1 on every model of a study, and put its leaderboard into a page of the docs.

python benchmarks/leaderboard.py --study study-all --page docs/leaderboard.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ctloupe.cli.main import main as ctloupe

BEGIN, END = "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="folder that 'ctloupe study run' wrote")
    parser.add_argument("--page", type=Path, required=True, help="Markdown page with the two marks")
    parser.add_argument("--suite", default="lung-v1")
    parser.add_argument("--leave-out", nargs="*", default=["Inner ear"], help="groups that no model was trained for")
    parser.add_argument("--model", action="append", default=[], help="NAME=PACKAGE, a row beside those of the study")
    parser.add_argument("--out", type=Path, help="of the suite; default: beside the study's results")
    arguments = parser.parse_args()
    text = arguments.page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        parser.error(f"{arguments.page}: expected the marks {BEGIN} and {END}")
    out = arguments.out or arguments.study / arguments.suite
    given = ["suite", arguments.suite, "--study", arguments.study, "--controls", "--samples", "-o", out, "--overwrite"]
    beside = [word for model in arguments.model for word in ("--model", model)]
    sys.argv = ["ctloupe", *map(str, given), *beside]
    try:
        ctloupe()
    except SystemExit as stop:
        if stop.code:
            raise
    board = (out / "leaderboard.md").read_text(encoding="utf-8")
    # The title is the page's own; everything below it goes down a level.
    lines = without(board.splitlines()[1:], arguments.leave_out)
    body = "\n".join(f"#{line}" if line.startswith("#") else line for line in lines).strip()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    arguments.page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def without(lines, groups):
    """The lines but for those below the heading of one of the groups."""
    kept, out = [], False
    for line in lines:
        if line.startswith("## "):
            out = line[3:].strip() in groups
        if not out:
            kept.append(line)
    return kept


if __name__ == "__main__":
    main()
