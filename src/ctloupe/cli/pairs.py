"""`ctloupe pairs`: µCT patches with clinical-like images made of them, as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.options import Overwrite


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("pairs")(pairs)


def pairs(
    run: Annotated[Path, typer.Argument(help="Run folder of a method that makes clinical-like images.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Bank folder to make.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of methods that add noise.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write synthesised pairs: clinical patch k of the bank is made of its µCT patch k.

    Example: ctloupe pairs runs/synth-srgan -o pairs
    """
    from ctloupe.cli.progress import ConsoleProgress, say, show
    from ctloupe.train.bank_pair import load_banks
    from ctloupe.train.pairs import write_pairs
    from ctloupe.train.run_folder import RunFolder

    progress = ConsoleProgress()
    progress.start("making pairs", len(load_banks(RunFolder(run).settings().bank).micro.patches))
    try:
        count = write_pairs(run, out, progress.update, overwrite, seed)
    finally:
        progress.close()
    say(f"wrote {count} pairs")
    show(str(out))
