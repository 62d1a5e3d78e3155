"""A set is brought into a folder: fetched by its addresses, or sorted out of what people fetched by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from ctloupe.datasets.archives import unpack
from ctloupe.datasets.arrange import arrange, chosen, taken
from ctloupe.datasets.recipe import DataFile, Recipe
from ctloupe.datasets.record import Provenance, now, write_record
from ctloupe.foundation.amounts import size_in_words
from ctloupe.foundation.atomic import require_place
from ctloupe.foundation.download import fetch, sha256_of
from ctloupe.foundation.download_part import Part, shown
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.lock import locked
from ctloupe.foundation.progress import Progress, Silent
from ctloupe.volume.collection import volume_paths

LARGE: Final = 1_000_000_000
"""Bytes from which on it is asked before anything is fetched."""


@dataclass(frozen=True)
class DataRequest:
    """What `get_data` is asked for."""

    recipe: Recipe
    """The set."""
    out: Path
    """Folder for it; what is right there already is kept."""
    yes: bool = False
    """Whether gigabytes, and files of unknown size, are fetched without asking."""
    only: str | None = None
    """Pattern of the names of the files that are wanted."""
    source: Path | None = None
    """Folder that the set was fetched to by hand."""
    take: tuple[str, ...] = ()
    """Which of its files belong into which folder of the set: ``FOLDER=PATTERN``."""


def get_data(
    request: DataRequest,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
    ask: Callable[[str], bool] | None = None,
) -> Path:
    """Bring a set into its folder and return the record of where everything is from, ``dataset.json``.

    Parameters
    ----------
    request
        The set, its folder, and what of it is wanted.
    say
        Function that is told one line for each step.
    progress
        What is told how far each file is.
    ask
        Function that asks a person a question of yes or no; None where nobody can be asked.

    Raises
    ------
    OptionError
        If it is to be fetched by hand first, or nobody agreed to fetch so much.
    FileError
        If a file cannot be had, is not what was published, or does not fit on the disk.
    """
    recipe, out = request.recipe, request.out
    if request.source is None and (recipe.by_hand or request.take):
        need = (
            "is fetched by hand, as its steps say; then" if recipe.by_hand else "`take` sorts what was fetched by hand:"
        )
        raise OptionError(f"{recipe.name}: {need} give the folder that it was fetched to with `source`")
    if request.source is not None and request.only is not None:
        raise OptionError("`only` is for files that are fetched by their addresses; with `source` give `take`")
    require_place(out / "one")
    progress = progress or Silent()
    if request.source is not None:
        files = _sorted_by_hand(request, request.source, progress)
    else:
        files = _fetched(request, say, progress, ask)
    _count(recipe, out, say)
    return write_record(out, recipe, files)


def _fetched(
    request: DataRequest, say: Callable[[str], None], progress: Progress, ask: Callable[[str], bool] | None
) -> list[Provenance]:
    recipe, out = request.recipe, request.out
    wanted = [one for one in recipe.files if request.only is None or fnmatch(one.name, request.only)]
    if not wanted:
        known = ", ".join(one.name for one in recipe.files)
        raise OptionError(f"`only` {request.only}: no file of {recipe.name} is called so; there are: {known}")
    missing = [one for one in wanted if not (out / one.name).exists()]
    _require_agreement(request, missing, ask)
    found: list[Provenance] = []
    with locked(out, inside=True):
        _require_space(out, missing)
        for file in wanted:
            got = fetch(file.address, out / file.name, checksum=file.checksum, size=file.size, progress=progress)
            say(f"{file.name}: {size_in_words(got.size)}, {got.sha256}{'' if got.new else ', was there already'}")
            _unpacked(file, out, say)
            found.append(
                Provenance(
                    name=file.name,
                    source=shown(file.address),
                    size=got.size,
                    sha256=got.sha256,
                    published=file.checksum,
                    unpacked=file.unpack,
                    date=now(),
                )
            )
    return found


def _require_agreement(request: DataRequest, missing: list[DataFile], ask: Callable[[str], bool] | None) -> None:
    sizes = [one.expected for one in missing]
    known = sum(size for size in sizes if size is not None)
    unknown = sizes.count(None)
    if request.yes or (known < LARGE and not unknown):
        return
    more = f"{' and ' if known else ''}{unknown} file(s) of unknown size" if unknown else ""
    amount = f"{size_in_words(known) if known else ''}{more}"
    if ask is None:
        raise OptionError(f"{request.recipe.name}: {amount} would be fetched; nobody can be asked here, so give `yes`")
    if not ask(f"Fetch {amount} into {request.out}?"):
        raise OptionError(f"{request.recipe.name}: nothing was fetched, since that was not agreed to")


def _require_space(out: Path, missing: list[DataFile]) -> None:
    wanted = sum(max(0, (one.expected or 0) - Part.of(out / one.name).size()) for one in missing)
    free = shutil.disk_usage(out).free
    if wanted > free:
        raise FileError(
            f"{out}: {size_in_words(wanted)} are to come and {size_in_words(free)} are free; free some space, write to "
            "another disk, or fetch a part of the set with `only`"
        )


def _unpacked(file: DataFile, out: Path, say: Callable[[str], None]) -> None:
    if file.unpack is None:
        return
    folder = out / file.unpack
    if folder.exists():
        say(f"{file.unpack}: was there already; remove it to unpack {file.name} anew")
        return
    count = unpack(out / file.name, folder)
    say(f"{file.unpack}: {count} files unpacked from {file.name}, which may be deleted")


def _sorted_by_hand(request: DataRequest, source: Path, progress: Progress) -> list[Provenance]:
    recipe, out = request.recipe, request.out
    volumes = chosen(source, recipe, taken(request.take, recipe))
    require_apart([source], [out])
    with locked(out, inside=True):
        placed = arrange(volumes, out, progress)
        found = []
        progress.start("read for checksums", sum(source.stat().st_size for _, source in placed))
        done = 0
        try:
            for name, _ in placed:
                size = (out / name).stat().st_size
                done += size
                checksum = sha256_of(out / name)
                where = recipe.page or recipe.where
                found.append(Provenance(name=name, source=where, size=size, sha256=checksum, date=now()))
                progress.update(done)
        finally:
            progress.close()
    return found


def _count(recipe: Recipe, out: Path, say: Callable[[str], None]) -> None:
    """Say how many volumes each folder of the set holds now."""
    for role in recipe.holds:
        if (out / role.folder).is_dir():
            count = len(volume_paths([out / role.folder]))
            say(f"{role.folder}: {count} volume{'s' if count != 1 else ''} ({role.what})")
        elif not role.optional:
            say(f"warning: {role.folder}: nothing is there yet ({role.what})")
