"""The `ctloupe` command: registers the verbs and turns expected errors into one line and exit status 2."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ctloupe.cli import (
    compare,
    data,
    demo,
    doctor,
    enhance,
    evaluate,
    export,
    inspect,
    models,
    pairs,
    phantom,
    prepare,
    rate,
    scanner,
    study,
    suite,
    train,
    view,
)
from ctloupe.cli.flags import as_flags
from ctloupe.cli.help import lay_out_examples
from ctloupe.foundation.atomic import refusal_in_words
from ctloupe.foundation.errors import CtLoupeError, Interrupted
from ctloupe.foundation.foreign_text import printable
from ctloupe.foundation.garbage import collect_seldom
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.signals import exit_status, interrupting
from ctloupe.foundation.workers import allow_unasked


class _Verbs(TyperGroup):
    """The verbs; one that is stopped and has nothing to go on from says so."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            goes_on = as_flags("`resume`") != "`resume`"
            how = ", or `resume` where something was kept" if goes_on else ""
            raise Interrupted(
                f"stopped; what was finished is kept, the rest removed; give the same command again{how}"
            ) from error


_UsageError: Any = typer.BadParameter.__mro__[1]
"""What typer raises for a command line that cannot be read; it exports only this descendant of it."""

app = typer.Typer(
    cls=_Verbs,
    name="ctloupe",
    help=f"Take clinical CT to micro-CT scale by unpaired super-resolution. {RESEARCH_NOTICE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from ctloupe import __version__

        print(f"ctloupe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option(help="Show a traceback for expected errors too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    if debug:
        os.environ["CTLOUPE_DEBUG"] = "1"


for verb in (
    demo,
    doctor,
    inspect,
    data,
    phantom,
    scanner,
    prepare,
    train,
    pairs,
    enhance,
    view,
    evaluate,
    suite,
    compare,
    models,
    export,
    study,
    rate,
):
    verb.register(app)
lay_out_examples(app)


@cache
def _command() -> Any:
    """The verbs as typer runs them, put together once however often a process runs the command line."""
    return get_command(app)


def _refused(error: Any) -> None:
    """Say in one line what is wrong with the command line itself; without any argument that is the whole help."""
    told = error.format_message()
    if "\n" in told:
        print(told, file=sys.stderr)
        return
    command = "ctloupe" if error.ctx is None else error.ctx.command_path
    print(f"ctloupe: {printable(told).rstrip('.')}; '{command} -h' shows what there is", file=sys.stderr)


def main() -> None:
    """Run the command line."""
    collect_seldom()
    allow_unasked()
    with interrupting():
        try:
            sys.exit(_command()(prog_name="ctloupe", standalone_mode=False))
        except _UsageError as error:
            _refused(error)
            sys.exit(2)
        except CtLoupeError as error:
            if os.environ.get("CTLOUPE_DEBUG"):
                raise
            print(f"ctloupe: {as_flags(str(error))}", file=sys.stderr)
            sys.exit(exit_status() if isinstance(error, Interrupted) else 2)
        except OSError as error:
            told = refusal_in_words(error)
            if told is None or os.environ.get("CTLOUPE_DEBUG"):
                raise
            print(f"ctloupe: {printable(told)}", file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main()
