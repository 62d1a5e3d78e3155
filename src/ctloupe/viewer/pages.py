"""The files of the pages, as they come with the package."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


def page_files(package: str = "ctloupe.viewer") -> dict[str, str]:
    """Return the text of every file in the folder ``page`` of a package by its name."""
    folder = files(package) / "page"
    names = [one.name for one in folder.iterdir() if one.name.rpartition(".")[2] in TYPES]
    return {name: (folder / name).read_text(encoding="utf-8") for name in sorted(names)}


class Pages:
    """Answers requests for the files of the pages; nothing else can be named."""

    def __init__(self, package: str = "ctloupe.viewer") -> None:
        self._files = page_files(package)

    def answer(self, name: str) -> Response:
        """Return a file; 404 where there is none of that name."""
        if name not in self._files:
            raise HTTPException(404)
        return Response(self._files[name], media_type=TYPES[name.rpartition(".")[2]])

    async def named(self, request: Request) -> Response:
        """Answer ``page/NAME``."""
        return self.answer(request.path_params["name"])
