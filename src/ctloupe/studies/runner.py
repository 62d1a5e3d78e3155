"""Runs a study: every row trained for every seed, measured, and recorded, so that it can be stopped and continued."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctloupe import methods
from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.report.page import square_of, varied_square
from ctloupe.foundation.errors import FileError, Interrupted, OptionError
from ctloupe.foundation.lock import locked
from ctloupe.foundation.progress import Progress, Silent
from ctloupe.foundation.records import finite, save_record
from ctloupe.methods.base import Method
from ctloupe.methods.package import software_versions
from ctloupe.studies.columns import numbers_by_label
from ctloupe.studies.data import StudyData, prepare_data
from ctloupe.studies.definition import BUDGETS, SCALES, Budget, Row, Scale, Study
from ctloupe.studies.measure import facts_of, measure, measure_cost
from ctloupe.studies.report import write_report
from ctloupe.studies.results import load_study_record, result_path, study_path
from ctloupe.train.loop import train
from ctloupe.train.run_folder import RunFolder
from ctloupe.train.settings import TrainSettings
from ctloupe.volume.volume import Volume

CROP_SIDE = 32
"""Side of the pictured square in clinical voxels."""


@dataclass(frozen=True)
class StudyRequest:
    """What `run_study` is asked for; None takes the value of the scale's budget.

    Raises
    ------
    OptionError
        If there is no such scale.
    """

    scale: Scale = "tiny"
    only: tuple[str, ...] = ()
    resume: bool = False
    seeds: int | None = None
    minutes: float | None = None
    steps: int | None = None
    size: tuple[int, int, int] | None = None
    per_case: int | None = None
    cases: int | None = None
    data: Path | None = None
    keep_runs: bool = False

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise OptionError(f"`scale` {self.scale}: expected one of {', '.join(SCALES)}")

    def budget(self) -> Budget:
        """Return the scale's budget with what was asked for otherwise."""
        given = {
            "seeds": self.seeds,
            "minutes": self.minutes,
            "steps": self.steps,
            "size": self.size,
            "per_case": self.per_case,
            "cases": self.cases,
        }
        return BUDGETS[self.scale].model_copy(update={key: value for key, value in given.items() if value is not None})


def run_study(
    study: Study,
    out: Path,
    request: StudyRequest,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> Path:
    """Run what is missing of a study and write its report.

    Seeds are outermost, so that a study that is stopped early has every row at some seeds. A row that fails is
    recorded with its message and does not stop the others.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    FileError
        If `out` holds a study already and `resume` is not asked for, or another one, or another process runs it.
    OptionError
        If a row of `only` does not exist, or a number of the paper belongs to no metric.
    """
    with locked(out):
        return _run(study, out, request, say, progress or Silent())


def _run(study: Study, out: Path, request: StudyRequest, say: Callable[[str], None], progress: Progress) -> Path:
    rows = study.trained(request.only)
    for row in study.rows:
        numbers_by_label(row.paper, row.key)
    budget = request.budget()
    _open(study, out, request, budget)
    if study.protocols == ("cost",):
        budget = budget.model_copy(update={"seeds": 1})
    configs = {row.key: _config(study, row, request.scale) for row in study.trained()}
    largest = max(config.patch_size for config in configs.values())
    data = prepare_data(request.data or out / "data", budget, study.enlargement, largest, say)
    page: Path | None = None
    for seed in range(budget.seeds):
        for row in [_BICUBIC, *rows] if seed == 0 else rows:
            if result_path(out, row.key, seed).is_file():
                continue
            say(f"seed {seed}, row {row.key}: {row.label}")
            result = _attempt(study, row, seed, out, request, budget, data, progress)
            say("  failed: " + result["message"] if result["state"] == "failed" else f"  {_in_short(result)}")
            save_record(result_path(out, row.key, seed), finite(result))
            page = write_report(study, out)
    return page or write_report(study, out)


_BICUBIC = Row(key="bicubic", label="bicubic", method="bicubic")


def _open(study: Study, out: Path, request: StudyRequest, budget: Budget) -> None:
    """Make the study's folder, or check that it is the one to be continued."""
    record = study_path(out)
    wanted = {
        "study": study.model_dump(mode="json"),
        "scale": request.scale,
        "budget": budget.model_dump(mode="json", exclude={"seeds"}),
    }
    if record.is_file():
        if not request.resume:
            raise FileError(f"{out}: holds a study already; continue it with `resume`, or give another `out`")
        found = load_study_record(out).model_dump(mode="json")
        differing = [key for key in wanted if found[key] != wanted[key]]
        if differing:
            raise FileError(f"{out}: was begun with another {differing[0]}; give the same options, or another `out`")
        return
    if out.exists() and any(path.name != "data" for path in out.iterdir()):
        raise FileError(f"{out}: is not empty and holds no study; give another `out`")
    save_record(record, wanted)


def _config(study: Study, row: Row, scale: Scale) -> Any:
    kind = methods.get(row.method)
    changes = {key: value for key, value in study.configuration(row, scale).items() if _applies(kind, key)}
    return kind.configure(study.preset(row, scale) if kind.trainable else None, changes)


def _applies(kind: type[Method], key: str) -> bool:
    """Whether a change for all rows concerns this method; keys of the row itself are checked by `configure`."""
    return key.partition(".")[0] in kind.Config.model_fields


def _attempt(
    study: Study,
    row: Row,
    seed: int,
    out: Path,
    request: StudyRequest,
    budget: Budget,
    data: StudyData,
    progress: Progress,
) -> dict[str, Any]:
    result = {
        "row": row.key,
        "seed": seed,
        "method": row.method,
        "preset": study.preset(row, request.scale),
        "software": software_versions(),
        "data": data.facts(),
    }
    try:
        unknown = [key for key in row.changes if not _applies(methods.get(row.method), key)]
        if unknown:
            raise OptionError(f"row {row.key}: {row.method} has no configuration key '{unknown[0]}'")
        return result | _run_row(study, row, seed, out, request, budget, data, progress)
    except (Interrupted, KeyboardInterrupt) as error:
        raise Interrupted(
            f"{out}: stopped in row {row.key}, seed {seed}; what was finished is kept, and the same command with "
            "`resume` goes on"
        ) from error
    # One row's failure, whatever it is, must neither stop the others nor be lost.
    except Exception as error:
        message = str(error) or type(error).__name__
        trace = traceback.format_exc()
        return result | {"state": "failed", "message": message.splitlines()[0], "traceback": trace}


def _run_row(
    study: Study,
    row: Row,
    seed: int,
    out: Path,
    request: StudyRequest,
    budget: Budget,
    data: StudyData,
    progress: Progress,
) -> dict[str, Any]:
    kind = methods.get(row.method)
    config = _config(study, row, request.scale)
    run = out / "runs" / f"{row.key}-seed-{seed}"
    settings = TrainSettings(
        method=row.method,
        preset=study.preset(row, request.scale),
        config=config.model_dump(mode="json"),
        bank=data.bank.resolve(),
        out=run,
        seed=seed,
        steps=budget.steps,
        minutes=None if budget.steps else budget.minutes,
        preview_steps=10_000_000,
    )
    found: dict[str, Any] = {"state": "done", "config": settings.config}
    if study.protocols == ("cost",):
        return found | {"cost": measure_cost(settings, data)}
    if not kind.trainable:
        resolver = load_model(row.method, study.enlargement)
    else:
        found |= facts_of(settings) | _trained(settings, run, progress)
        resolver = load_model(run / "model")
    resolver = resolver.named(row.key)
    scan = data.scan()
    enhanced = resolver.enhance(scan)
    found["protocols"] = {
        name: measure(name, resolver, enhanced, data, run if kind.trainable else None) for name in study.protocols
    }
    if seed == 0:
        _keep_picture(out, row.key, scan, enhanced, data)
    if kind.trainable:
        _keep_model(run, request.keep_runs)
    return found


def _trained(settings: TrainSettings, run: Path, progress: Progress) -> dict[str, Any]:
    begun = RunFolder(run).config.is_file()
    train(RunFolder(run).settings() if begun else settings, progress, resume=begun)
    stages = methods.get(settings.method).stages
    folders = [run] if len(stages) == 1 else [run / stage for stage in stages]
    manifests = [RunFolder(folder).facts() for folder in folders]
    return {
        "steps": sum(one["steps"] for one in manifests),
        "seconds": sum(one["training_seconds"] for one in manifests),
        "device": manifests[-1]["device"],
        "precision": manifests[-1]["precision"],
        "machine": manifests[-1]["machine"],
    }


def _keep_picture(out: Path, key: str, scan: Volume, enhanced: Volume, data: StudyData) -> None:
    """Keep the same square of every row; of scan and truth too when they are not there yet."""
    folder = out / "pictures"
    folder.mkdir(exist_ok=True)
    corner = varied_square(scan, CROP_SIDE)
    side = min(CROP_SIDE, *scan.shape[1:])
    np.save(folder / f"{key}.npy", square_of(enhanced, scan, corner, side))
    if not (folder / "_truth.npy").is_file():
        np.save(folder / "_scan.npy", square_of(scan, scan, corner, side))
        np.save(folder / "_truth.npy", square_of(data.truth(scan), scan, corner, side))
        facts = {"clinical_mm": list(scan.spacing[1:]), "corner": list(corner), "side": side}
        save_record(folder / "_spacing.json", facts)


def _keep_model(run: Path, everything: bool) -> None:
    """Drop checkpoints and events of a finished run; the model package and the records stay."""
    if everything:
        return
    for folder in (run, *(path for path in run.iterdir() if path.is_dir())):
        for name in ("checkpoints", "events", "previews"):
            shutil.rmtree(folder / name, ignore_errors=True)


def _in_short(result: dict[str, Any]) -> str:
    parts = [f"{result['steps']} steps in {result['seconds']:.0f} s"] if "steps" in result else []
    for name, one in result.get("protocols", {}).items():
        values = one["rows"].get(result["row"]) or one["rows"]["bicubic"]
        parts.append(f"{name}: " + ", ".join(f"{metric} {float(value):.3g}" for metric, value in values.items()))
    parts += [f"{metric} {value:.4g}" for metric, value in result.get("cost", {}).items()]
    return "; ".join(parts)
