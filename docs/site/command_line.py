"""The reference of the command line, written from the program itself, so that it names what there is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command below ``ctloupe``, a group before what is in it, with the words that call it."""
    from ctloupe.cli.main import app

    yield from _below(typer.main.get_command(app), ())


def _below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if words:
        yield words, command
    for name, one in getattr(command, "commands", {}).items():
        if not one.hidden:
            yield from _below(one, (*words, name))


def command_pages() -> dict[str, str]:
    """Return the page of every verb in Markdown by the verb, its own commands below it."""
    pages: dict[str, list[str]] = {}
    for words, command in commands():
        pages.setdefault(words[0], []).append(_section(words, command))
    return {verb: "\n\n".join(sections) + "\n" for verb, sections in pages.items()}


def summary(command: Any) -> str:
    """Return the first sentence that a command says of itself."""
    text, _ = _told(command)
    return text.split("\n\n")[0].replace("\n", " ")


def _section(words: tuple[str, ...], command: Any) -> str:
    text, examples = _told(command)
    call = " ".join(("ctloupe", *words))
    context = command.context_class(command)
    usage = " ".join((call, *command.collect_usage_pieces(context)))
    parts = [f"{'#' * len(words)} {call}", text, f"```text\n{usage}\n```"]
    for kind in ("argument", "option"):
        asked = (one.get_help_record(context) for one in command.params if one.param_type_name == kind)
        # The terminal's own words: names and value first, then what it does, its default, and whether it is required.
        rows = [(f"`{names}`", _cell(told)) for names, told in filter(None, asked)]
        parts += [_table((kind, "what"), rows)] if rows else []
    if examples:
        parts += ["Examples:", "```bash\n" + "\n".join(examples) + "\n```"]
    return "\n\n".join(parts)


def _told(command: Any) -> tuple[str, list[str]]:
    """What a command says of itself, and its examples."""
    lines = inspect.cleandoc(command.help or "").splitlines()
    examples = [line.partition(":")[2].strip() for line in lines if line.strip().startswith("Example:")]
    kept = [line for line in lines if not line.strip().startswith("Example:")]
    return _text("\n".join(kept)).strip(), examples


def _cell(text: str | None) -> str:
    return " ".join(_text(text or "").split())


def _text(text: str) -> str:
    """Text of the terminal as Markdown that shows the same characters."""
    for sign in ("\\", "*", "_", "|", "<", "[", "]", "{", "}", "$", "#"):
        text = text.replace(sign, f"\\{sign}")
    return text


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *((first.replace("|", "\\|"), second) for first, second in rows)]
    return "\n".join(f"| {first} | {second} |" for first, second in lines)
