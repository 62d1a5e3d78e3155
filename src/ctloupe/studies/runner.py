"""Runs a study: every row trained for every seed, measured, and recorded, so that it can be stopped and continued."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ctloupe import methods
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import load_model
from ctloupe.foundation.errors import FileError, Interrupted, OptionError
from ctloupe.foundation.expected import Expected
from ctloupe.foundation.lock import locked
from ctloupe.foundation.progress import Progress, Silent
from ctloupe.foundation.records import finite, save_record
from ctloupe.foundation.workers import Share, Workers
from ctloupe.methods.base import Method
from ctloupe.methods.package import software_versions
from ctloupe.studies.columns import numbers_by_label
from ctloupe.studies.data import StudyData
from ctloupe.studies.definition import SCALES, Budget, Row, Scale, Study
from ctloupe.studies.held import enhanced_scans, keep_picture
from ctloupe.studies.measure import facts_of, maker_of, measure, measure_cost, possible
from ctloupe.studies.own_data import OwnVolumes, load_own_volumes, own_data
from ctloupe.studies.phantom_data import phantom_data
from ctloupe.studies.report import write_report
from ctloupe.studies.results import load_study_record, result_path, study_path
from ctloupe.train.loop import train
from ctloupe.train.run_folder import RunFolder
from ctloupe.train.settings import TrainSettings

USE_OF_CORES: Final = "one training after another, each with all cores; metrics share them too"
"""How a study uses the machine: trainings side by side would take each other's cores."""

CROP_SIDE = 32
"""Side of the pictured square in clinical voxels."""


@dataclass(frozen=True)
class StudyRequest:
    """What `run_study` is asked for; None takes the value of the scale's budget.

    Attributes
    ----------
    scale
        Scale of the budget.
    only
        Keys of the rows to run; none: all.
    resume
        Whether a study that was begun is gone on with.
    seeds, minutes, steps, size, per_case, cases, test_patches
        What of the budget is another.
    data
        A folder of data that several studies share, or a YAML file that lists volumes of one's own, of which the study
        makes its data; None: phantoms in the study's own folder.
    keep_runs
        Whether checkpoints of finished rows are kept.
    scheduler
        Address of a Dask scheduler whose workers do the rows, one row and seed each; the study's folder must be one
        that all of them see under the same name. None: this process does them.

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
    test_patches: int | None = None
    data: Path | None = None
    keep_runs: bool = False
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise OptionError(f"`scale` {self.scale}: expected one of {', '.join(SCALES)}")

    def budget(self, study: Study) -> Budget:
        """Return the scale's budget for a study, with what was asked for otherwise."""
        given = {
            "seeds": self.seeds,
            "minutes": self.minutes,
            "steps": self.steps,
            "size": self.size,
            "per_case": self.per_case,
            "cases": self.cases,
            "test_patches": self.test_patches,
        }
        changed = {key: value for key, value in given.items() if value is not None}
        return study.planned(self.scale).model_copy(update=changed)


@dataclass(frozen=True)
class _Work:
    """A study that is being run: what it is, how it was asked for, and what it has."""

    study: Study
    out: Path
    request: StudyRequest
    budget: Budget
    data: StudyData
    progress: Progress

    def run_of(self, key: str, seed: int) -> Path:
        """Return the run folder of a row."""
        return self.out / "runs" / f"{key}-seed-{seed}"


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
        If a row of `only` does not exist, a number of the paper belongs to no metric, or volumes are missing.
    """
    with locked(out):
        return _run(study, out, request, say, progress or Silent())


def _run(study: Study, out: Path, request: StudyRequest, say: Callable[[str], None], progress: Progress) -> Path:
    rows = study.trained(request.only)
    for row in study.rows:
        numbers_by_label(row.paper, row.key)
    budget = request.budget(study)
    for row in rows:
        _options(study, row, request.scale)
    own = _own_volumes(request.data)
    _open(study, out, request, budget, own)
    if study.protocols == ("cost",):
        budget = budget.model_copy(update={"seeds": 1})
    largest = max(_config(study, row, request.scale).patch_size for row in study.trained())
    recipe = study.recipe(request.scale)
    trainings = sum(not result_path(out, row.key, seed).is_file() for row in rows for seed in range(budget.seeds))
    timed = budget.steps is None and budget.minutes is not None
    each = 60 * (budget.minutes or 0) if timed else None
    if trainings and study.protocols != ("cost",) and request.scheduler is None:
        told = Expected(trainings, each).in_words()
        say(f"plan: {told}{', and what measuring takes' if timed else ''}; {USE_OF_CORES}")
    if own is None:
        data = phantom_data(request.data or out / "data", budget, recipe, study.enlargement, largest, say)
    else:
        data = own_data(own, out / "data", budget, recipe, study.enlargement, largest, say)
    for protocol in study.protocols:
        reason = possible(protocol, data)
        if reason:
            say(f"protocol {protocol} is left out: {reason}")
    work = _Work(study, out, request, budget, data, progress)
    turns = [(row, seed) for seed in range(budget.seeds) for row in _in_turn(study, rows, seed)]
    if request.scheduler is not None:
        _on_workers(work, turns, request.scheduler, say)
        return write_report(study, out)
    page: Path | None = None
    # Anew: its clock begins now, when the data are there.
    expected = Expected(trainings, each)
    for row, seed in turns:
        if result_path(out, row.key, seed).is_file():
            continue
        say(f"seed {seed}, row {row.key}: {row.label}")
        say(_told(_recorded(work, row, seed)))
        page = write_report(study, out)
        if row in rows and expected.done < trainings:
            say(f"  {expected.after_one_more()}")
    return page or write_report(study, out)


def _recorded(work: _Work, row: Row, seed: int) -> dict[str, Any]:
    """Run a row, and write what came of it."""
    result = _attempt(work, row, seed)
    save_record(result_path(work.out, row.key, seed), finite(result))
    return result


def _told(result: dict[str, Any]) -> str:
    return "  failed: " + result["message"] if result["state"] == "failed" else f"  {_in_short(result)}"


def _on_workers(work: _Work, turns: list[tuple[Row, int]], scheduler: str, say: Callable[[str], None]) -> None:
    """Run rows on a cluster: first those whose networks make the inputs of others. Each worker writes its results."""
    there = replace(work, out=work.out.absolute(), data=StudyData(work.data.folder.absolute()), progress=Silent())
    first = [turn for turn in turns if turn[0].key == work.study.synthesiser]
    for turns_together in (first, [turn for turn in turns if turn not in first]):
        tasks = [
            _Turn(there, row, seed)
            for row, seed in turns_together
            if not result_path(work.out, row.key, seed).is_file()
        ]
        for task, result in zip(tasks, Workers(scheduler=scheduler).each(_taken, tasks), strict=True):
            say(f"seed {task.seed}, row {task.row.key}: {task.row.label}")
            say(_told(result))
            write_report(work.study, work.out)


@dataclass(frozen=True)
class _Turn:
    """A row at a seed, as it is sent to a worker."""

    work: _Work
    row: Row
    seed: int


def _taken(turn: _Turn, share: Share) -> dict[str, Any]:
    return _recorded(turn.work, turn.row, turn.seed)


def _own_volumes(asked: Path | None) -> OwnVolumes | None:
    """Read a list of volumes; None where phantoms are asked for, in a folder that may have to be made."""
    if asked is None or asked.is_dir():
        return None
    if not asked.exists() and not asked.suffix:
        return None
    return load_own_volumes(asked)


_BICUBIC = Row(key="bicubic", label="bicubic", method="bicubic")


def _in_turn(study: Study, rows: list[Row], seed: int) -> list[Row]:
    """Return the rows of a seed: bicubic first, but behind the row whose network makes the inputs of all."""
    if seed > 0:
        return rows
    return [*rows[:1], _BICUBIC, *rows[1:]] if study.synthesiser is not None else [_BICUBIC, *rows]


def _open(study: Study, out: Path, request: StudyRequest, budget: Budget, own: OwnVolumes | None) -> None:
    """Make the study's folder, or check that it is the one to be continued."""
    record = study_path(out)
    wanted = {
        "study": study.model_dump(mode="json"),
        "scale": request.scale,
        "budget": budget.model_dump(mode="json", exclude={"seeds"}),
        "volumes": None if own is None else own.model_dump(mode="json"),
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


def _options(study: Study, row: Row, scale: Scale) -> dict[str, Any]:
    """Return the options with which a row enhances, checked."""
    options = study.recipe(scale).enhance | row.enhance.get(scale, {})
    EnhanceOptions.of(options)
    return options


def _applies(kind: type[Method], key: str) -> bool:
    """Whether a change for all rows concerns this method; keys of the row itself are checked by `configure`."""
    return key.partition(".")[0] in kind.Config.model_fields


def _attempt(work: _Work, row: Row, seed: int) -> dict[str, Any]:
    result = {
        "row": row.key,
        "seed": seed,
        "method": row.method,
        "preset": work.study.preset(row, work.request.scale),
        "software": software_versions(),
        "data": work.data.facts(),
    }
    try:
        unknown = [key for key in row.changes if not _applies(methods.get(row.method), key)]
        if unknown:
            raise OptionError(f"row {row.key}: {row.method} has no configuration key '{unknown[0]}'")
        return result | _run_row(work, row, seed)
    except (Interrupted, KeyboardInterrupt) as error:
        raise Interrupted(
            f"{work.out}: stopped in row {row.key}, seed {seed}; what was finished is kept, and the same command with "
            "`resume` goes on"
        ) from error
    # One row's failure, whatever it is, must neither stop the others nor be lost.
    except Exception as error:
        message = str(error) or type(error).__name__
        trace = traceback.format_exc()
        return result | {"state": "failed", "message": message.splitlines()[0], "traceback": trace}


def _run_row(work: _Work, row: Row, seed: int) -> dict[str, Any]:
    study, budget, data, scale = work.study, work.budget, work.data, work.request.scale
    kind = methods.get(row.method)
    run = work.run_of(row.key, seed)
    config = _config(study, row, scale)
    settings = TrainSettings(
        method=row.method,
        preset=study.preset(row, scale),
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
        plain = load_model(row.method, study.enlargement)
        # What has not been trained is compared on patches of the study's size all the same.
        resolver = replace(plain, model=replace(plain.model, patch_size=config.patch_size))
    else:
        found |= facts_of(settings) | _trained(settings, run, work.progress)
        resolver = load_model(run / "model")
    resolver = resolver.named(row.key).with_options(**_options(study, row, scale))
    maker = maker_of(None if study.synthesiser is None else work.run_of(study.synthesiser, seed), study.enlargement)
    asked = [name for name in study.protocols if not possible(name, data)]
    with enhanced_scans(resolver, data, work.out) as held:
        found["protocols"] = {name: measure(name, resolver, held, data, budget.test_patches, maker) for name in asked}
        if seed == 0 and held:
            keep_picture(work.out, row.key, held[0], data)
    if kind.trainable:
        _keep_model(run, work.request.keep_runs or row.key == study.synthesiser)
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
