"""`ctloupe study`: fill the tables of the papers with numbers of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ctloupe.cli.options import AsJson

if TYPE_CHECKING:
    from ctloupe.studies.definition import Scale


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_studies)
    group.command("run")(run)
    group.command("report")(report)
    app.add_typer(group, name="study", help="Fill the tables of the papers with numbers of one's own.")


def list_studies(as_json: AsJson = False) -> None:
    """List the studies.

    Example: ctloupe study list
    """
    from ctloupe.studies.definition import load_study, names

    studies = [load_study(name) for name in names()]
    if as_json:
        print(json.dumps([study.model_dump(mode="json") for study in studies], indent=2))
        return
    width = max(len(study.name) for study in studies)
    for study in studies:
        print(f"{study.name:<{width}}  {study.title} ({study.reference})")
        print(f"{'':<{width}}  rows: {', '.join(row.key for row in study.rows)}; {', '.join(study.protocols)}")


def run(
    name: Annotated[str, typer.Argument(help="A study of 'ctloupe study list', or a YAML file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for everything the study makes.")],
    scale: Annotated[str, typer.Option(help="tiny, small or paper.")] = "tiny",
    only: Annotated[str | None, typer.Option(help="Keys of rows, separated by commas.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study in --out.")] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="Trainings of each row.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes of each training.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each training, instead of minutes.")] = None,
    size: Annotated[tuple[int, int, int] | None, typer.Option(help="Voxels z y x of each phantom.")] = None,
    per_case: Annotated[int | None, typer.Option(min=1, help="Patches a phantom.")] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="Training phantoms of each modality.")] = None,
    test_patches: Annotated[int | None, typer.Option(min=1, help="µCT patches that are compared.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="YAML file that lists volumes of one's own; or a folder that studies share.")
    ] = None,
    keep_runs: Annotated[bool, typer.Option("--keep-runs", help="Keep checkpoints of finished rows.")] = False,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler; its workers do the rows.")] = None,
) -> None:
    """Train and measure every row of a study; stopped or failed, it goes on with --resume.

    Example: ctloupe study run jmi-table3 --scale tiny --out studies/table3 --only A,M
    Example: ctloupe study run jmi-table3 --scale paper --data mydata.yaml --out studies/own3
    """
    from ctloupe.cli.progress import ConsoleProgress, say
    from ctloupe.studies.definition import load_study
    from ctloupe.studies.runner import StudyRequest, run_study

    keys = tuple(key.strip() for key in only.split(",") if key.strip()) if only else ()
    budget = seeds, minutes, steps, size, per_case, cases, test_patches
    request = StudyRequest(cast("Scale", scale), keys, resume, *budget, data, keep_runs, scheduler)
    page = run_study(load_study(name), out, request, say, ConsoleProgress())
    say(f"open {page} in a browser")
    print(page)


def report(out: Annotated[Path, typer.Argument(help="Folder of a study, finished or not.")]) -> None:
    """Write the report of a study anew and print its tables.

    Example: ctloupe study report studies/table3
    """
    from ctloupe.studies.report import write_report
    from ctloupe.studies.results import load_study_record

    write_report(load_study_record(out).study, out)
    print((out / "table.md").read_text(encoding="utf-8"), end="")
