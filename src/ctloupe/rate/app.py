"""What the rating server answers: to each rater the own items, and nothing of what they are."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.rate.answers import Answer, Answers, Display
from ctloupe.rate.design import Design, pictures_of
from ctloupe.viewer.access import PERSON, Access, Guard
from ctloupe.viewer.pages import Pages

Kept = TypeVar("Kept", bound=BaseModel)

MOST_BYTES = 20_000
"""Most bytes of a request: an answer is far smaller."""


@dataclass
class Desk:
    """What one rater works on.

    Attributes
    ----------
    answers
        What was answered, and the items.
    folder
        Folder of the rater's pictures.
    names
        Random name under which each picture is asked for, by its label.
    """

    answers: Answers
    folder: Path
    names: dict[str, str] = field(init=False)
    lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.names = {row["label"]: secrets.token_hex(8) for row in self.answers.items}

    def picture(self, name: str) -> bytes | None:
        """Return a picture by its random name; None where there is none."""
        for label, known in self.names.items():
            if known == name:
                return (self.folder / f"{label}.png").read_bytes()
        return None


def desks_of(study: Path, design: Design) -> dict[str, Desk]:
    """Return the desk of each rater of a study.

    Raises
    ------
    OptionError
        If the study has no pictures.
    """
    if design.pictures is None:
        raise OptionError(f"{study}: has sheets only; make it with `input` and `output`, so that there are pictures")
    return {rater: Desk(Answers(study, design, rater), study / pictures_of(rater)) for rater in design.raters}


def rating(design: Design, desks: Mapping[str, Desk], access: Access) -> Starlette:
    """Return the application on which raters mark pictures; `access` names the rater of each token."""
    pages = Pages("ctloupe.rate")

    async def page(request: Request) -> Response:
        return pages.answer("rate.html")

    async def study(request: Request) -> Response:
        return JSONResponse(_told(design, _desk(request, desks)))

    async def picture(request: Request) -> Response:
        found = await run_in_threadpool(_desk(request, desks).picture, request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return Response(found, media_type="image/png")

    async def answer(request: Request) -> Response:
        desk, body = _desk(request, desks), await _body(request)
        await run_in_threadpool(_keep, desk, body, Answer, desk.answers.add)
        return JSONResponse({"kept": True})

    async def display(request: Request) -> Response:
        desk, body = _desk(request, desks), await _body(request)
        await run_in_threadpool(_keep, desk, body, Display, desk.answers.check)
        return JSONResponse({"kept": True})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/page/{name}", pages.named),
            Route("/api/study", study),
            Route("/api/picture/{name}", picture),
            Route("/api/answer", answer, methods=["POST"]),
            Route("/api/display", display, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={CtLoupeError: _refused},
    )


def _desk(request: Request, desks: Mapping[str, Desk]) -> Desk:
    return desks[request.scope[PERSON]]


def _told(design: Design, desk: Desk) -> dict[str, object]:
    given = desk.answers.given
    return {
        "title": design.name,
        "notice": RESEARCH_NOTICE,
        "instructions": design.instructions,
        "criteria": [{"name": name, "low": low, "high": high} for name, (low, high) in design.criteria.items()],
        "choice": design.choice,
        "checked": desk.answers.display is not None,
        "items": [
            {
                "label": row["label"],
                "picture": desk.names[row["label"]],
                "marks": given[row["label"]].marks if row["label"] in given else None,
            }
            for row in desk.answers.items
        ],
    }


async def _body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413)
    return body


def _keep(desk: Desk, body: bytes, kind: type[Kept], keep: Callable[[Kept], None]) -> None:
    try:
        said = kind.model_validate_json(body)
    except ValidationError as error:
        raise OptionError("the answer is not one of this study") from error
    with desk.lock:
        keep(said)


async def _refused(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 400 if isinstance(error, OptionError) else 500)
