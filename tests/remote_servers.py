"""Servers on this machine: one that speaks S3, and one that gives files and counts what it is asked for."""

import os
import re
import shutil
import socket
import subprocess
import sysconfig
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SECRET = "a-secret-that-no-message-may-hold"

_RCLONE = shutil.which("rclone", path=sysconfig.get_path("scripts")) or shutil.which("rclone")

_SETTINGS = ("AWS_", "GOOGLE_", "CTLOUPE_REMOTE_")


def can_serve_s3():
    """Whether the server and the library that asks it are installed, as the extra ``dev`` brings them."""
    from importlib.util import find_spec

    return _RCLONE is not None and find_spec("obstore") is not None


class S3Server:
    """Rclone, which serves the folders of `root` as buckets.

    It remembers what folders hold: they may be looked into, and are changed through the server only.

    Parameters
    ----------
    root
        Folder; a bucket called ``bucket`` is made in it.
    """

    def __init__(self, root):
        self.root = Path(root)
        (self.root / "bucket").mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": "us-east-1",
            "CTLOUPE_REMOTE_PATIENCE": "1",
        }
        self._process = None

    @property
    def bucket(self):
        """Folder in which the objects of the bucket lie."""
        return self.root / "bucket"

    def start(self):
        """Serve until `kill`."""
        served = ["serve", "s3", "--config", os.devnull, "--addr", f"127.0.0.1:{self.port}"]
        self._process = subprocess.Popen(
            [_RCLONE, *served, "--auth-key", f"tester,{SECRET}", str(self.root)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            with socket.socket() as asked:
                if not asked.connect_ex(("127.0.0.1", self.port)):
                    return
            time.sleep(0.05)
        raise RuntimeError("the S3 server does not come up")

    def kill(self):
        """End the server as a crash does."""
        self._process.kill()
        self._process.wait()


def upload(folder, place):
    """Put the files of a folder below a place on a server."""
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            (place / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())


@contextmanager
def s3_server(root):
    """A running server, with the environment that leads to it."""
    server = S3Server(root)
    before = {name: value for name, value in os.environ.items() if name.startswith(_SETTINGS)}
    server.start()
    try:
        for name in before:
            del os.environ[name]
        os.environ |= server.environment
        yield server
    finally:
        for name in server.environment:
            os.environ.pop(name, None)
        os.environ |= before
        server.kill()


class FileServer(ThreadingHTTPServer):
    """Files of a folder over HTTP.

    Attributes
    ----------
    asked
        Name of each file that was asked for, with the number of bytes that were sent of it.
    """

    daemon_threads = True

    def __init__(self, folder):
        self.folder = Path(folder)
        self.asked = []
        self.with_ranges = True
        super().__init__(("127.0.0.1", 0), _Giving)

    @property
    def address(self):
        """Where it serves."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *ignored):
        """Whoever asked may go away in the middle of an answer."""

    def chunks(self):
        """Names of the chunks that were asked for and are there, each once."""
        return sorted({name for name, sent in self.asked if "/c/" in name and sent})


class _Giving(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._give(head=True)

    def do_GET(self):
        self._give(head=False)

    def _give(self, head):
        name = self.path.lstrip("/")
        path = self.server.folder / name
        content = path.read_bytes() if path.is_file() else None
        if content is None:
            self.server.asked.append((name, 0))
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        whole, first = len(content), 0
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")) if self.server.with_ranges else None
        if asked:
            first = int(asked[1]) if asked[1] else whole - int(asked[2])
            content = content[first : int(asked[2]) + 1] if asked[1] and asked[2] else content[first:]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{first + len(content) - 1}/{whole}")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        if not head:
            self.server.asked.append((name, len(content)))
            self.wfile.write(content)

    def log_message(self, *ignored):
        pass


@contextmanager
def file_server(folder):
    """A running server of files."""
    with FileServer(folder) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
