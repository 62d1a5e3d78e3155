"""The `ctloupe` command: registers the verbs and turns expected errors into one line and exit status 2."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ctloupe.cli import (
    compare,
    demo,
    doctor,
    enhance,
    evaluate,
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
)
from ctloupe.cli.flags import as_flags
from ctloupe.foundation.errors import CtLoupeError, Interrupted
from ctloupe.foundation.notice import RESEARCH_NOTICE

app = typer.Typer(
    name="ctloupe",
    help=f"Take clinical CT to micro-CT scale by unpaired super-resolution. {RESEARCH_NOTICE}",
    no_args_is_help=True,
    add_completion=False,
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
    phantom,
    scanner,
    prepare,
    train,
    pairs,
    enhance,
    evaluate,
    suite,
    compare,
    models,
    study,
    rate,
):
    verb.register(app)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except CtLoupeError as error:
        if os.environ.get("CTLOUPE_DEBUG"):
            raise
        print(f"ctloupe: {as_flags(str(error))}", file=sys.stderr)
        sys.exit(130 if isinstance(error, Interrupted) else 2)


if __name__ == "__main__":
    main()
