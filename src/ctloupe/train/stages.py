"""Stages of a training: which are to be run, where each is kept, and how one starts from what another has learnt."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import nn

from ctloupe import methods
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.methods.base import Method
from ctloupe.methods.room import lack_of_room
from ctloupe.train import checkpoint
from ctloupe.train.run_folder import RunFolder
from ctloupe.train.settings import TrainSettings, method_config_of


class StagePlan(NamedTuple):
    """One stage of a run; a tuple, since Fabric does not hand frozen dataclasses to other processes.

    Attributes
    ----------
    stage
        Name of the stage.
    folder
        Run folder of the stage: that of the run itself where there is only one.
    model
        Folder that the model package goes to.
    ships
        Whether the stage trains what the package holds; only the last one does.
    minutes
        Minutes that the stage may take; None where steps or epochs end it.
    start_from
        Run folder of the stage, or of another run, whose networks it starts with.
    finished
        Stages whose networks are taken from `start_from`.
    """

    stage: str
    folder: Path
    model: Path
    ships: bool
    minutes: float | None
    start_from: Path | None
    finished: tuple[str, ...]

    @property
    def title(self) -> str:
        """What the progress bar says."""
        return "training" if self.stage == "whole" else f"training, stage {self.stage}"


def plan_of(settings: TrainSettings, kind: type[Method]) -> list[StagePlan]:
    """Return the stages that `settings` asks for, in order.

    Raises
    ------
    OptionError
        If the stage is unknown, or nothing says what it should start from.
    FileError
        If the run to start from has no checkpoint.
    """
    stages = kind.stages
    _check(settings, kind)
    model = settings.out / "model"
    if len(stages) == 1:
        source = _source(settings.start_from, stages, stages) if settings.start_from else None
        return [StagePlan(stages[0], settings.out, model, True, settings.minutes, source, stages if source else ())]
    first = stages.index(settings.stage) if settings.stage else _first(settings.start_from, stages)
    last = first if settings.stage else len(stages) - 1
    plans = []
    for index in range(first, last + 1):
        done = stages[:index]
        source = settings.out / done[-1] if done and index > first else None
        if index == first and settings.start_from is not None and done:
            source = _source(settings.start_from, stages, done)
        share = settings.minutes / (last - first + 1) if settings.minutes else None
        ships = index == len(stages) - 1
        plans.append(StagePlan(stages[index], settings.out / stages[index], model, ships, share, source, done))
    return plans


def _check(settings: TrainSettings, kind: type[Method]) -> None:
    stages = kind.stages
    if settings.stage is None:
        return
    if len(stages) == 1 or settings.stage not in stages:
        known = f"its stages are {', '.join(stages)}" if len(stages) > 1 else "it has only one"
        raise OptionError(f"`stage` {settings.stage}: {kind.name} has no such stage, {known}")
    if settings.stage != stages[0] and settings.start_from is None:
        raise OptionError(
            f"`stage` {settings.stage} builds on {stages[stages.index(settings.stage) - 1]}; say with `start_from` RUN "
            "which run has trained that"
        )


def _first(start_from: Path | None, stages: tuple[str, ...]) -> int:
    """Index of the first stage that the run to start from has not finished; the last one is always trained."""
    if start_from is None:
        return 0
    finished = [RunFolder(start_from / stage).finished for stage in stages]
    return min(len(stages) - 1, finished.index(False) if False in finished else len(stages) - 1)


def _source(run: Path, stages: tuple[str, ...], done: tuple[str, ...]) -> Path:
    folder = run if len(stages) == 1 else run / done[-1]
    if not checkpoint.found(folder / "checkpoints"):
        what = "" if len(stages) == 1 else f" of stage {done[-1]}"
        raise FileError(f"`start_from` {run}: no checkpoint{what} in this folder; give a run folder of 'ctloupe train'")
    return folder


def start_with(method: Method, folder: Path, stages: tuple[str, ...]) -> None:
    """Give `method` the networks that `stages` train, as they are in the newest checkpoint in `folder`.

    A network that a method of one stage did not have when it was trained begins anew.

    Raises
    ------
    OptionError
        If those networks are configured otherwise here.
    """
    newest = checkpoint.found(folder / "checkpoints")[-1]
    weights = checkpoint.read(newest)["method"]
    names = {id(module): name for name, module in method.named_modules()}
    for stage in stages:
        method.enter(stage)
        for module in method.trainables().values():
            prefix = names[id(module)] + "."
            if len(method.stages) > 1 or any(name.startswith(prefix) for name in weights):
                _load(module, prefix, weights, newest)


def _load(module: nn.Module, prefix: str, weights: dict[str, object], source: Path) -> None:
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    wanted = {name for name in module.state_dict() if not name.endswith("_extra_state")}
    try:
        module.load_state_dict({name: own[name] for name in wanted}, strict=False)
    except (KeyError, RuntimeError) as error:
        raise OptionError(
            f"{source}: its networks ({prefix.rstrip('.')}) are not of the size that is configured here; use the "
            "configuration of that run"
        ) from error


def load_method(run: Path) -> Method:
    """Rebuild the whole method of a run, all its networks as last saved, in evaluation mode on the CPU.

    Raises
    ------
    FileError, OptionError
        If there is no run, or it has no checkpoint yet.
    """
    settings = RunFolder(run).settings()
    kind = methods.get(settings.method)
    folders = [run] if len(kind.stages) == 1 else [run / stage for stage in reversed(kind.stages)]
    saved = [found for folder in folders for found in checkpoint.found(folder / "checkpoints")[-1:]]
    if not saved:
        raise FileError(f"{run}: this run has no checkpoint yet")
    config = method_config_of(settings)
    lacking = lack_of_room(lambda: kind(config))
    if lacking is not None:
        raise FileError(f"{run / 'config.yaml'}: {lacking}; use the run as it was written, or a larger machine")
    method = kind(config)
    try:
        method.load_state_dict(checkpoint.read(saved[0])["method"], strict=False)
    except RuntimeError as error:
        raise FileError(f"{saved[0]}: its networks are not of the size that {run / 'config.yaml'} says") from error
    return method.eval()
