"""`ctloupe models`: which methods there are and what they cost."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group = typer.Typer(no_args_is_help=False, invoke_without_command=True, rich_markup_mode=None)
    group.callback()(list_methods)
    group.command("show")(show)
    app.add_typer(group, name="models", help="List methods and presets; show what one costs.")


def list_methods(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List methods and presets.

    Example: ctloupe models
    """
    if context.invoked_subcommand is not None:
        return
    from ctloupe import methods

    kinds = [methods.get(name) for name in methods.names()]
    if as_json:
        facts = [
            {
                "name": kind.name,
                "presets": list(kind.presets),
                "summary": kind.summary,
                "reference": kind.reference,
            }
            for kind in kinds
        ]
        print(json.dumps(facts, indent=2))
        return
    width = max(len(kind.name) for kind in kinds)
    for kind in kinds:
        print(f"{kind.name:<{width}}  {kind.summary}")
        print(f"{'':<{width}}  presets: {', '.join(kind.presets)}  ({kind.reference})")


def show(
    method: Annotated[str, typer.Argument(help="Name of a method.")],
    preset: Annotated[str | None, typer.Option(help="One of the method's presets; default: its first.")] = None,
    scale: Annotated[int | None, typer.Option(help="In-plane enlargement: 2, 4, 8 or 16.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show parameters, arithmetic, loss weights and settings of a method.

    Example: ctloupe models show sr-cyclegan --preset jmi2022 --json
    """
    from ctloupe import methods
    from ctloupe.methods.cost import gflop, parameters, without_storage

    kind = methods.get(method)
    chosen = preset or next(iter(kind.presets))
    config = kind.configure(chosen, {} if scale is None else {"scale": scale})
    built = without_storage(kind, config)
    counts, costs, weights = parameters(built), gflop(built), built.loss_weights()
    if as_json:
        facts = {
            "method": kind.name,
            "preset": chosen,
            "reference": kind.reference,
            "parameters": counts,
            "gflop_per_sample": costs,
            "loss_weights": weights,
            "config": config.model_dump(mode="json"),
        }
        print(json.dumps(facts, indent=2))
        return
    print(f"{kind.name}, preset {chosen}: {kind.summary} ({kind.reference})")
    for name, count in counts.items():
        print(f"  parameters  {name:<12} {count:>12,}")
    print(f"  GFLOP       one patch of {config.patch_size}×{config.patch_size} enhanced: {costs['enhance']:.3f}")
    print(f"  GFLOP       one training step per sample: {costs['train_step']:.1f}")
    for name, weight in weights.items():
        print(f"  loss weight {name:<22} {weight:g}")
