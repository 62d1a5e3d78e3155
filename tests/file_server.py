"""A web server of this machine with files, that may know parts of files, versions of them, and may break off."""

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What the server has and how it behaves; `asked` holds the headers of every request."""

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    length: bool = True
    tag: str | None = '"first"'
    breaks: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""
    asked: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@contextmanager
def serving(server):
    """Serve until the end of the block."""
    bound = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"told": server}))
    server.port = bound.server_address[1]
    thread = threading.Thread(target=bound.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        bound.shutdown()
        thread.join()
        bound.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told: FileServer

    def log_message(self, *_):
        pass

    def do_GET(self):
        told = self.told
        path = self.path.partition("?")[0].lstrip("/")
        told.asked.append(dict(self.headers) | {"path": self.path})
        if path in told.redirects:
            return self._empty(302, {"Location": told.redirects[path]})
        if told.statuses.get(path):
            return self._empty(told.statuses[path].pop(0))
        if path not in told.files:
            return self._empty(404)
        whole = told.files[path]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, told.tag)
        first = int(asked[1]) if asked and told.ranges and same else 0
        if first and first >= len(whole):
            return self._empty(416, {"Content-Range": f"bytes */{len(whole)}"})
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
        if told.tag:
            self.send_header("ETag", told.tag)
        for name, value in told.headers.items():
            self.send_header(name, value)
        if told.length:
            self.send_header("Content-Length", str(len(whole) - first))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        body = whole[first:]
        if told.breaks:
            body = body[: told.breaks.pop(0)]
            self.close_connection = True
        self.wfile.write(body)
        return None

    def _empty(self, status, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
