"""A view inside a notebook."""

from __future__ import annotations

import atexit
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ctloupe.display.scene import Layer, Scene, with_agreement
from ctloupe.foundation.errors import OptionError
from ctloupe.viewer.access import Access, new_token
from ctloupe.viewer.app import viewer
from ctloupe.viewer.request import layer_of
from ctloupe.viewer.serving import HOST, listening, port_of, serving
from ctloupe.volume.collection import name_of
from ctloupe.volume.volume import Volume

_open: list[InlineView] = []


@dataclass
class InlineView:
    """A view that a notebook shows as a frame, and that lives until it is closed or the kernel ends.

    Attributes
    ----------
    link
        Address on this machine.
    path
        The same behind a Jupyter server with jupyter-server-proxy; empty where there is none.
    height
        Height of the frame in pixels.
    """

    link: str
    path: str
    height: int
    _running: ExitStack

    def close(self) -> None:
        """End the server behind the frame."""
        self._running.close()

    def _repr_html_(self) -> str:
        # The cookie is kept where the frame has the host name of the page around it, which only that page knows.
        port, query = self.link.split("/")[2].split(":")[1], self.link.partition("?")[2]
        name = f"ctloupe-{port}"
        own = f"'//' + location.hostname + ':{port}/?{query}'"
        source = f"'{self.path}?{query}'" if self.path else f"location.protocol + {own}"
        return (
            f'<iframe id="{name}" title="CT Loupe" style="width:100%;height:{self.height}px;border:0"></iframe>'
            f"<script>document.getElementById({json.dumps(name)}).src = {source};</script>"
            f'<noscript><a href="{escape(self.link)}">{escape(self.link)}</a></noscript>'
        )


def view(
    scan: Volume | Path | str,
    *volumes: Volume | Path | str | tuple[str, Volume | Path | str],
    height: int = 640,
    window: tuple[float, float] | None = None,
    proxied: bool | None = None,
    hosts: tuple[str, ...] = (),
) -> InlineView:
    """Show volumes on each other in a notebook; see `ctloupe view`.

    Parameters
    ----------
    scan
        Volume or path whose axes all are looked at in.
    volumes
        Volumes or paths, or pairs of a name and one of these.
    height
        Height of the frame in pixels.
    window
        Values that are black and white at first.
    proxied
        Whether the page is asked for through jupyter-server-proxy, as on a JupyterHub; None: where there is a hub.
    hosts
        Host names of that hub, without which the page refuses to answer.

    Returns
    -------
    InlineView
        What a notebook shows as a frame.

    Raises
    ------
    CtLoupeError
        If a volume cannot be read.
    """
    if not isinstance(height, int) or height < 1:
        raise OptionError(f"`height` {height}: expected pixels")
    layers = [_as_layer("scan", scan)]
    for number, one in enumerate(volumes, 1):
        name, volume = one if isinstance(one, tuple) else (_name(one, number), one)
        layers.append(_as_layer(name, volume))
    scene = Scene(with_agreement(layers))
    running = ExitStack()
    listener = running.enter_context(listening(0))
    port, token = port_of(listener), new_token()
    more: dict[str, Any] = {} if window is None else {"view": {"window": [float(one) for one in window]}}
    app = viewer(scene, Access(port, {token: "viewer"}, hosts, framed=True), more)
    running.enter_context(serving(app, listener))
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")
    behind = proxied if proxied is not None else "JUPYTERHUB_SERVICE_PREFIX" in os.environ
    path = f"{prefix.rstrip('/')}/proxy/{port}/" if behind else ""
    shown = InlineView(f"http://{HOST}:{port}/?token={token}", path, height, running)
    _open.append(shown)
    return shown


def _name(volume: Volume | Path | str, number: int) -> str:
    return f"volume {number}" if isinstance(volume, Volume) else name_of(Path(volume))


def _as_layer(name: str, volume: Volume | Path | str) -> Layer:
    if isinstance(volume, Volume):
        return Layer(name, "image", volume)
    return layer_of(name, Path(volume), "image")


@atexit.register
def _close_all() -> None:
    for one in _open:
        one.close()
