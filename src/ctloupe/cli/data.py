"""`ctloupe data`: public data sets, where they are, what they are good for, and how they get here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctloupe.cli.options import AsJson

if TYPE_CHECKING:
    from ctloupe.datasets.recipe import Recipe

NOT_TRIED = "address not tried here"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_sets)
    group.command("show")(show)
    group.command("get")(get)
    app.add_typer(group, name="data", help="Public data sets: list them, show one, get it.")


def list_sets(as_json: AsJson = False) -> None:
    """List the public data sets that fit.

    Example: ctloupe data list
    """
    from ctloupe.cli.progress import show as line
    from ctloupe.datasets.recipe import load_recipe, names

    recipes = [load_recipe(name) for name in names()]
    if as_json:
        print(json.dumps([recipe.model_dump(mode="json") for recipe in recipes], indent=2))
        return
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        how = "by hand" if recipe.by_hand else f"{len(recipe.files)} files"
        line(f"{recipe.name:<{width}}  {recipe.title}")
        line(f"{'':<{width}}  {recipe.licence.name}; {how}{'' if recipe.tried else f'; {NOT_TRIED}'}")
        line(f"{'':<{width}}  good for: {recipe.good_for[0]}")


def show(
    name: Annotated[str, typer.Argument(help="A set of 'ctloupe data list', or a YAML file.")], as_json: AsJson = False
) -> None:
    """Show what a data set is: licence, size, what it is good for and what not, how to get it, what to do then.

    Example: ctloupe data show ear-pairs
    """
    from ctloupe.cli.progress import show as line
    from ctloupe.datasets.recipe import load_recipe

    recipe = load_recipe(name)
    if as_json:
        print(json.dumps(recipe.model_dump(mode="json"), indent=2))
        return
    for text in _described(recipe):
        line(text)
    for text in (*_to_do_by_hand(recipe, name, Path(recipe.name)), *_to_do_then(recipe, Path(recipe.name))):
        line(text)


def get(
    name: Annotated[str, typer.Argument(help="A set of 'ctloupe data list', or a YAML file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the set; what is right there is kept.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Fetch gigabytes, and files of unknown size, without asking.")
    ] = False,
    only: Annotated[str | None, typer.Option(help="Pattern of the names of the files that are wanted.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="Folder that the set was fetched to by hand.")] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(help="FOLDER=PATTERN: which files of --from belong into which folder; may be repeated."),
    ] = None,
) -> None:
    """Fetch a data set, or sort what was fetched by hand; stopped or broken off, the same command goes on.

    Example: ctloupe data get my-set.yaml --out my-set
    Example: ctloupe data get ear-pairs --out ears --from downloads/ --take clinical='*_ct.nii.gz'
    """
    from ctloupe.cli.progress import ConsoleProgress, say
    from ctloupe.cli.progress import show as line
    from ctloupe.datasets.recipe import load_recipe
    from ctloupe.datasets.request import DataRequest, get_data

    recipe = load_recipe(name)
    by_hand = recipe.by_hand and source is None
    for text in (*_terms(recipe), *(_to_do_by_hand(recipe, name, out) if by_hand else ())):
        say(text)
    asked = typer.confirm if sys.stdin.isatty() and sys.stderr.isatty() else None
    request = DataRequest(recipe, out, yes, only, source, tuple(take or ()))
    record = get_data(request, say, ConsoleProgress(), None if asked is None else lambda text: asked(text, err=True))
    for text in _to_do_then(recipe, out):
        say(text)
    line(str(record))


def _terms(recipe: Recipe) -> Iterator[str]:
    """What is to be known before a set is used."""
    note = f" ({recipe.licence.note})" if recipe.licence.note else ""
    yield recipe.title
    yield f"  licence   {recipe.licence.name}{note}"
    yield f"  size      {recipe.size}"
    yield f"  cite      {recipe.citation}"


def _described(recipe: Recipe) -> Iterator[str]:
    from ctloupe.foundation.amounts import size_in_words
    from ctloupe.foundation.download_part import shown

    yield from _terms(recipe)
    yield f"  content   {recipe.content}"
    yield f"  where     {recipe.where}"
    if recipe.page:
        yield f"  page      {shown(recipe.page)}{'' if recipe.tried else f' ({NOT_TRIED})'}"
    for what, texts in (("good for", recipe.good_for), ("not for", recipe.not_for)):
        for number, text in enumerate(texts):
            yield f"  {what if not number else '':<9} {text}"
    for number, file in enumerate(recipe.files):
        size = size_in_words(file.expected) if file.expected is not None else "size not published"
        facts = f"{size}, {file.checksum or 'no checksum published'}{'' if recipe.tried else f', {NOT_TRIED}'}"
        yield f"  {'files' if not number else '':<9} {file.name} from {shown(file.address)} ({facts})"


def _to_do_by_hand(recipe: Recipe, name: str, out: Path) -> Iterator[str]:
    if not recipe.by_hand:
        return
    yield f"by hand, since no file of it has a known address{'' if recipe.tried else f' ({NOT_TRIED})'}:"
    for number, step in enumerate(recipe.steps, start=1):
        yield f"  {number}. {step}"
    for line in recipe.code.splitlines():
        yield f"     {line}"
    last = f"ctloupe data get {name} --out {out} --from DOWNLOADED"
    yield f"  {len(recipe.steps) + 1}. {last}"
    yield "     with DOWNLOADED/FOLDER, or --take FOLDER=PATTERN for names as '*_ct.nii.gz', of each FOLDER:"
    for role in recipe.holds:
        yield f"     {role.folder}: {role.what}{', optional' if role.optional else ''}"


def _to_do_then(recipe: Recipe, out: Path) -> Iterator[str]:
    if recipe.then:
        yield "then:"
    for command in recipe.commands(out):
        yield f"  {command}"
