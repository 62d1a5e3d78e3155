"""`ctloupe evaluate`: numbers and a page for an enhanced volume or a model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ctloupe.cli.options import AsJson, Overwrite, Series, VoxelSize, as_voxel_size, numbers
from ctloupe.volume.errors import OptionError


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("evaluate")(evaluate)


def evaluate(
    scan: Annotated[Path | None, typer.Option("--input", help="The clinical CT that was enhanced.")] = None,
    output: Annotated[Path | None, typer.Option(help="The enhanced volume.")] = None,
    truth: Annotated[Path | None, typer.Option(help="The truth on the fine grid, when known.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Labels on the grid of the truth, for errors by tissue.")] = None,
    uncertainty: Annotated[
        Path | None, typer.Option(help="Standard deviation that 'enhance --samples' wrote, to be judged by the truth.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Where to compare, on the grid of the input.")] = None,
    slices: Annotated[str | None, typer.Option(help="Slices a:b of the input that were enhanced.")] = None,
    roi: Annotated[str | None, typer.Option(help="Region z0:z1,y0:y1,x0:x1 that was enhanced.")] = None,
    protocol: Annotated[str, typer.Option(help="truth (input, output, truth) or jmi (µCT and model).")] = "truth",
    micro: Annotated[Path | None, typer.Option(help="µCT volume, for --protocol jmi.")] = None,
    model: Annotated[str | None, typer.Option(help="Model package, for --protocol jmi.")] = None,
    patches: Annotated[int | None, typer.Option(help="At most so many patches, for --protocol jmi.")] = None,
    micro_window: Annotated[str | None, typer.Option(help="LOW,HIGH of the µCT; default: the model's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of patches.")] = 0,
    voxel_size: VoxelSize = None,
    series: Series = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for metrics.json and report.html.")] = None,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Compare an enhanced volume with truth and scan, or a model with µCT; bicubic is always a row.

    Example: ctloupe evaluate --input clinical.nii.gz --output enhanced.ome.zarr --truth truth.nii.gz -o evaluation
    Example: ctloupe evaluate --protocol jmi --micro micro.nii.gz --model runs/first/model
    """
    from ctloupe.evaluate.report import Report

    if protocol not in ("truth", "jmi"):
        raise OptionError(f"--protocol {protocol}: expected truth or jmi")
    report = Report(f"Evaluation, protocol {protocol}")
    if out is not None and not overwrite:
        for name in ("metrics.json", "report.html"):
            if (out / name).exists():
                raise OptionError(f"{out / name}: exists already; give --overwrite or another --out")
    if protocol == "jmi":
        found = _jmi(report, micro, model, patches, micro_window, seed, as_voxel_size(voxel_size))
    else:
        found = _truth(report, scan, output, truth, labels, uncertainty, mask, slices, roi, series)
    _print(found, as_json)
    if out is not None:
        from ctloupe.cli.progress import say
        from ctloupe.volume.atomic import replacing

        with replacing(out / "metrics.json", overwrite=True) as temporary:
            temporary.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
        report.write(out / "report.html")
        say(f"wrote {out / 'metrics.json'} and {out / 'report.html'}")


def _truth(
    report: Any,
    scan: Path | None,
    output: Path | None,
    truth: Path | None,
    labels: Path | None,
    uncertainty: Path | None,
    mask: Path | None,
    slices: str | None,
    roi: str | None,
    series: str | None,
) -> Any:
    from ctloupe.enhance.region import parse_region
    from ctloupe.evaluate.page import add_pictures, add_tissues, in_words, tissues_in_words
    from ctloupe.evaluate.protocols import compare_with_truth, interpolated, scale_between
    from ctloupe.evaluate.tissues import tissue_errors
    from ctloupe.phantom.anatomy import Label
    from ctloupe.phantom.phantom import labels_on_clinical_slices, truth_on_clinical_slices
    from ctloupe.volume.formats import read

    if scan is None or output is None:
        raise OptionError("--input and --output are needed (and --truth, when it is known)")
    if labels is not None and truth is None:
        raise OptionError("--labels needs --truth")
    if uncertainty is not None and truth is None:
        raise OptionError("--uncertainty needs --truth: only errors can say whether it is honest")
    low = read(scan, series=series)
    region = parse_region(low.shape, slices, roi)
    low, whole = low.crop(*region), low
    fine = read(output)
    scale = scale_between(low, fine)
    real = truth_on_clinical_slices(read(truth), low) if truth else None
    inside = (read(mask).array() != 0) if mask else None
    if inside is not None:
        if inside.shape != whole.shape:
            raise OptionError(f"--mask {mask}: shape {inside.shape}, the input has {whole.shape}")
        inside = inside[region]
    found = compare_with_truth(low, {"enhanced": fine}, real, inside)
    rows = {"bicubic": interpolated(low, scale), "enhanced": fine}
    report.section("Result")
    report.text(in_words(found, "enhanced"))
    report.comparison(found)
    report.section("Pictures")
    add_pictures(report, low, rows, real, inside)
    if labels is not None and real is not None:
        names = {int(label): label.name.lower().replace("_", " ") for label in Label}
        marked = labels_on_clinical_slices(read(labels), low)
        tissues = tissue_errors(rows, real, marked, names)
        report.section("By tissue")
        report.text(tissues_in_words(tissues, "enhanced"))
        add_tissues(report, tissues)
    if uncertainty is not None and real is not None:
        found = _judged(report, found, fine, read(uncertainty), real, inside, scale)
    return found


def _judged(report: Any, found: Any, fine: Any, deviation: Any, real: Any, inside: Any, scale: int) -> Any:
    """Add what the uncertainty is worth to the report and to the facts of the comparison."""
    from ctloupe.cli.progress import say
    from ctloupe.evaluate.calibration import MEANINGS, uncertainty_of

    worth = uncertainty_of(fine, deviation, real, inside, scale)
    report.section("Uncertainty")
    report.table(["", "value"], [(name, f"{value:.3f}") for name, value in worth.items()])
    report.terms(MEANINGS)
    say("uncertainty: " + ", ".join(f"{name} {value:.3f}" for name, value in worth.items()))
    return replace(found, facts=found.facts | {"uncertainty": worth})


def _jmi(
    report: Any,
    micro: Path | None,
    model: str | None,
    patches: int | None,
    window: str | None,
    seed: int,
    voxel_size: tuple[float, float, float] | None,
) -> Any:
    from ctloupe.enhance.resolver import load_model
    from ctloupe.evaluate.page import in_words
    from ctloupe.evaluate.protocols import compare_by_jmi
    from ctloupe.methods.package import load_package
    from ctloupe.prepare.intensity import MICRO, IntensityWindow
    from ctloupe.volume.formats import read

    if micro is None or model is None:
        raise OptionError("--protocol jmi needs --micro and --model")
    resolver = load_model(model)
    used = MICRO if model == "bicubic" else IntensityWindow(*load_package(Path(model)).card.micro_window)
    if window is not None:
        used = IntensityWindow(*numbers(window, "--micro-window", 2, "0,15000"))
    found = compare_by_jmi(read(micro, voxel_size=voxel_size), resolver, used, patches, seed)
    report.section("Result")
    report.text(in_words(found, resolver.name))
    report.comparison(found)
    return found


def _print(found: Any, as_json: bool) -> None:
    from ctloupe.evaluate.report import table_of

    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    head, rows = table_of(found)
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"protocol {found.protocol}")
    for row in [head, *rows]:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        print("  ".join(cells))
    print(found.notice)
