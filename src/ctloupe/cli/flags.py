"""Messages name options as Python does; on the command line they are flags."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from ctloupe.foundation.errors import with_options

_SENTENCE_ABOUT_A_VERB = re.compile(r"(?=\bctloupe [a-z])")


def as_flags(text: str) -> str:
    """Write every option that `text` names in backquotes as the flag or argument that the command line has for it.

    An option that stands after ``ctloupe VERB`` is looked up in that verb, any other in the verb that is running; what
    the verb does not have stays in backquotes. Where no verb is running, any verb's flag will do.
    """
    if "`" not in text:
        return text
    running = _options_of(sys.argv[1:])
    if running is None:
        running = _options_of_all()
    parts = []
    for part in _SENTENCE_ABOUT_A_VERB.split(text):
        own = _options_of(re.findall(r"[a-z-]+", part)[1:3]) if part.startswith("ctloupe ") else None
        parts.append(with_options(part, partial(_written, {**running, **(own or {})})))
    return "".join(parts)


def _written(known: Mapping[str, str], name: str) -> str:
    return known.get(name, f"`{name}`")


def _options_of(words: Sequence[str]) -> Mapping[str, str] | None:
    """Options of the verb, of one word or two, that a command line begins with; None where there is no such verb."""
    verb = [word for word in words if not word.startswith("-")][:2]
    return _verbs().get(" ".join(verb)) or _verbs().get("".join(verb[:1]))


@lru_cache(maxsize=1)
def _options_of_all() -> Mapping[str, str]:
    """Options of all verbs; a flag goes before an argument."""
    written = [pair for options in _verbs().values() for pair in options.items()]
    return dict(sorted(written, key=lambda pair: pair[1].startswith("--")))


@lru_cache(maxsize=1)
def _verbs() -> Mapping[str, Mapping[str, str]]:
    """How each verb writes its options, by the name of the parameter in Python without the underscore of ``input_``."""
    import typer.main

    from ctloupe.cli.main import app

    found: dict[str, dict[str, str]] = {}
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        verb, command = waiting.pop()
        options = found.setdefault(verb, {})
        for parameter in command.params:
            flags = [flag for flag in (*parameter.opts, *parameter.secondary_opts) if flag.startswith("--")]
            name = str(parameter.name)
            argument = (getattr(parameter, "metavar", None) or name.upper()).removesuffix("...")
            options[name.removesuffix("_")] = flags[0] if flags else argument
        waiting += [(f"{verb} {name}".strip(), one) for name, one in getattr(command, "commands", {}).items()]
    del found[""]
    return found
