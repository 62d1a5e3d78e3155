"""A folder that was fetched by hand is sorted into folders that `prepare` takes, and nothing in it is changed."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from ctloupe.datasets.recipe import Recipe, Role
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import CtLoupeError, FileError, OptionError
from ctloupe.foundation.progress import Progress
from ctloupe.volume.formats import format_of, parts_read


def taken(texts: Sequence[str], recipe: Recipe) -> dict[str, list[str]]:
    """Read what the option `take` says: ``FOLDER=PATTERN``, several times.

    Raises
    ------
    OptionError
        If it is anything else, or the set has no such folder.
    """
    folders = [role.folder for role in recipe.holds]
    found: dict[str, list[str]] = {}
    for text in texts:
        folder, _, pattern = text.partition("=")
        if folder not in folders or not pattern:
            raise OptionError(f"`take` {text}: expected FOLDER=PATTERN, where FOLDER is {' or '.join(folders)}")
        found.setdefault(folder, []).append(pattern)
    return found


def chosen(source: Path, recipe: Recipe, take: Mapping[str, Sequence[str]]) -> dict[str, list[Path]]:
    """Return the volumes of each folder of the set among what was fetched by hand.

    A volume is a file, or a folder that is one volume, as a DICOM series. They are those that the patterns match, of
    `take` or else of the recipe; without any, all in the folder inside `source` that has the role's name.

    Raises
    ------
    OptionError
        If it is not said which they are.
    FileError
        If `source` is no folder, a pattern matches nothing, or what it matches is no volume.
    """
    if not source.is_dir():
        raise FileError(f"{source}: no such folder; give the folder that {recipe.title} was fetched to")
    found: dict[str, list[Path]] = {}
    for role in recipe.holds:
        patterns = tuple(take.get(role.folder, ())) or role.matching
        if not patterns and (source / role.folder).is_dir():
            patterns = (f"{role.folder}/*",)
        if not patterns:
            if role.optional:
                continue
            raise OptionError(
                f"{source}: which of its files are '{role.folder}' ({role.what})? Give "
                f"`take` {role.folder}=PATTERN, for instance {role.folder}='*{role.folder}*.nii.gz'"
            )
        found[role.folder] = _volumes(source, role, patterns)
    return found


def arrange(volumes: Mapping[str, Sequence[Path]], out: Path, progress: Progress) -> list[tuple[str, Path]]:
    """Put volumes into folders of their roles inside `out`, and return each file's name there with where it was.

    A file is there under a second name (a hard link), so that it takes no further room, and is copied where it lies on
    another disk. A volume keeps its name; where two have one name, that of their folders comes before it.

    Raises
    ------
    FileError
        If something else of that name is there, or a volume of several files would need another name.
    """
    placed: list[tuple[str, Path]] = []
    for folder, paths in volumes.items():
        for volume, name in _named(paths):
            if volume.is_dir():
                inside = sorted(one for one in volume.rglob("*") if one.is_file())
                placed += [(f"{folder}/{name}/{one.relative_to(volume).as_posix()}", one) for one in inside]
                continue
            parts = [one for one in parts_read([volume]) if isinstance(one, Path) and one.is_file()]
            if len(parts) > 1 and name != volume.name:
                raise FileError(f"{volume}: has the name of another and files beside it; rename it with them first")
            placed += [(f"{folder}/{name if one == volume else one.name}", one) for one in parts]
    placed = list(dict.fromkeys(placed))
    doubled = [name for name, times in Counter(name for name, _ in placed).items() if times > 1]
    if doubled:
        raise FileError(f"{out / doubled[0]}: two files would have this name; rename one of them first")
    progress.start("sort", len(placed))
    try:
        for number, (name, source) in enumerate(placed, start=1):
            _put(source, out / name)
            progress.update(number)
    finally:
        progress.close()
    return placed


def _volumes(source: Path, role: Role, patterns: Sequence[str]) -> list[Path]:
    inside = sorted(one for one in source.rglob("*") if not _hidden(one, source))
    matched = [one for one in inside if any(_matches(one, source, pattern) for pattern in patterns)]
    # What lies inside a volume that is a folder is that volume's.
    matched = [one for one in matched if not any(other in one.parents for other in matched)]
    if not matched:
        raise FileError(f"{source}: nothing in it matches {' or '.join(patterns)} ({role.folder}: {role.what})")
    volumes: list[Path] = []
    faults: dict[Path, CtLoupeError] = {}
    for one in matched:
        try:
            format_of(one)
            volumes.append(one)
        except CtLoupeError as error:
            faults[one] = error
    beside = {part for one in volumes for part in parts_read([one]) if part != one}
    for one, fault in faults.items():
        if one not in beside:
            raise FileError(f"{one}: taken for {role.folder}, but no volume that can be read ({fault})") from fault
    return [one for one in volumes if one not in beside]


def _matches(path: Path, source: Path, pattern: str) -> bool:
    name = path.relative_to(source).as_posix()
    return (
        name.count("/") == pattern.count("/") and fnmatch(name, pattern)
        if "/" in pattern
        else fnmatch(path.name, pattern)
    )


def _hidden(path: Path, source: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(source).parts)


def _named(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    times = Counter(path.name for path in paths)
    return [(path, path.name if times[path.name] == 1 else f"{path.parent.name}_{path.name}") for path in paths]


def _put(source: Path, target: Path) -> None:
    if target.exists():
        if target.samefile(source) or _alike(source, target):
            return
        raise FileError(f"{target}: exists already with another content; give another `out`")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def _alike(one: Path, other: Path) -> bool:
    import filecmp

    return filecmp.cmp(one, other, shallow=False)
