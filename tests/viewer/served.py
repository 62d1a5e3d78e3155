"""A viewer that really answers, for tests."""

import urllib.error
import urllib.request
from contextlib import contextmanager
from http.cookiejar import CookieJar

from ctloupe.viewer.access import Access, new_token
from ctloupe.viewer.app import viewer
from ctloupe.viewer.serving import listening, port_of, serving


class Client:
    """A browser without pages: it keeps cookies."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.jar = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    @property
    def link(self):
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def get(self, path, host=None, **headers):
        """Status, headers and body of an answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", headers=headers)
        if host is not None:
            request.add_header("Host", host)
        try:
            with self._opener.open(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def enter(self):
        """Turn the token into a cookie."""
        assert self.get(f"?token={self.token}")[0] == 200
        return self


@contextmanager
def served(scene, hosts=(), framed=False, **more):
    """Serve a scene, and yield a client that has the token, but has not used it."""
    listener = listening(0)
    port, token = port_of(listener), new_token()
    with listener, serving(viewer(scene, Access(port, {token: "viewer"}, hosts, framed), more), listener):
        yield Client(port, token)
