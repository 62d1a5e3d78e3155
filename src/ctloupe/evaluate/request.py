"""The front door of evaluating: volumes and models named, read, brought together, measured and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, FiniteFloat

from ctloupe.enhance.region import Region, first_voxel, parse_region
from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.case import Case, evaluate_case
from ctloupe.evaluate.case_scanner import known_scanner
from ctloupe.evaluate.comparison import BASELINE, Comparison, load_comparison
from ctloupe.evaluate.metrics.texture import Unpaired, texture_of
from ctloupe.evaluate.part import part_shown
from ctloupe.evaluate.protocols.isbi import compare_by_hu_moments
from ctloupe.evaluate.protocols.jmi import JMI, JMI_CODE, compare_by_jmi
from ctloupe.evaluate.protocols.kernel_pair import compare_kernel_pair
from ctloupe.evaluate.protocols.paired_micro import read_scanner
from ctloupe.evaluate.protocols.synth import SYNTH, compare_synthesised
from ctloupe.evaluate.reading import read_micro, read_stated
from ctloupe.evaluate.report.pair import pair_report
from ctloupe.evaluate.report.pdf import require_pdf
from ctloupe.evaluate.report.report import Report
from ctloupe.evaluate.report.words import in_words
from ctloupe.evaluate.warnings import warnings_for
from ctloupe.foundation.atomic import require_new
from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.location import Location
from ctloupe.foundation.progress import Progress, shown_on
from ctloupe.foundation.records import validated
from ctloupe.foundation.workers import Share, Workers
from ctloupe.images.windows import CLINICAL, MICRO, IntensityWindow
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.prepare.masks import kind_of, mask_file, mask_of
from ctloupe.train.stages import load_method
from ctloupe.volume.formats import parts_read, read
from ctloupe.volume.geometry import Triple
from ctloupe.volume.resampling import resample_in_plane
from ctloupe.volume.volume import Volume

_BY_JMI: Final = {one.name: one for one in (JMI, JMI_CODE)}
_OF_PATCHES: Final = (*_BY_JMI, SYNTH.name)
CHOICES: Final = ("auto", "paired-micro", "kernel-pair", *_OF_PATCHES, "isbi")
"""What `EvaluateRequest.protocol` may be."""


@dataclass(frozen=True)
class EvaluateRequest:
    """What `evaluate_files` is asked for; the names are those of the command line's options.

    Attributes
    ----------
    input
        The clinical CT that was enhanced.
    output
        Name and file of each enhanced volume, in the order of the rows.
    other_input, other_output
        Another reconstruction of the same acquisition, for the protocol kernel-pair, and what was made of it, under the
        names of `output`.
    truth, labels
        The truth on the fine grid, where it is known, and labels on the same grid: errors by tissue, and structures.
    uncertainty
        Standard deviation that was written with the last `output`.
    invented
        Map of what is invented that was written with the last `output`.
    recalibration
        Record of another case whose factors correct the uncertainty.
    mask
        Where to compare: a kind of mask as `mask_of` takes it, or a mask file on the grid of the input; None for
        everywhere.
    slices, roi
        The part of the input that was enhanced: ``a:b``, or ``z0:z1,y0:y1,x0:x1``; None: what lies under the first
        `output`.
    resample
        Whether the input was brought to the spacing of the first `model` before it was enhanced.
    protocol
        "auto" is ``paired-phantom`` with a truth and ``no-truth`` without; "paired-micro";
        "kernel-pair"; "jmi", and "jmi-code" with the reduction of the released code; "synth"; "isbi".
    scanner
        Record of the scanner that made the input, for the protocol paired-micro.
    micro
        Unpaired µCT: for realism, and for the protocols jmi, synth and isbi.
    model
        Name and package of models: for warnings, and for the protocols jmi and synth.
    pairs_from
        Run folder whose network makes clinical-like images of µCT, for the protocol synth.
    patches
        At most so many patches in the protocols jmi and synth; None: all.
    micro_window
        Values of the µCT that become −1 and 1; None: those of the model.
    seed
        Seed of the choice of patches.
    voxel_size, micro_voxel_size
        (z, y, x) in mm of the input, and of the µCT, where these are TIFF files that do not state it.
    series
        Number or UID of the DICOM series, where the input's folder holds several.
    out
        Folder for ``metrics.json`` and ``report.html``; None: nothing is written.
    pdf
        Whether ``report.pdf`` is written too, for which a Chromium or Chrome has to be installed.
    overwrite
        Whether earlier results in `out` are replaced.
    scheduler
        Address of a Dask scheduler, one of whose workers reads the files and measures; None: this process does.
    """

    input: Location | None = None
    output: tuple[tuple[str, Location], ...] = ()
    other_input: Location | None = None
    other_output: tuple[tuple[str, Location], ...] = ()
    truth: Location | None = None
    labels: Location | None = None
    uncertainty: Location | None = None
    invented: Location | None = None
    recalibration: Path | None = None
    mask: str | Path | None = None
    slices: str | None = None
    roi: str | None = None
    resample: bool = False
    protocol: str = "auto"
    scanner: Path | None = None
    micro: Location | None = None
    model: tuple[tuple[str, Path], ...] = ()
    pairs_from: Path | None = None
    patches: int | None = None
    micro_window: tuple[float, float] | None = None
    seed: int = 0
    voxel_size: Triple | None = None
    micro_voxel_size: Triple | None = None
    series: str | None = None
    out: Path | None = None
    pdf: bool = False
    overwrite: bool = False
    scheduler: str | None = None


def evaluate_files(
    request: EvaluateRequest,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> tuple[Comparison, Report]:
    """Read what a request names, measure it, and write record and page.

    Parameters
    ----------
    request
        Files, part, protocol and outputs.
    say
        Told where the results are.
    progress
        Told how many slices are measured.

    Raises
    ------
    OptionError
        If options are missing, exclude each other or are not understood.
    FileError, GeometryError, ModelError
        If a file cannot be read, does not belong to the input, or is in the folder of outputs already.
    """
    _require_sense(request)
    if request.scheduler is None:
        with shown_on(progress):
            found, report = _measured(request)
    else:
        ((found, report),) = Workers(scheduler=request.scheduler).each(_measured_there, [_for_others(request)])
    if request.out is not None:
        _write(found, report, request.out, request.pdf, say)
    return found, report


def _measured(request: EvaluateRequest) -> tuple[Comparison, Report]:
    """Read what a request names and measure it by its protocol."""
    models = {name: load_model(path) for name, path in request.model}
    if request.protocol in _OF_PATCHES:
        return _by_patches(request, models)
    if request.protocol == "kernel-pair":
        return _by_kernel_pair(request)
    whole = _whole(request, models)
    models = {name: model.for_scan(whole) for name, model in models.items()}
    if request.protocol == "isbi":
        return _by_isbi(request, whole, models)
    return evaluate_case(_with_models(_case(request, whole), request, models), "Evaluation")


def _measured_there(request: EvaluateRequest, share: Share) -> tuple[Comparison, Report]:
    """Evaluate in a worker; what draws pictures of volumes stays where these are."""
    found, report = _measured(request)
    return found, report.drawn()


def _for_others(request: EvaluateRequest) -> EvaluateRequest:
    """Return the request as a worker takes it, whose working folder is another."""

    def there(value: Any) -> Any:
        if isinstance(value, Path):
            return value.absolute()
        if isinstance(value, tuple):
            return tuple(there(one) for one in value)
        return value

    changed = {one.name: there(getattr(request, one.name)) for one in fields(request)}
    if request.mask is not None and kind_of(str(request.mask)) == "file":
        changed["mask"] = Path(request.mask).absolute()
    return replace(request, **changed | {"out": None, "pdf": False, "scheduler": None})


def _require_sense(request: EvaluateRequest) -> None:
    if request.pdf:
        require_pdf()
        if request.out is None:
            raise OptionError("`pdf` needs `out`")
    if request.protocol not in CHOICES:
        raise OptionError(f"`protocol` {request.protocol}: expected one of {', '.join(CHOICES)}")
    if request.out is not None:
        pages = ("report.html", "report.pdf") if request.pdf else ("report.html",)
        require_apart(parts_read(_inputs(request)), [request.out / name for name in ("metrics.json", *pages)])
        require_new(request.out, request.overwrite, "metrics.json", *pages)
    if request.micro_voxel_size is not None and request.micro is None:
        raise OptionError("`micro_voxel_size` is that of `micro`; of the input it is `voxel_size`")
    if request.voxel_size is not None and request.input is None:
        raise OptionError("`voxel_size` is that of `input`; of the µCT it is `micro_voxel_size`")
    if (request.protocol == SYNTH.name) != (request.pairs_from is not None):
        raise OptionError("`protocol` synth and `pairs_from` (the run that makes its inputs) belong together")
    if request.protocol in _OF_PATCHES and (request.micro is None or len(request.model) != 1):
        raise OptionError(f"`protocol` {request.protocol} needs `micro` and one `model`")
    if request.protocol in _OF_PATCHES:
        return
    if request.input is None or not request.output:
        raise OptionError("`input` and `output` are needed (and `truth`, when it is known)")
    if request.truth is None and (request.labels or request.uncertainty):
        given = "labels" if request.labels else "uncertainty"
        raise OptionError(f"`{given}` needs `truth`: only errors say what it is worth")
    if (request.protocol == "paired-micro") != (request.scanner is not None):
        raise OptionError("`protocol` paired-micro and `scanner` (the record beside the scan) belong together")
    if request.protocol == "paired-micro" and (request.truth is None or request.labels is not None):
        raise OptionError("`protocol` paired-micro needs `truth`, and has no `labels`")
    if request.recalibration is not None and request.uncertainty is None:
        raise OptionError("`recalibration` needs `uncertainty`")
    if request.protocol == "isbi" and request.micro is None:
        raise OptionError("`protocol` isbi needs `micro`")
    _require_pair(request)
    names = [name for name, _ in request.output]
    if len(set(names)) < len(names):
        raise OptionError("`output`: two volumes have one name; give them as NAME=volume")
    if BASELINE in names:
        raise OptionError(f"`output` {BASELINE}=…: this row is always there; choose another name")


def _inputs(request: EvaluateRequest) -> list[Location | None]:
    """Everything that the request reads."""
    volumes = [request.input, request.other_input, request.truth, request.labels, request.micro]
    maps = [request.uncertainty, request.invented]
    records = [request.recalibration, request.scanner, request.pairs_from, *(path for _, path in request.model)]
    outputs = [path for _, path in (*request.output, *request.other_output)]
    return [*volumes, *maps, *records, *outputs, None if request.mask is None else mask_file(str(request.mask))]


def _require_pair(request: EvaluateRequest) -> None:
    if request.protocol != "kernel-pair":
        if request.other_input is not None or request.other_output:
            raise OptionError("`other_input` and `other_output` are for `protocol` kernel-pair only")
        return
    names, others = (sorted(name for name, _ in given) for given in (request.output, request.other_output))
    if request.other_input is None or names != others:
        raise OptionError(
            f"`protocol` kernel-pair needs `other_input`, and an `other_output` for each `output`: found "
            f"{', '.join(others) or 'none'} where {', '.join(names)} is expected"
        )
    if request.truth is not None or request.resample:
        given = "truth" if request.truth is not None else "resample"
        raise OptionError(f"`{given}` is not for `protocol` kernel-pair: leave it out")


def _whole(request: EvaluateRequest, models: Mapping[str, SuperResolver]) -> Volume:
    """Read the whole scan, as it was enhanced."""
    if request.input is None:
        raise OptionError("`input` is needed")
    whole = read(request.input, series=request.series, voxel_size=request.voxel_size)
    return resample_in_plane(whole, _trained_spacing(models)) if request.resample else whole


def _case(request: EvaluateRequest, whole: Volume) -> Case:
    """Read the volumes that the request names, beside the scan."""
    enhanced = {name: read_stated(path) for name, path in request.output}
    region = _region(request, whole, enhanced)
    scan = whole.crop(*region)
    inside = None if request.mask is None else mask_of(str(request.mask), whole)
    truth = read_stated(request.truth) if request.truth else None
    return Case(
        scan,
        enhanced,
        None if truth is None else truth_on_clinical_slices(truth, scan),
        labels_on_clinical_slices(read_stated(request.labels), scan) if request.labels else None,
        None if inside is None else inside[region],
        read_stated(request.uncertainty) if request.uncertainty else None,
        _factors(request.recalibration) if request.recalibration else {},
        thick_truth=None if truth is None else truth_on_clinical_slices(truth, scan, "slab"),
        scanner=None if request.scanner is None else known_scanner(read_scanner(request.scanner, whole)),
        invented=read_stated(request.invented) if request.invented else None,
        corner=first_voxel(region),
    )


def _region(request: EvaluateRequest, whole: Volume, enhanced: Mapping[str, Volume]) -> Region:
    """The part of the scan that is compared: what was asked for, or where the first output lies."""
    asked = parse_region(whole.shape, request.slices, request.roi)
    if request.slices or request.roi:
        return asked
    return part_shown(whole, next(iter(enhanced.values()))) or asked


def _trained_spacing(models: Mapping[str, SuperResolver]) -> tuple[float, float]:
    spacing = next(iter(models.values())).trained_spacing if models else None
    if spacing is None:
        raise OptionError("`resample` needs the `model` that the output was made with")
    return spacing


class _Judged(BaseModel):
    """What a record says of σ: by label, the factors that would have made it fit."""

    factors: dict[int, Annotated[FiniteFloat, Field(gt=0)]]


def _factors(path: Path) -> dict[int, float]:
    judged = load_comparison(path).facts.get("uncertainty", {})
    if isinstance(judged, dict) and "factors" not in judged:
        raise OptionError(f"`recalibration` {path}: was measured without `uncertainty`, so it has no factors")
    return validated(_Judged, judged, f"{path}: facts.uncertainty", FileError, "give its metrics.json").factors


def _with_models(case: Case, request: EvaluateRequest, models: Mapping[str, SuperResolver]) -> Case:
    """Add what models and a µCT say of a case: warnings, what made the rows, and a texture to be like."""
    if models:
        told = (warnings_for(case.scan, case.mask, model) for model in models.values())
        # The one model of one output made it; of several the names say which.
        own = list(case.enhanced) if len(models) == len(case.enhanced) == 1 else list(models)
        made = {name: model.record() for name, model in zip(own, models.values(), strict=True)}
        case = replace(case, warnings=tuple(dict.fromkeys(line for lines in told for line in lines)), models=made)
    if request.micro is not None:
        specimen = _micro(request)
        clinical, micro = _windows(request, models, specimen)
        fine = next(iter(case.enhanced.values())).spacing
        texture = texture_of(specimen, micro, (fine[1], fine[2]), request.seed)
        case = replace(case, unpaired=Unpaired(texture, clinical))
    return case


def _micro(request: EvaluateRequest) -> Volume:
    if request.micro is None:
        raise OptionError("`micro` is needed")
    return read_micro(request.micro, request.micro_voxel_size)


def _windows(
    request: EvaluateRequest, models: Mapping[str, SuperResolver], specimen: Volume
) -> tuple[IntensityWindow, IntensityWindow]:
    """Clinical and µCT window: the first model's, on this scan and this specimen; the papers' without one."""
    trained = next((model for model in models.values() if model.micro_window is not None), None)
    clinical = CLINICAL if trained is None else trained.window
    if request.micro_window is not None:
        return clinical, IntensityWindow(*request.micro_window)
    return clinical, (None if trained is None else trained.micro_window_of(specimen)) or MICRO


def _by_patches(request: EvaluateRequest, models: Mapping[str, SuperResolver]) -> tuple[Comparison, Report]:
    (resolver,) = models.values()
    specimen, patches, seed = _micro(request), request.patches, request.seed
    window = _windows(request, models, specimen)[1]
    if request.pairs_from is None:
        found = compare_by_jmi(specimen, resolver, window, patches, seed, _BY_JMI[request.protocol])
    else:
        maker = load_method(request.pairs_from)
        if maker.config.scale != resolver.scale:
            raise OptionError(
                f"`pairs_from` {request.pairs_from}: enlarges {maker.config.scale} times, the model {resolver.scale}"
            )
        found = compare_synthesised(specimen, resolver, maker.clinical_like, window, patches, seed)
    return found, _plain_report(found)


def _by_isbi(request: EvaluateRequest, whole: Volume, models: Mapping[str, SuperResolver]) -> tuple[Comparison, Report]:
    case, specimen = _case(request, whole), _micro(request)
    found = compare_by_hu_moments(case.enhanced, case.scan, specimen, *_windows(request, models, specimen))
    return found, _plain_report(found)


def _by_kernel_pair(request: EvaluateRequest) -> tuple[Comparison, Report]:
    if request.input is None or request.other_input is None:
        raise OptionError("`input` and `other_input` are needed")
    whole = read(request.input, series=request.series, voxel_size=request.voxel_size)
    others = dict(request.other_output)
    made = {name: (read_stated(path), read_stated(others[name])) for name, path in request.output}
    region = _region(request, whole, {name: one for name, (one, _) in made.items()})
    other = read(request.other_input, voxel_size=request.voxel_size)
    if other.shape != whole.shape:
        raise GeometryError(f"`other_input` has shape {other.shape}, `input` {whole.shape}; give one acquisition's")
    scans = whole.crop(*region), other.crop(*region)
    mask = None if request.mask is None else mask_of(str(request.mask), whole)
    inside = None if mask is None else mask[region]
    found = compare_kernel_pair(scans, made, inside)
    scale = found.facts["scale"]
    bicubic = interpolated(scans[0], scale), interpolated(scans[1], scale)
    return found, pair_report(found, scans, {BASELINE: bicubic, **made}, inside, first_voxel(region)[0])


def _plain_report(found: Comparison) -> Report:
    report = Report(f"Evaluation, protocol {found.protocol}")
    report.section("Result")
    for name in list(found.rows)[1:]:
        for sentence in in_words(found, name):
            report.text(f"{name}: {sentence}")
    report.comparison(found)
    return report


def _write(found: Comparison, report: Report, out: Path, pdf: bool, say: Callable[[str], None]) -> None:
    found.save(out / "metrics.json")
    report.write(out / "report.html")
    if pdf:
        report.write_pdf(out / "report.pdf")
    say(f"wrote {out / 'metrics.json'} and {out / 'report.html'}" + (f" and {out / 'report.pdf'}" if pdf else ""))
