"""What the viewer's server answers: the page, the scene, tiles and values."""

from __future__ import annotations

import math
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ctloupe.display.scene import Scene
from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.viewer.access import Access, Guard
from ctloupe.viewer.pages import Pages


def viewer(scene: Scene, access: Access, more: dict[str, Any] | None = None) -> Starlette:
    """Return the application that shows a scene.

    Parameters
    ----------
    scene
        What is shown.
    access
        Who may see it.
    more
        What the page is told besides, as which panes to begin with.
    """
    pages = Pages()

    async def page(request: Request) -> Response:
        return pages.answer("index.html")

    async def described(request: Request) -> Response:
        return JSONResponse({**await run_in_threadpool(scene.described), **(more or {})})

    async def tile(request: Request) -> Response:
        number, axis, level, index, row, column = (
            request.path_params[name] for name in ("layer", "axis", "level", "index", "row", "column")
        )
        if number >= len(scene.layers):
            raise HTTPException(404)
        values = await run_in_threadpool(scene.tile, number, axis, level, index, row, column)
        return Response(values.tobytes(), media_type="application/octet-stream")

    async def values(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(scene.values, _position(request)))

    async def finished(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(scene.finished))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/page/{name}", pages.named),
            Route("/api/scene", described),
            Route("/api/tile/{layer:int}/{axis:int}/{level:int}/{index:int}/{row:int}/{column:int}", tile),
            Route("/api/values", values),
            Route("/api/finished", finished),
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={CtLoupeError: _refused},
    )


def _position(request: Request) -> list[float]:
    try:
        found = [float(text) for text in request.query_params.get("at", "").split(",")]
    except ValueError:
        found = []
    if len(found) != 3 or not all(math.isfinite(one) for one in found):
        raise OptionError("expected a position of three numbers")
    # The page counts axes as arrays do.
    return found[::-1]


async def _refused(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 404 if isinstance(error, OptionError) else 500)
