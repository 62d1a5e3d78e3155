"""Raters at work: a study served on this machine until somebody ends it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.lock import locked
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.records import load_record
from ctloupe.rate.app import desks_of, rating
from ctloupe.rate.design import DESIGN, read_design
from ctloupe.viewer.access import Access, new_token
from ctloupe.viewer.serving import HOST, announce, listening, port_of, serve

LINKS: Final = "links.json"
"""File of a study with its port and the tokens of its raters: whoever has it can answer for them."""


class Links(BaseModel):
    """Port and tokens, so that a link works on another day too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: int = Field(ge=0, le=65535)
    tokens: dict[str, str]


@dataclass(frozen=True)
class ServeRequest:
    """What `serve_study` is asked for.

    Attributes
    ----------
    study
        Folder that `design_study` made, with pictures.
    port
        Port; None: that of the last time, or any free one.
    browser
        Whether to open the first rater's link here.
    hosts
        Host names of a proxy under which the pages may be asked for.
    """

    study: Path
    port: int | None = None
    browser: bool = False
    hosts: tuple[str, ...] = ()


def serve_study(
    request: ServeRequest,
    say: Callable[[str], None] = lambda line: None,
    show: Callable[[str], None] = print,
) -> None:
    """Serve the pages of a study until the process is interrupted; what was answered before is there again.

    Parameters
    ----------
    request
        Study and port.
    say
        Told lines for people.
    show
        Given the code and the link of each rater.

    Raises
    ------
    CtLoupeError
        If the study has no pictures, is damaged or served already, or the port is not to be had.
    """
    design = read_design(request.study / DESIGN)
    with locked(request.study / LINKS):
        desks = desks_of(request.study, design)
        known = _known(request.study)
        with closing(_listener(request.port, known)) as listener:
            port = port_of(listener)
            tokens = {rater: known.tokens.get(rater) or new_token() for rater in design.raters}
            _keep(request.study / LINKS, Links(port=port, tokens=tokens))
            links = {rater: f"http://{HOST}:{port}/?token={token}" for rater, token in tokens.items()}
            access = Access(port, {token: rater for rater, token in tokens.items()}, request.hosts)

            def ready() -> None:
                say(RESEARCH_NOTICE)
                for rater, link in links.items():
                    done = len(desks[rater].answers.given)
                    say(f"{rater}: {done} of {len(desks[rater].answers.items)} items are marked")
                    show(f"{rater} {link}")
                announce(next(iter(links.values())), port, request.browser, say)

            try:
                serve(rating(design, desks, access), listener, ready)
            except KeyboardInterrupt:
                say("closed; the same command goes on")


def _known(study: Path) -> Links:
    path = study / LINKS
    if not path.exists():
        return Links(port=0, tokens={})
    return load_record(path, Links, "links of a study", "delete it to have new ones")


def _listener(port: int | None, known: Links) -> socket:
    if port is not None:
        return listening(port)
    try:
        return listening(known.port)
    except OptionError:
        # Something else has the port of the last time; the links change then.
        return listening(0)


def _keep(path: Path, links: Links) -> None:
    """Write the links for the owner's eyes only."""
    with replacing(path, overwrite=True) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(links.model_dump_json(indent=2) + "\n")
