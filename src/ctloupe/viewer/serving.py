"""A server on this machine alone: its port, its link, and how it ends."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from ctloupe.foundation.errors import OptionError

HOST = "127.0.0.1"


def listening(port: int) -> socket.socket:
    """Return a socket on a port of this machine, which nobody else can reach; 0: any free port.

    Raises
    ------
    OptionError
        If the port is in use, or not to be had.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        # From now on who asks waits for an answer, and is not turned away.
        found.listen()
    except (OSError, OverflowError) as error:
        found.close()
        raise OptionError(f"`port` {port}: cannot be had ({error}); leave it out for any free one") from error
    return found


def port_of(listener: socket.socket) -> int:
    """Port of a socket that listens."""
    return int(listener.getsockname()[1])


def serve(app: ASGIApp, listener: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
    """Answer on a socket until the process is interrupted; `ready` is called once it answers."""
    server = _server(app)
    ready()
    server.run(sockets=[listener])


@contextmanager
def serving(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Answer on a socket beside other work, for as long as the context lasts."""
    server = _server(app)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True, name="ctloupe server")
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            # No request is logged: addresses say what somebody looked at.
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
    )


def has_display() -> bool:
    """Whether a browser can be shown to whoever sits here."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def announce(link: str, port: int, browser: bool, say: Callable[[str], None]) -> None:
    """Open the link in a browser, or say how to open it from another machine; it is printed by whoever calls."""
    if browser and has_display() and webbrowser.open(link):
        return
    if not has_display():
        say(f"no display here; on your own machine: ssh -L {port}:{HOST}:{port} {socket.gethostname()}")
        say("and open the link there; Ctrl-C ends")
