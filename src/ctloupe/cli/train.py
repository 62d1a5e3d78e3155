"""`ctloupe train`: fit a method to patch banks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ctloupe.cli.assignments import assigned
from ctloupe.foundation.errors import OptionError


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("train")(train)


def train(
    bank: Annotated[Path | None, typer.Option(help="Folder written by 'ctloupe prepare'.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to make.")] = None,
    method: Annotated[str, typer.Option(help="See 'ctloupe models'.")] = "sr-cyclegan",
    preset: Annotated[str | None, typer.Option(help="One of the method's presets.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of the method's configuration; may be repeated."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with configuration keys.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the larger bank.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes of training.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Run folder to continue.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage of a method that has several.")] = None,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="Run folder to take networks from: finished stages, or weights to start with."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random (0 when not given).")] = None,
    accelerator: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    devices: Annotated[int | None, typer.Option(help="Processes, one a device.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bf16-mixed or 32-true.")] = None,
    deterministic: Annotated[bool, typer.Option(help="Only algorithms that repeat exactly.")] = False,
    checkpoint_minutes: Annotated[float | None, typer.Option(help="Minutes between checkpoints.")] = None,
    checkpoint_steps: Annotated[int | None, typer.Option(help="Also write one every so many steps.")] = None,
    preview_steps: Annotated[int | None, typer.Option(help="Steps between preview pictures.")] = None,
) -> None:
    """Train a method; the run ends at the first of --epochs, --steps and --minutes.

    Example: ctloupe train --bank bank --preset tiny --minutes 10 --out runs/first
    Example: ctloupe train --resume runs/first
    Example: ctloupe train --bank bank --method synth-srgan --from runs/pairs --out runs/second
    """
    from ctloupe.cli.progress import ConsoleProgress, say
    from ctloupe.train.loop import train as run
    from ctloupe.train.run_folder import RunFolder

    given: dict[str, Any] = {
        "epochs": epochs,
        "steps": steps,
        "minutes": minutes,
        "seed": seed,
        "accelerator": accelerator,
        "devices": devices,
        "precision": precision,
        "checkpoint_minutes": checkpoint_minutes,
        "checkpoint_steps": checkpoint_steps,
        "preview_steps": preview_steps,
    }
    changed = {key: value for key, value in given.items() if value is not None}
    if resume is not None:
        fixed = (out, bank, set_, config, preset, stage, start_from)
        settings = _continued(RunFolder(resume).settings(), changed, *fixed)
    else:
        changed |= {"stage": stage, "start_from": start_from.resolve() if start_from else None}
        settings = _fresh(bank, out, method, preset, set_, config, changed, deterministic)
    model = run(settings, ConsoleProgress(), resume=resume is not None)
    if not model.is_dir():
        say(f"trained stage {settings.stage}; train the next one with --from {settings.out}")
        print(settings.out)
        return
    say(f"trained; model package: {model}")
    print(model)


def _fresh(
    bank: Path | None,
    out: Path | None,
    method: str,
    preset: str | None,
    set_: list[str] | None,
    config: Path | None,
    changed: dict[str, Any],
    deterministic: bool,
) -> Any:
    from ctloupe import methods
    from ctloupe.train.settings import read_mapping, settings_of

    if bank is None or out is None:
        raise OptionError("--bank and --out are needed (or --resume RUN to continue a run)")
    kind = methods.get(method)
    if not kind.trainable:
        raise OptionError(f"--method {method}: there is nothing to train; 'ctloupe enhance --model {method}' uses it")
    changes = (read_mapping(config) if config else {}) | assigned(set_ or [], "weights.cycle=2")
    chosen = preset or next(iter(kind.presets))
    resolved = kind.configure(chosen, changes)
    return settings_of(
        {
            "method": method,
            "preset": chosen,
            "config": resolved.model_dump(mode="json"),
            "bank": bank.resolve(),
            "out": out,
            "deterministic": deterministic,
            **changed,
        }
    )


def _continued(settings: Any, changed: dict[str, Any], *fixed: Any) -> Any:
    from ctloupe.train.settings import settings_of

    if any(value is not None for value in fixed):
        raise OptionError(
            "--resume continues a run as it was set up; leave --bank, --out, --set, --config, --preset, --stage and "
            "--from out"
        )
    if "seed" in changed:
        raise OptionError("--resume continues with the seed of the run; leave --seed out")
    return settings_of(settings.model_dump() | changed)
