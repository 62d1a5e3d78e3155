"""Messages name options as Python does; on the command line they are flags."""

from __future__ import annotations

from functools import lru_cache

from ctloupe.foundation.errors import with_options


def as_flags(text: str) -> str:
    """Write every option that `text` names in backquotes as a flag, where the command line has one of that name."""
    return with_options(text, _written)


def _written(name: str) -> str:
    flag = f"--{name.replace('_', '-')}"
    return flag if flag in _flags() else f"`{name}`"


@lru_cache(maxsize=1)
def _flags() -> frozenset[str]:
    """Flags of all verbs."""
    import typer.main

    from ctloupe.cli.main import app

    found: set[str] = set()
    waiting = [typer.main.get_command(app)]
    while waiting:
        command = waiting.pop()
        found |= {flag for parameter in command.params for flag in parameter.opts}
        waiting += getattr(command, "commands", {}).values()
    return frozenset(found)
