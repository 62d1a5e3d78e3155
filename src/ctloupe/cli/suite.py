"""`ctloupe suite`: models run on a benchmark that others can run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.leaderboards import print_boards
from ctloupe.cli.options import AsJson, Overwrite, named_paths


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("suite")(suite)


def suite(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SUITE", help="lung-v1, lung-b-v1, lung-thin-v1, lung-scanners-v1, smoke-v1, or a YAML file."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for results, leaderboards and report.html.")],
    model: Annotated[
        list[str] | None, typer.Option(help="Model package, or NAME=package; several of one name are seeds.")
    ] = None,
    study: Annotated[
        Path | None, typer.Option(help="Also every model that 'study run' trained in this folder.")
    ] = None,
    controls: Annotated[bool, typer.Option("--controls", help="Add deliberately bad enhancers as rows.")] = False,
    samples: Annotated[
        bool, typer.Option("--samples", help="Also a sample of every model that draws any, as a row of its own.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Where the phantoms are kept; default: in --out.")] = None,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure models on the phantoms of a benchmark and print its leaderboards; what is known is not measured again.

    Example: ctloupe suite lung-v1 --model runs/first/model --model unet=runs/unet/model --controls -o leaderboard
    """
    from ctloupe.foundation.threads import calculate_alone, share_the_cores

    share_the_cores()
    calculate_alone()
    from ctloupe.cli.progress import say
    from ctloupe.evaluate.suite.request import SuiteRequest, run_suite

    models = tuple(named_paths(model or [], "--model"))
    request = SuiteRequest(name, out, models, study, controls, data, samples, overwrite)
    print_boards(run_suite(request, say), as_json)
