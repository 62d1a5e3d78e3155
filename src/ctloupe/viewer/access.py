"""Who may ask the server: whoever has the link, from this machine, and no page of another site.

A link holds a random token. It is turned into a cookie that scripts cannot read and other sites cannot send, and leaves
the address at once. Whatever comes without it, or under a host name that is not this server's, gets 403.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")

PERSON: Final = "ctloupe.person"
"""Key of the ASGI scope under which the name that belongs to the token stands."""

_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors {frames}"
)


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Access:
    """What a server lets in.

    Attributes
    ----------
    port
        Port of the server, which is part of its host name and of the cookie's name.
    tokens
        Name of who has each token, by token.
    hosts
        Further host names under which it may be asked, as of a proxy.
    framed
        Whether pages of this machine, such as a notebook, may show it in a frame.
    """

    port: int
    tokens: Mapping[str, str]
    hosts: Sequence[str] = ()
    framed: bool = False

    @property
    def cookie(self) -> str:
        """Name of the cookie: browsers tell hosts apart, but not their ports."""
        return f"ctloupe-{self.port}"

    def knows_host(self, host: str) -> bool:
        """Whether the host that a request names is this server."""
        own = {f"{name}:{self.port}" for name in LOOPBACK}
        return host.lower() in own | {one.lower() for one in self.hosts}

    def person_of(self, token: str | None) -> str | None:
        """Who has a token; None where nobody has it. How long that takes does not depend on the token."""
        found = None
        for known, person in self.tokens.items():
            if secrets.compare_digest(known.encode(), (token or "").encode()):
                found = person
        return found

    @property
    def policy(self) -> str:
        """Content security policy of every answer."""
        frames = "'self' http://localhost:* http://127.0.0.1:*" if self.framed or self.hosts else "'none'"
        return _POLICY.format(frames=frames)


class Guard:
    """ASGI middleware that lets in what `Access` allows, and sets the headers that every answer has."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on, one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answer = self._refusal(scope)
        await (answer or self.app)(scope, receive, self._with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is not let in, or that brings the token; None: it is let in."""
        headers = Headers(scope=scope)
        if not self.access.knows_host(headers.get("host", "")):
            return PlainTextResponse("403: this server answers under its own name only\n", 403)
        if headers.get("sec-fetch-site", "none") in ("cross-site", "same-site") and scope["method"] != "GET":
            return PlainTextResponse("403: asked by a page of another site\n", 403)
        brought = parse_qs(scope["query_string"].decode("latin-1")).get("token", [None])[0]
        if brought is not None:
            if self.access.person_of(brought) is None:
                return PlainTextResponse("403: this link is not of a server that runs now\n", 403)
            answer = RedirectResponse("./", 303)
            answer.set_cookie(self.access.cookie, brought, httponly=True, samesite="strict", path="/")
            return answer
        person = self.access.person_of(_cookie(headers, self.access.cookie))
        if person is None:
            return PlainTextResponse("403: open the link that 'ctloupe' printed\n", 403)
        scope[PERSON] = person
        return None

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self.access.policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return sending


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if found is None else found.value
