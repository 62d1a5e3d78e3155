"""The front door of benchmarks: a suite and models named, run, and written as leaderboards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctloupe.evaluate.suite.definition import load_suite
from ctloupe.evaluate.suite.leaderboard import Leaderboard
from ctloupe.evaluate.suite.report import OUTPUTS
from ctloupe.evaluate.suite.run import measure_suite
from ctloupe.foundation.atomic import require_new
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.lock import locked


@dataclass(frozen=True)
class SuiteRequest:
    """What `run_suite` is asked for; the names are those of the command line's options.

    Attributes
    ----------
    suite
        Name of a suite that comes with the package, or a YAML file.
    out
        Folder for ``cases/*.json``, ``leaderboard.md``, ``leaderboard.csv`` and ``report.html``.
    model
        Row name and model package; several of one name are seeds of one method and are averaged.
    study
        Folder of a study whose models are rows as well.
    controls
        Whether deliberately bad enhancers are rows as well.
    data
        Where the phantoms are kept; None: in `out`.
    samples
        Whether a sample of every model that draws any is a row as well.
    overwrite
        Whether earlier leaderboards in `out` are replaced; what was measured before is kept in any case.
    """

    suite: str
    out: Path
    model: tuple[tuple[str, Path], ...] = ()
    study: Path | None = None
    controls: bool = False
    data: Path | None = None
    samples: bool = False
    overwrite: bool = False


def run_suite(request: SuiteRequest, say: Callable[[str], None] = lambda line: None) -> dict[str, Leaderboard]:
    """Measure models on every case of a suite and write leaderboards by group.

    Parameters
    ----------
    request
        Suite, models and outputs.
    say
        Told what is being done, and where the results are.

    Raises
    ------
    OptionError
        If there is no such suite, or a row's name is taken.
    FileError, ModelError
        If a file is not valid, results are in `out` already, another process writes there, or a model has another
        scale.
    """
    suite = load_suite(request.suite)
    models = [*request.model, *(models_of(request.study) if request.study is not None else [])]
    data = request.data or request.out / "data"
    made = [request.out / name for name in (*OUTPUTS, "cases", "pictures")]
    require_apart([request.suite, request.study, *(path for _, path in models)], [*made, data])
    require_new(request.out, request.overwrite, *OUTPUTS)
    with locked(request.out):
        boards = measure_suite(suite, models, request.out, data, request.controls, say, request.samples)
    say(f"wrote {', '.join(str(request.out / name) for name in OUTPUTS)}")
    return boards


def models_of(study: Path) -> list[tuple[str, Path]]:
    """Row and model package of every training of a study; the seeds of a row share its name.

    Raises
    ------
    OptionError
        If no model is there.
    """
    found = [(path.parent.name.rpartition("-seed-")[0], path) for path in sorted(study.glob("runs/*-seed-*/model"))]
    if not found:
        raise OptionError(
            f"`study` {study}: no trained model here (runs/*-seed-*/model); give the `out` of 'study run'"
        )
    return found
