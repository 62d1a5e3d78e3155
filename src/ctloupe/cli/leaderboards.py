"""Leaderboards on the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctloupe.evaluate.suite.leaderboard import Leaderboard


def print_boards(boards: Mapping[str, Leaderboard], as_json: bool) -> None:
    """Print leaderboards by group, as Markdown or JSON."""
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
