"""Looking at volumes until somebody ends it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.progress import Progress, Silent
from ctloupe.viewer.access import Access, new_token
from ctloupe.viewer.app import viewer
from ctloupe.viewer.request import ViewRequest, told_of
from ctloupe.viewer.request import open_scene as opened
from ctloupe.viewer.serving import HOST, announce, listening, port_of, serve


def look(
    request: ViewRequest,
    say: Callable[[str], None] = lambda line: None,
    show: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> None:
    """Serve the volumes of a request on this machine until the process is interrupted with Ctrl-C.

    Parameters
    ----------
    request
        What is looked at, and on which port.
    say
        Told lines for people.
    show
        Given the link, once it answers.
    progress
        Told of work that takes long before anything can be seen.

    Raises
    ------
    CtLoupeError
        If a volume cannot be read, or the port is not to be had.
    """
    with closing(listening(request.port)) as listener:
        scene = opened(request, say, progress or Silent())
        port, token = port_of(listener), new_token()
        app = viewer(scene, Access(port, {token: "viewer"}, request.hosts), told_of(request))
        link = f"http://{HOST}:{port}/?token={token}"

        def ready() -> None:
            say(RESEARCH_NOTICE)
            show(link)
            announce(link, port, request.browser, say)

        try:
            serve(app, listener, ready)
        except KeyboardInterrupt:
            say("closed")
