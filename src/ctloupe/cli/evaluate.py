"""`ctloupe evaluate`: numbers and a page for enhanced volumes or models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctloupe.cli.boards import compare_results, models_of, require_new, run_on_suite
from ctloupe.cli.options import AsJson, Overwrite, Series, VoxelSize, as_voxel_size, named_paths, numbers
from ctloupe.foundation.errors import OptionError

if TYPE_CHECKING:
    from ctloupe.enhance.resolver import SuperResolver
    from ctloupe.evaluate.case import Case
    from ctloupe.evaluate.comparison import Comparison
    from ctloupe.evaluate.report.report import Report

_PROTOCOLS = ("auto", "jmi", "isbi")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("evaluate")(evaluate)


def evaluate(
    scan: Annotated[Path | None, typer.Option("--input", help="The clinical CT that was enhanced.")] = None,
    output: Annotated[
        list[str] | None, typer.Option(help="An enhanced volume, or NAME=volume; several may be given.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="The truth on the fine grid, when known.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels on the grid of the truth: errors by tissue, and structures.")
    ] = None,
    uncertainty: Annotated[
        Path | None, typer.Option(help="Standard deviation that 'enhance --samples' wrote with the last --output.")
    ] = None,
    recalibration: Annotated[
        Path | None, typer.Option(help="metrics.json of another case whose factors correct the uncertainty.")
    ] = None,
    mask: Annotated[
        str | None, typer.Option(help="Where to compare: a file on the grid of the input, or lungs.")
    ] = None,
    slices: Annotated[str | None, typer.Option(help="Slices a:b of the input that were enhanced.")] = None,
    roi: Annotated[str | None, typer.Option(help="Region z0:z1,y0:y1,x0:x1 that was enhanced.")] = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="The output was made with 'enhance --resample' by the first --model.")
    ] = False,
    protocol: Annotated[
        str, typer.Option(help="auto (paired-phantom with --truth, else no-truth), jmi, or isbi.")
    ] = "auto",
    micro: Annotated[Path | None, typer.Option(help="Unpaired µCT: for realism, --protocol jmi and isbi.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model package, or NAME=package: for warnings, --protocol jmi, and --suite (several)."),
    ] = None,
    patches: Annotated[int | None, typer.Option(help="At most so many patches, for --protocol jmi.")] = None,
    micro_window: Annotated[str | None, typer.Option(help="LOW,HIGH of the µCT; default: the model's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of patches.")] = 0,
    suite: Annotated[
        str | None, typer.Option(help="Benchmark to run models on: lung-v1, smoke-v1, or a YAML file.")
    ] = None,
    study: Annotated[
        Path | None, typer.Option(help="With --suite: also every model that 'study run' trained in this folder.")
    ] = None,
    controls: Annotated[
        bool, typer.Option("--controls", help="With --suite: add deliberately bad enhancers as rows.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="With --suite: where its phantoms are kept.")] = None,
    compare: Annotated[
        list[Path] | None, typer.Option(help="metrics.json of several cases or models, for one leaderboard.")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also write report.pdf.")] = False,
    voxel_size: VoxelSize = None,
    series: Series = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for metrics.json and report.html.")] = None,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Compare enhanced volumes with truth and scan, or models with each other; bicubic is always a row.

    Example: ctloupe evaluate --input clinical.nii.gz --output enhanced.ome.zarr --truth truth.nii.gz -o evaluation
    Example: ctloupe evaluate --input scan/ --output enhanced.ome.zarr --mask lungs --model runs/first/model -o page
    Example: ctloupe evaluate --protocol jmi --micro micro.nii.gz --model runs/first/model
    Example: ctloupe evaluate --suite lung-v1 --model runs/first/model --model unet=runs/unet/model -o leaderboard
    Example: ctloupe evaluate --compare one/metrics.json --compare two/metrics.json -o leaderboard
    """
    from ctloupe.evaluate.report.pdf import require_pdf

    if pdf:
        require_pdf()
    if pdf and out is None:
        raise OptionError("--pdf needs --out")
    if protocol not in _PROTOCOLS:
        raise OptionError(f"--protocol {protocol}: expected one of {', '.join(_PROTOCOLS)}")
    given = named_paths(model or [], "--model")
    if suite is not None:
        given += models_of(study) if study is not None else []
        run_on_suite(suite, given, controls, data, out, pdf, as_json, overwrite)
        return
    if compare:
        compare_results(compare, out, as_json, overwrite)
        return
    require_new(out, overwrite, "metrics.json", "report.html", *(["report.pdf"] if pdf else []))
    from ctloupe.enhance.resolver import load_model

    models = {name: load_model(path) for name, path in given}
    size = as_voxel_size(voxel_size)
    where = _Where(mask, slices, roi, _resampled_to(models) if resample else None, series)
    if protocol == "jmi":
        found, report = _jmi(micro, models, patches, micro_window, seed, size)
    elif protocol == "isbi":
        case = _case(scan, output, where)
        found, report = _isbi(case, micro, models, micro_window, size)
    else:
        from dataclasses import replace

        from ctloupe.evaluate.case import evaluate_case

        case = _case(scan, output, where, truth, labels, uncertainty, recalibration)
        case = replace(case, **_from_model(case, models, micro, micro_window, seed, size))
        found, report = evaluate_case(case, "Evaluation")
    _print(found, as_json)
    if out is not None:
        _write(found, report, out, pdf)


@dataclass(frozen=True)
class _Where:
    """Which part of the input was enhanced, and where to compare."""

    mask: str | None
    slices: str | None
    roi: str | None
    spacing: tuple[float, float] | None
    series: str | None


def _resampled_to(models: dict[str, SuperResolver]) -> tuple[float, float]:
    spacing = next(iter(models.values())).trained_spacing if models else None
    if spacing is None:
        raise OptionError("--resample needs the --model that the output was made with")
    return spacing


def _write(found: Comparison, report: Report, out: Path, pdf: bool) -> None:
    from ctloupe.cli.progress import say

    found.save(out / "metrics.json")
    report.write(out / "report.html")
    if pdf:
        report.write_pdf(out / "report.pdf")
    say(f"wrote {out / 'metrics.json'} and {out / 'report.html'}" + (f" and {out / 'report.pdf'}" if pdf else ""))


def _case(
    scan: Path | None,
    output: list[str] | None,
    where: _Where,
    truth: Path | None = None,
    labels: Path | None = None,
    uncertainty: Path | None = None,
    recalibration: Path | None = None,
) -> Case:
    """Read the volumes that the options name."""
    from ctloupe.enhance.region import parse_region
    from ctloupe.evaluate.case import Case
    from ctloupe.evaluate.comparison import BASELINE
    from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
    from ctloupe.volume.formats import read

    if scan is None or not output:
        raise OptionError("--input and --output are needed (and --truth, when it is known)")
    if truth is None and (labels or uncertainty):
        raise OptionError(f"--{'labels' if labels else 'uncertainty'} needs --truth: only errors say what it is worth")
    if recalibration is not None and uncertainty is None:
        raise OptionError("--recalibration needs --uncertainty")
    given = named_paths(output, "--output", "enhanced")
    outputs = dict(given)
    if len(outputs) < len(given):
        raise OptionError("--output: two volumes have one name; give them as NAME=volume")
    if BASELINE in outputs:
        raise OptionError(f"--output {BASELINE}=…: this row is always there; choose another name")
    whole = read(scan, series=where.series)
    if where.spacing is not None:
        from ctloupe.enhance.spacing import resample_in_plane

        whole = resample_in_plane(whole, where.spacing)
    region = parse_region(whole.shape, where.slices, where.roi)
    part = whole.crop(*region)
    inside = _mask(where.mask, whole)
    return Case(
        part,
        {name: read(path) for name, path in outputs.items()},
        truth_on_clinical_slices(read(truth), part) if truth else None,
        labels_on_clinical_slices(read(labels), part) if labels else None,
        None if inside is None else inside[region],
        read(uncertainty) if uncertainty else None,
        _factors(recalibration) if recalibration else {},
    )


def _mask(mask: str | None, scan: Any) -> Any:
    if mask is None:
        return None
    if mask == "lungs":
        from ctloupe.prepare.lungs import lung_mask

        return lung_mask(scan)
    from ctloupe.volume.masks import read_mask

    return read_mask(mask, scan, "mask")


def _factors(path: Path) -> dict[int, float]:
    from ctloupe.evaluate.comparison import load_comparison

    judged = load_comparison(path).facts.get("uncertainty", {})
    if "factors" not in judged:
        raise OptionError(f"--recalibration {path}: was measured without --uncertainty, so it has no factors")
    return {int(label): float(factor) for label, factor in judged["factors"].items()}


def _from_model(
    case: Case,
    models: dict[str, SuperResolver],
    micro: Path | None,
    micro_window: str | None,
    seed: int,
    voxel_size: tuple[float, float, float] | None,
) -> dict[str, Any]:
    """What a model and a µCT add to a case: warnings and realism."""
    from ctloupe.evaluate.metrics.texture import Unpaired, texture_of
    from ctloupe.evaluate.warnings import warnings_for
    from ctloupe.volume.formats import read

    found: dict[str, Any] = {}
    if models:
        told = (warnings_for(case.scan, case.mask, model) for model in models.values())
        found["warnings"] = tuple(dict.fromkeys(line for lines in told for line in lines))
        # The one model of one output made it; of several the names say which.
        own = list(case.enhanced) if len(models) == len(case.enhanced) == 1 else list(models)
        found["models"] = {name: model.record() for name, model in zip(own, models.values(), strict=True)}
    if micro is not None:
        clinical, of_micro = _windows(models, micro_window)
        fine = next(iter(case.enhanced.values())).spacing
        look = texture_of(read(micro, voxel_size=voxel_size), of_micro, (fine[1], fine[2]), seed)
        found["unpaired"] = Unpaired(look, clinical)
    return found


def _windows(models: dict[str, SuperResolver], micro_window: str | None) -> tuple[Any, Any]:
    """Clinical and µCT window: the first model's, the papers' without one."""
    from ctloupe.images.windows import CLINICAL, MICRO, IntensityWindow

    windows = ((model.window, model.micro_window) for model in models.values() if model.micro_window is not None)
    clinical, micro = next(windows, (CLINICAL, MICRO))
    if micro_window is not None:
        micro = IntensityWindow(*numbers(micro_window, "--micro-window", 2, "0,15000"))
    return clinical, micro


def _jmi(
    micro: Path | None,
    models: dict[str, SuperResolver],
    patches: int | None,
    window: str | None,
    seed: int,
    voxel_size: tuple[float, float, float] | None,
) -> tuple[Comparison, Report]:
    from ctloupe.evaluate.protocols.pseudo_paired import compare_by_jmi
    from ctloupe.volume.formats import read

    if micro is None or len(models) != 1:
        raise OptionError("--protocol jmi needs --micro and one --model")
    (resolver,) = models.values()
    found = compare_by_jmi(read(micro, voxel_size=voxel_size), resolver, _windows(models, window)[1], patches, seed)
    return found, _plain_report(found)


def _isbi(
    case: Case,
    micro: Path | None,
    models: dict[str, SuperResolver],
    window: str | None,
    voxel_size: tuple[float, float, float] | None,
) -> tuple[Comparison, Report]:
    from ctloupe.evaluate.protocols.isbi import compare_by_hu_moments
    from ctloupe.volume.formats import read

    if micro is None:
        raise OptionError("--protocol isbi needs --micro")
    clinical, of_micro = _windows(models, window)
    found = compare_by_hu_moments(case.enhanced, case.scan, read(micro, voxel_size=voxel_size), clinical, of_micro)
    return found, _plain_report(found)


def _plain_report(found: Comparison) -> Report:
    from ctloupe.evaluate.report.report import Report
    from ctloupe.evaluate.report.words import in_words

    report = Report(f"Evaluation, protocol {found.protocol}")
    report.section("Result")
    for name in list(found.rows)[1:]:
        for sentence in in_words(found, name):
            report.text(f"{name}: {sentence}")
    report.comparison(found)
    return report


def _print(found: Comparison, as_json: bool) -> None:
    import json

    from ctloupe.evaluate.report.report import table_of

    if as_json:
        print(json.dumps(found.plain(), indent=2))
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
    for warning in found.facts.get("warnings", []):
        print(f"warning: {warning}")
    print(found.notice)
