"""`ctloupe rate`: blinded rating by people, planned and analysed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.options import AsJson, Overwrite, Series, as_window, named_paths, numbers

rate_app = typer.Typer(no_args_is_help=True, help="Plan and analyse blinded ratings.")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.add_typer(rate_app, name="rate")


@rate_app.command("design")
def design(
    design: Annotated[
        Path | None, typer.Argument(help="Design in YAML: methods, patches, criteria, raters, repeats, seed.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder for the key, the raters' sheets and their pictures.")],
    experiment: Annotated[
        str | None, typer.Option(help="isbi, jmi, or a YAML file of one's own, in place of a design.")
    ] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", help="The scan; with --output, blinded pictures are cut out.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option(help="METHOD=volume that a method made of the scan; several are given.")
    ] = None,
    mask: Annotated[
        str | None, typer.Option(help="Where patches are drawn: lungs, box, none, or a mask file on the scan's grid.")
    ] = None,
    at: Annotated[
        list[str] | None, typer.Option(help="Z,Y,X of the scan's voxel in the middle of a patch, instead of drawing.")
    ] = None,
    side: Annotated[int | None, typer.Option(min=2, help="Side of a patch in voxels of the scan.")] = None,
    window: Annotated[
        str | None, typer.Option(help="LOW,HIGH: values that are black and white; default: the anatomy's.")
    ] = None,
    choice: Annotated[
        bool, typer.Option("--choice", help="Let raters choose the better one of two methods, for --experiment.")
    ] = False,
    patches: Annotated[int | None, typer.Option(min=1, help="Number of patches, for --experiment.")] = None,
    raters: Annotated[
        list[str] | None, typer.Option("--rater", help="Code of a rater, for --experiment; several may be given.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=0, help="Number of items that each rater sees twice, for --experiment.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of places, orders and labels; default: drawn.")] = None,
    series: Series = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw the order and the blinded labels of a study; write the key, a sheet for each rater, and the pictures.

    Example: ctloupe rate design texture.yaml --out texture-study
    Example: ctloupe rate design --experiment isbi --input scan/ --output a=a.ome.zarr --output b=b.ome.zarr --out study
    """
    from ctloupe.cli.progress import say
    from ctloupe.rate.request import DesignRequest, design_study

    request = DesignRequest(
        out=out,
        design=design,
        experiment=experiment,
        input=input_,
        output=tuple(named_paths(output or [], "--output")),
        mask=mask,
        at=tuple(_place(text) for text in at or []),
        side=side,
        window=as_window(window),
        choice=choice,
        patches=patches,
        raters=tuple(raters or ()),
        repeats=repeats,
        seed=seed,
        series=series,
        overwrite=overwrite,
    )
    made, paths = design_study(request)
    say(f"{len(made.patch_names)} patches × {len(made.methods)} methods, {made.repeats} repeats, for each rater")
    say(f"keep {paths[0]} and {paths[1]} from the raters")
    for path in paths:
        print(path)


def _place(text: str) -> tuple[float, float, float]:
    z, y, x = numbers(text, "--at", 3, "12,200,180")
    return z, y, x


@rate_app.command("serve")
def serve(
    study: Annotated[Path, typer.Argument(help="Folder that 'rate design' made, with pictures.")],
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the server; default: that of the last time, or any.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the first rater's link here.")] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name of a proxy under which the pages may be asked for.")
    ] = None,
) -> None:
    """Show raters their pictures in the browser, one link a rater, and keep every answer at once.

    Example: ctloupe rate serve isbi-study
    """
    from ctloupe.cli.progress import say
    from ctloupe.rate.session import ServeRequest, serve_study

    request = ServeRequest(study=study, port=port, browser=browser, hosts=tuple(allow_host or ()))
    serve_study(request, say, lambda line: print(line, flush=True))


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
    from ctloupe.rate.choices import read_choices, write_choices
    from ctloupe.rate.design import DESIGN, read_design
    from ctloupe.rate.ratings import read_ratings

    made = read_design(study / DESIGN)
    inputs = [study, *ratings]
    if made.choice:
        content = write_choices(made, read_choices(made, study, ratings), out, overwrite, inputs)
    else:
        content = write_analysis(made, read_ratings(made, study, ratings), out, overwrite, inputs)
    print(json.dumps(content, indent=2) if as_json else (out / "analysis.md").read_text("utf-8"))
