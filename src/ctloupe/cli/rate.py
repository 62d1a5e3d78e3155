"""`ctloupe rate`: blinded rating by people, planned and analysed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.options import AsJson, Overwrite

rate_app = typer.Typer(no_args_is_help=True, help="Plan and analyse blinded ratings.")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.add_typer(rate_app, name="rate")


@rate_app.command("design")
def design(
    file: Annotated[Path, typer.Argument(help="Design in YAML: methods, patches, criteria, raters, repeats, seed.")],
    out: Annotated[Path, typer.Option(help="Folder for the key and the raters' sheets.")],
    overwrite: Overwrite = False,
) -> None:
    """Draw the order and the blinded labels of a study; write the key and an empty sheet for each rater.

    Example: ctloupe rate design texture.yaml --out texture-study
    """
    from ctloupe.cli.progress import say
    from ctloupe.rate.design import read_design, write_study

    made = read_design(file)
    paths = write_study(made, out, overwrite, [file])
    say(f"{len(made.patch_names)} patches × {len(made.methods)} methods, {made.repeats} repeats, for each rater")
    say(f"keep {paths[1]} from the raters")
    for path in paths:
        print(path)


@rate_app.command("analyse")
def analyse(
    study: Annotated[Path, typer.Argument(help="Folder that 'rate design' made.")],
    ratings: Annotated[list[Path], typer.Argument(help="Filled sheets (CSV).")],
    out: Annotated[Path, typer.Option(help="Folder for tables and box plots.")],
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Compare the methods, criterion by criterion: box plots, tests with Holm's correction, agreement of the raters.

    Example: ctloupe rate analyse texture-study filled/ratings-a.csv filled/ratings-b.csv --out texture-results
    """
    import json

    from ctloupe.rate.analysis import write_analysis
    from ctloupe.rate.design import DESIGN, read_design
    from ctloupe.rate.ratings import read_ratings

    made = read_design(study / DESIGN)
    found = read_ratings(made, study, ratings)
    content = write_analysis(made, found, out, overwrite, [study, *ratings])
    print(json.dumps(content, indent=2) if as_json else (out / "analysis.md").read_text("utf-8"))
