"""`ctloupe demo`: the whole job on phantoms in a few minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.options import Overwrite


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="Minutes of training, of both methods together.")] = 3.5,
    size: Annotated[tuple[int, int, int], typer.Option(help="Voxels z y x of each phantom's fine grid.")] = (
        64,
        768,
        768,
    ),
    steps: Annotated[int | None, typer.Option(help="Training steps instead of minutes, likewise.")] = None,
    per_case: Annotated[int, typer.Option(help="Patches a volume.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of phantoms, patches and training.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make phantoms, train, enhance a held-out one, compare with its truth, and write a report.

    Example: ctloupe demo --out demo
    """
    from ctloupe.cli.progress import ConsoleProgress, say
    from ctloupe.demo.run import DemoRequest, run_demo

    request = DemoRequest(size, minutes, steps, per_case, seed)
    report = run_demo(out, request, ConsoleProgress(), overwrite)
    say(f"open {report} in a browser")
    print(report)
