"""How the help of the verbs is laid out: their examples stand each on a line of its own, as it is typed."""

from __future__ import annotations

import inspect
from typing import Final

import typer

EXAMPLE: Final = "Example: "
_KEEP_LINES: Final = "\b"
"""What tells typer that the lines of a paragraph stay as they are."""


def lay_out_examples(app: typer.Typer) -> None:
    """Give every verb of `app`, and of the groups in it, a help whose examples are lines to be copied."""
    for verb in app.registered_commands:
        if verb.callback is not None:
            verb.help = with_examples(verb.help or inspect.getdoc(verb.callback) or "")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            lay_out_examples(group.typer_instance)


def with_examples(text: str) -> str:
    """Return a docstring with its lines ``Example: …`` gathered in a paragraph that is not filled."""
    lines = text.splitlines()
    examples = [line.strip().removeprefix(EXAMPLE) for line in lines if line.strip().startswith(EXAMPLE)]
    if not examples:
        return text
    told = "\n".join(line for line in lines if not line.strip().startswith(EXAMPLE)).rstrip()
    title = "Example:" if len(examples) == 1 else "Examples:"
    return "\n".join([told, "", _KEEP_LINES, title, *(f"  {one}" for one in examples)])
