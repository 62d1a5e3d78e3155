"""The training loop: steps, schedule, records, checkpoints, and an end that can be resumed from."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric

from ctloupe import methods
from ctloupe.foundation.errors import CtLoupeError, Interrupted, OptionError, TrainingError
from ctloupe.foundation.kept_memory import kept_memory
from ctloupe.foundation.lock import locked
from ctloupe.foundation.progress import Progress, Silent
from ctloupe.foundation.signals import deferred
from ctloupe.methods.base import Method, MethodConfig
from ctloupe.methods.package import save_package
from ctloupe.methods.room import lack_of_room
from ctloupe.train import checkpoint
from ctloupe.train.bank_pair import BankPair, device_bank, load_banks, require_hu
from ctloupe.train.events import Events
from ctloupe.train.fabric import FabricBackend, make_fabric, resolve_precision
from ctloupe.train.model_card import model_card
from ctloupe.train.previews import write_preview
from ctloupe.train.ranks import launched
from ctloupe.train.run_folder import MetricsLog, RunFolder
from ctloupe.train.sampler import UnpairedSampler
from ctloupe.train.settings import TrainSettings, method_config_of
from ctloupe.train.stages import StagePlan, plan_of, start_with
from ctloupe.train.torchrun import ending_at_once, is_first, torchrun

_WEIGHTS_AND_WHAT_TRAINS_THEM = 4
"""Weights, their gradients, and the two averages of Adam."""

PREVIEW_PATCHES = 4
SAMPLE_PATCHES = 128
"""Number of patches of each modality that a method may look at before the first step."""


class _Failure(NamedTuple):
    """An expected error on its way from a rank's process to the one that started it; Fabric takes plain tuples."""

    kind: type[CtLoupeError]
    message: str


def train(settings: TrainSettings, progress: Progress | None = None, resume: bool = False) -> Path:
    """Train a method and return the folder of its model package.

    Parameters
    ----------
    settings
        Resolved settings; with `resume`, those of the run folder.
    progress
        Object that is told after every step.
    resume
        Whether to continue from the newest checkpoint of ``settings.out`` (from the start when there is none yet).

    Raises
    ------
    TrainingError
        If a loss term is no longer finite.
    CtLoupeError
        If anything is wrong with settings, banks or the run folder, or another process trains in it.
    """
    run = RunFolder(settings.out)
    kind = methods.get(settings.method)
    if not kind.trainable:
        raise OptionError(f"method {settings.method} has nothing to train; use it with 'ctloupe enhance' directly")
    lacking = lack_of_room(lambda: kind(method_config_of(settings)), _WEIGHTS_AND_WHAT_TRAINS_THEM)
    if lacking is not None:
        raise OptionError(f"method {settings.method}: {lacking}; choose smaller sizes with `set`")
    planned = plan_of(settings, kind)
    banks = load_banks(settings.bank)
    if kind.needs_hu:
        require_hu(banks, settings.method)
    make_fabric(settings)
    try:
        # Of the processes that torchrun has started, the first makes the folder; the others meet it when all begin.
        with locked(run.path, inside=True) if is_first() else nullcontext():
            if not resume and is_first():
                run.create(settings)
            for one in planned:
                # A last stage that has reached its end may be given a later one; others must stay what was built upon.
                if one is planned[-1] or not (resume and RunFolder(one.folder).finished):
                    _launch(settings, one, progress or Silent(), resume)
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped between steps; continue with `resume` {settings.out}") from error
    return run.model


def _launch(settings: TrainSettings, plan: StagePlan, progress: Progress, resume: bool) -> None:
    """Train one stage: in this process, in one for each device, or in this one of those that torchrun has started."""
    fabric = make_fabric(settings)
    if is_first():
        RunFolder(plan.folder).make()
    if torchrun() is not None:
        with ending_at_once():
            fabric.launch()
        result = _rank(fabric, settings, plan, progress, resume)
    elif settings.devices > 1:
        result = launched(fabric, settings.out, _rank, settings, plan, progress, resume)
    else:
        fabric.launch()
        result = _rank(fabric, settings, plan, progress, resume)
    if isinstance(result, _Failure):
        raise result.kind(result.message)


def _rank(
    fabric: Fabric, settings: TrainSettings, plan: StagePlan, progress: Progress, resume: bool
) -> _Failure | None:
    """Run one process's share; expected errors are returned, since a child process can only raise tracebacks."""
    try:
        with kept_memory(), _Training(fabric, settings, plan, progress) as training:
            training.run(resume)
    except CtLoupeError as error:
        return _Failure(type(error), str(error))
    return None


class _Training:
    """One rank at work on one stage of a run."""

    def __init__(self, fabric: Fabric, settings: TrainSettings, plan: StagePlan, progress: Progress) -> None:
        self.fabric, self.settings, self.plan, self.progress = fabric, settings, plan, progress
        self.folder = RunFolder(plan.folder, plan.model)
        torch.use_deterministic_algorithms(settings.deterministic)
        torch.manual_seed(settings.seed)
        kind = methods.get(settings.method)
        self.config: MethodConfig = method_config_of(settings)
        self.method: Method = kind(self.config)
        if plan.start_from is not None:
            start_with(self.method, plan.start_from, plan.finished)
        self.earlier: dict[str, Any] | None = None
        # Stages that build on each other say so themselves.
        if plan.start_from is not None and len(kind.stages) == 1:
            self.earlier = RunFolder(plan.start_from).effort()
        self.method.enter(plan.stage)
        self.backend = FabricBackend(fabric, self.method, settings.channels_last)
        self.banks = load_banks(settings.bank)
        self.sampler = _sampler(self.banks, self.method, settings.seed, fabric.device)
        epochs = settings.epochs or self.config.epochs
        own = [settings.steps, None if plan.minutes and not settings.epochs else self._steps_of(epochs)]
        self.total_steps = min((steps for steps in own if steps is not None), default=None)
        self.step, self.elapsed_before, self.started = 0, 0.0, time.monotonic()
        self.newest: Path | None = None
        self.stopping = self.saving = False
        self.log: MetricsLog | None = None
        self.events: Events | None = None

    def __enter__(self) -> _Training:
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.close()
        if self.log is not None:
            self.log.close()
        if self.events is not None:
            self.events.close()
        torch.use_deterministic_algorithms(False)

    def run(self, resume: bool) -> None:
        """Take every step that is left."""
        if not (resume and self._restored()):
            self.method.examine(replace(self.sampler, batch_size=SAMPLE_PATCHES, flips=False).batch(0))
        if self.fabric.is_global_zero:
            self._open_records()
        self.started = time.monotonic()
        last_saved = self.elapsed_before
        with deferred(self._stop, self._save_soon, second_ends=self.fabric.world_size == 1):
            elapsed = self.elapsed_before
            while not self._done(elapsed):
                elapsed, stopping, saving = self._one_step(elapsed)
                due = elapsed - last_saved >= 60 * self.settings.checkpoint_minutes
                every = self.settings.checkpoint_steps
                if stopping or saving or due or self._done(elapsed) or (every and self.step % every == 0):
                    self._save(elapsed)
                    last_saved = elapsed
                # A stage that others build on is not the end, though it may have reached its own.
                if stopping and not (self._done(elapsed) and self.plan.ships):
                    raise Interrupted(f"stopped at step {self.step}; continue with `resume` {self.settings.out}")

    def _one_step(self, elapsed: float) -> tuple[float, bool, bool]:
        rate = self.backend.scale_learning_rate(self._rate_factor(elapsed))
        batch = self.sampler.batch(self.step, self.fabric.global_rank, self.fabric.world_size)
        losses = self.method.step(batch, self.backend)
        values = self._averaged(losses)
        self.step += 1
        bad = [name for name, value in values.items() if value != value or value in (float("inf"), -float("inf"))]
        if bad:
            good = f"the last good checkpoint is {self.newest}" if self.newest else "there is no checkpoint yet"
            raise TrainingError(
                f"loss term '{bad[0]}' became {values[bad[0]]} at step {self.step}; {good}; "
                "lower learning_rate, or look for corrupt patches in the bank"
            )
        elapsed, stopping, saving = self._agreed_clock()
        if self.fabric.is_global_zero:
            self._record(values, rate, elapsed)
        return elapsed, stopping, saving

    def _averaged(self, losses: dict[str, torch.Tensor]) -> dict[str, float]:
        stacked = torch.stack([value.float() for value in losses.values()])
        if self.fabric.world_size > 1:
            reduced = self.fabric.all_reduce(stacked, reduce_op="mean")
            stacked = reduced if isinstance(reduced, torch.Tensor) else stacked
        return dict(zip(losses, stacked.tolist(), strict=True))

    def _agreed_clock(self) -> tuple[float, bool, bool]:
        """Return the elapsed seconds and the wishes to stop and to save, the same on every rank."""
        elapsed = self.elapsed_before + time.monotonic() - self.started
        saving, self.saving = self.saving, False
        if self.fabric.world_size == 1:
            return elapsed, self.stopping, saving
        mine = torch.tensor([elapsed, float(self.stopping), float(saving)], dtype=torch.float64)
        torch.distributed.all_reduce(agreed := mine.to(self.fabric.device).float(), torch.distributed.ReduceOp.MAX)
        return float(agreed[0]), bool(agreed[1]), bool(agreed[2])

    def _rate_factor(self, elapsed: float) -> float:
        done = self._fraction(elapsed)
        constant = self.config.constant_fraction
        return 1.0 if done <= constant or constant == 1 else max(0.0, (1 - done) / (1 - constant))

    def _fraction(self, elapsed: float) -> float:
        by_steps = self.step / self.total_steps if self.total_steps else 0.0
        by_time = elapsed / (60 * self.plan.minutes) if self.plan.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def _done(self, elapsed: float) -> bool:
        return self._fraction(elapsed) >= 1.0

    def _steps_of(self, epochs: int) -> int:
        return epochs * self.sampler.steps_per_epoch

    def _stop(self) -> None:
        self.stopping = True

    def _save_soon(self) -> None:
        self.saving = True

    def _restored(self) -> bool:
        """Go back to the newest checkpoint, if there is one."""
        saved = checkpoint.found(self.folder.checkpoints)
        if not saved:
            return False
        self.newest = saved[-1]
        state = checkpoint.read(self.newest)
        checkpoint.restore(state, self.method, self.backend, self.newest)
        self.step, self.elapsed_before = int(state["step"]), float(state["elapsed"])
        return True

    def _open_records(self) -> None:
        self.folder.write_manifest(
            device=str(self.fabric.device),
            devices=self.fabric.world_size,
            precision=resolve_precision(self.settings, self.fabric.device.type),
            resumed_from_step=self.step,
        )
        self.log = MetricsLog(self.folder.metrics, first_step=self.step + 1)
        self.events = Events(self.folder.events, self.step + 1)
        self.progress.start(self.plan.title, 1.0)

    def _record(self, values: dict[str, float], rate: float, elapsed: float) -> None:
        assert self.log is not None
        epoch = (self.step - 1) // self.sampler.steps_per_epoch + 1
        facts = {"step": self.step, "epoch": epoch, "elapsed_s": elapsed, "learning_rate": rate}
        self.log.write(facts | values)
        if self.events is not None:
            self.events.add({f"loss/{name}": one for name, one in values.items()} | {"learning_rate": rate}, self.step)
        if self.step == 1 or self.step % self.settings.preview_steps == 0 or self._done(elapsed):
            self._preview()
        note = f"step {self.step}, {(elapsed - self.elapsed_before):.0f} s, total loss {values['total']:.3f}"
        self.progress.update(self._fraction(elapsed), note)

    def _preview(self) -> None:
        # Always the same patches, and no random number taken from the training.
        batch = replace(self.sampler, batch_size=PREVIEW_PATCHES, seed=0, flips=False).batch(0)
        with torch.random.fork_rng(), self.backend.autocast():
            self.method.eval()
            images = self.method.preview(batch)
            self.method.train()
        write_preview(self.folder.previews / f"step-{self.step:08d}.png", batch, images, self.step)

    def _save(self, elapsed: float) -> None:
        self.newest = checkpoint.save(
            self.folder.checkpoints,
            self.step,
            elapsed,
            self.method,
            self.backend,
            self.settings.keep_checkpoints,
        )
        if self.fabric.is_global_zero:
            found = self.method.findings()
            if self.plan.ships:
                card = model_card(self.settings, self.config, self.banks, self.step, elapsed, found, self.earlier)
                save_package(self.folder.model, self.method.enhancer(), card)
            self.folder.write_manifest(
                steps=self.step,
                training_seconds=round(elapsed, 1),
                finished=self._done(elapsed),
                findings=found,
                **({"started_from": self.earlier} if self.earlier else {}),
            )
        self.fabric.barrier()


def _sampler(banks: BankPair, method: Method, seed: int, device: torch.device) -> UnpairedSampler:
    config = method.config
    return UnpairedSampler(
        device_bank(banks.clinical, device, neighbours=method.reads_neighbours),
        device_bank(banks.micro, device, method.reads_slice_average, method.reads_neighbours),
        config.patch_size,
        config.scale,
        config.batch_size,
        seed,
        config.flips,
    )
