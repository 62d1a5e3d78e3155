"""A trained model made into something that can be handed on: card, licence, checksums, one file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydantic import BaseModel

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.download import sha256_of
from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.records import load_record, save_record, validated
from ctloupe.methods.package import ModelCard, load_package, save_package
from ctloupe.models.archive import SUFFIX, write_archive
from ctloupe.models.card import card_text
from ctloupe.models.record import CARD, CONTENTS, LICENCE, RECORD, PackageRecord
from ctloupe.models.signature import sign

_OWN: Final = "Apache-2.0"


@dataclass(frozen=True)
class PackRequest:
    """What `pack_model` is asked for.

    Attributes
    ----------
    model
        Run folder, or the folder ``model`` in it.
    out
        File ``*.ctloupe``, or a folder.
    name
        Name that the model is used by.
    licence, licence_file
        Name of the licence of the weights, and its text; the text of Apache-2.0 comes with ctloupe.
    about, demonstration, spacing
        See `PackageRecord`.
    metrics
        What was measured of it, by label, for the card.
    half
        Whether weights are kept in half precision, which halves the file; they are used in single precision again.
    key
        Private key that signs it; None: it is not signed.
    overwrite
        Whether what is there is replaced.
    """

    model: Path
    out: Path
    name: str
    licence: str = _OWN
    licence_file: Path | None = None
    about: str = ""
    demonstration: str = ""
    spacing: tuple[float, float] | None = None
    metrics: dict[str, float] | None = None
    half: bool = False
    key: Path | None = None
    overwrite: bool = False


def pack_model(request: PackRequest) -> PackageRecord:
    """Pack a trained model.

    Raises
    ------
    OptionError
        If a name or text is none, or the text of a licence is missing.
    FileError, ModelError
        If there is no such model, it is damaged, or the output cannot be written.
    """
    folder = request.model / "model" if (request.model / "model").is_dir() else request.model
    require_apart([folder, request.licence_file, request.key], [request.out])
    text = _licence(request)
    package = load_package(folder)
    card = package.card
    if request.metrics:
        card = card.model_copy(update={"metrics": {**card.metrics, **request.metrics}})
    with TemporaryDirectory(prefix="ctloupe-pack-") as name:
        made = Path(name) / "model"
        save_package(made, package.enhancer.half() if request.half else package.enhancer, card)
        told = card_text(card, request.name, request.licence, request.about, request.demonstration, request.spacing)
        (made / CARD).write_text(told, encoding="utf-8")
        (made / LICENCE).write_text(text, encoding="utf-8")
        record = _record(request, card, made)
        save_record(made / RECORD, record)
        if request.key is not None:
            sign(made, request.key)
        if request.out.name.endswith(SUFFIX):
            write_archive(made, request.out, request.overwrite)
        else:
            with replacing(request.out, request.overwrite) as temporary:
                shutil.copytree(made, temporary)
    return record


def measured_of(path: Path) -> dict[str, float]:
    """Return the values of the first and of the last row of a record of an evaluation: bicubic, and what was measured.

    Names are ``PROTOCOL: ROW: METRIC``.

    Raises
    ------
    FileError
        If it is no such record.
    """
    found = load_record(path, _Measured, "record of an evaluation", "give its metrics.json")
    shown = list(found.rows)[:1] + list(found.rows)[1:][-1:]
    return {
        f"{found.protocol}: {name}: {label}": value
        for name in shown
        for label, value in found.rows[name].items()
        if value is not None
    }


class _Measured(BaseModel):
    """What the record of an evaluation says that a card repeats."""

    protocol: str
    rows: dict[str, dict[str, float | None]]


def _record(request: PackRequest, card: ModelCard, made: Path) -> PackageRecord:
    values = {
        "name": request.name,
        "about": request.about,
        "demonstration": request.demonstration,
        "spacing": request.spacing,
        "method": card.method,
        "scale": card.scale,
        "licence": request.licence,
        "files": {one: sha256_of(made / one) for one in CONTENTS},
    }
    return validated(PackageRecord, values, "options of models pack")


def _licence(request: PackRequest) -> str:
    """Return the text of the licence."""
    if request.licence_file is not None:
        try:
            return request.licence_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(
                f"{request.licence_file}: cannot be read as text; give the licence as a text file"
            ) from error
    if request.licence != _OWN:
        raise OptionError(f"`licence` {request.licence}: give its text with `licence_file`, since a name is no licence")
    return (Path(__file__).parent / "apache-2.0.txt").read_text(encoding="utf-8")
