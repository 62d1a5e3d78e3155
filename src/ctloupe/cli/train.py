"""`ctloupe train`: fit a method to patch banks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctloupe.cli.assignments import assigned


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("train")(train)


def train(
    bank: Annotated[Path | None, typer.Option(help="Folder written by 'ctloupe prepare'.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to make.")] = None,
    method: Annotated[str, typer.Option(help="See 'ctloupe models'.")] = "sr-cyclegan",
    preset: Annotated[str | None, typer.Option(help="One of the method's presets.")] = None,
    changes: Annotated[
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
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random (0 when not given).")] = None,
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
    from ctloupe.cli.progress import ConsoleProgress, say, show
    from ctloupe.train.loop import train as run
    from ctloupe.train.request import TrainRequest
    from ctloupe.train.torchrun import is_first

    request = TrainRequest(
        bank=bank,
        out=out,
        method=method,
        preset=preset,
        changes=assigned(changes or [], "weights.cycle=2"),
        config=config,
        epochs=epochs,
        steps=steps,
        minutes=minutes,
        resume=resume,
        stage=stage,
        start_from=start_from,
        seed=seed,
        accelerator=accelerator,
        devices=devices,
        precision=precision,
        deterministic=deterministic,
        checkpoint_minutes=checkpoint_minutes,
        checkpoint_steps=checkpoint_steps,
        preview_steps=preview_steps,
    )
    settings = request.settings()
    model = run(settings, ConsoleProgress(), resume=resume is not None)
    if not is_first():
        return
    if not model.is_dir():
        say(f"trained stage {settings.stage}; train the next one with --from {settings.out}")
        show(str(settings.out))
        return
    say(f"trained; model package: {model}")
    show(str(model))
