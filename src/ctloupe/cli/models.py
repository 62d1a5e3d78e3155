"""`ctloupe models`: which methods and trained models there are, what they cost, and how models are handed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctloupe.cli.options import AsJson, Overwrite, numbers
from ctloupe.cli.progress import ConsoleProgress, say, show

if TYPE_CHECKING:
    from ctloupe.models.names import InstalledModel


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group = typer.Typer(no_args_is_help=False, invoke_without_command=True, rich_markup_mode=None)
    group.callback()(list_methods)
    group.command("list")(list_models)
    group.command("show")(show_method)
    group.command("get")(get)
    group.command("pack")(pack)
    group.command("card")(card)
    app.add_typer(group, name="models", help="List methods and models; pack models, fetch them, read their cards.")


def list_methods(context: typer.Context, as_json: AsJson = False) -> None:
    """List methods and presets.

    Example: ctloupe models
    """
    if context.invoked_subcommand is None:
        _show_methods(as_json)


def list_models(
    only_installed: Annotated[
        bool, typer.Option("--installed", help="Only trained models that can be used by their name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the methods that can be trained, and the trained models that can be used by their name.

    Example: ctloupe models list --installed
    """
    from ctloupe.models.names import installed

    found = installed()
    if only_installed and as_json:
        print(json.dumps([_facts(one) for one in found], indent=2))
        return
    if not only_installed:
        _show_methods(as_json)
        return
    for one in found:
        record = one.record
        size = f"{one.bytes / 1e6:.1f} MB"
        show(f"{record.name:<16}{record.method}, ×{record.scale}, {size}, {record.licence}, {one.source}")
        for line in (record.demonstration, record.about):
            if line:
                show(f"{'':<16}{line}")
        show(f"{'':<16}{one.folder}")


def _facts(one: InstalledModel) -> dict[str, Any]:
    return one.record.model_dump(mode="json") | {"source": one.source, "folder": str(one.folder), "bytes": one.bytes}


def _show_methods(as_json: bool) -> None:
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


def show_method(
    method: Annotated[str, typer.Argument(help="Name of a method.")],
    preset: Annotated[str | None, typer.Option(help="One of the method's presets; default: its first.")] = None,
    scale: Annotated[int | None, typer.Option(help="In-plane enlargement: 2, 4, 8 or 16.")] = None,
    as_json: AsJson = False,
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


def get(
    source: Annotated[str, typer.Argument(help="Name of the index, an address, or a file *.ctloupe.")],
    checksum: Annotated[str | None, typer.Option(help="sha256 that the file of an address has to have.")] = None,
    public_key: Annotated[str | None, typer.Option(help="Key in base64 that has to have signed it.")] = None,
    index: Annotated[Path | None, typer.Option(help="YAML file with another index of models.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fetch and check a packed model, which can then be used by its name; nothing in it is run.

    Example: ctloupe models get bone-8.ctloupe
    Example: ctloupe models get https://example.org/bone-8.ctloupe --checksum sha256:…
    """
    from ctloupe.models.get import GetRequest, get_model

    found = get_model(GetRequest(source, checksum, public_key, index, overwrite), say, ConsoleProgress())
    show(f"{found.record.name}: ctloupe enhance SCAN -o OUT --model {found.record.name}")


def pack(
    model: Annotated[Path, typer.Argument(help="Run folder, or the folder 'model' in it.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File *.ctloupe, or a folder.")],
    name: Annotated[str | None, typer.Option(help="Name that it is used by; default: that of the output.")] = None,
    licence: Annotated[str, typer.Option(help="Name of the licence of the weights.")] = "Apache-2.0",
    licence_file: Annotated[Path | None, typer.Option(help="Its text, for any other licence.")] = None,
    about: Annotated[str, typer.Option(help="What it is, in a sentence or two.")] = "",
    demonstration: Annotated[str, typer.Option(help="What is said at every use of a model that is to be tried.")] = "",
    spacing: Annotated[
        str | None,
        typer.Option(help="LOW,HIGH: in-plane voxel sizes in mm that it may be used at without being asked."),
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="metrics.json of an evaluation whose last row is told in the card.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep weights in half precision: half the size.")] = False,
    key: Annotated[Path | None, typer.Option(help="Ed25519 key in PEM that signs it.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Pack a trained model into one file with card, licence and checksums, to be handed on.

    Example: ctloupe models pack runs/first -o first.ctloupe --about "lungs, our scanner, 2026"
    """
    from ctloupe.models.archive import SUFFIX
    from ctloupe.models.pack import PackRequest, measured_of, pack_model

    limits = None
    if spacing is not None:
        low, high = numbers(spacing, "--spacing", 2, "0.5,1.0")
        limits = low, high
    record = pack_model(
        PackRequest(
            model=model,
            out=out,
            name=name or out.name.removesuffix(SUFFIX),
            licence=licence,
            licence_file=licence_file,
            about=about,
            demonstration=demonstration,
            spacing=limits,
            metrics=None if metrics is None else measured_of(metrics),
            half=half,
            key=key,
            overwrite=overwrite,
        )
    )
    say(f"packed {record.name} ({record.method}, ×{record.scale}) into {out}")
    show(str(out))


def card(
    model: Annotated[str, typer.Argument(help="Name of a model, its folder or its file *.ctloupe.")],
) -> None:
    """Print the card of a model: what it is, what it was trained on, what it covers, what to distrust.

    Example: ctloupe models card lung-demo
    """
    from ctloupe.models.show import card_of

    print(card_of(model), end="")
