"""A file that is arriving: what has come so far, which version of it that is, and how the rest is asked for."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.progress import Progress
from ctloupe.foundation.records import load_record, save_record

if TYPE_CHECKING:
    import requests

SECONDS_TO_CONNECT: Final = 15.0
SECONDS_TO_ANSWER: Final = 60.0
"""Longest time without a byte."""

_BLOCK: Final = 1 << 18
_MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PASSING: Final = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a server that may be another one a moment later."""


class _Version(BaseModel):
    """Which file, in which version, the part belongs to; the address itself may hold a password and is not kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    """Checksum of the address."""
    validator: str | None
    """What the server calls this version: a strong entity tag, or a date."""


@dataclass(frozen=True)
class Part:
    """What has come of a file so far, hidden beside its destination.

    Attributes
    ----------
    destination
        Final name.
    file
        Bytes so far, from the first.
    record
        Which version they are of.
    """

    destination: Path
    file: Path
    record: Path

    @classmethod
    def of(cls, destination: Path) -> Part:
        """Return the part of a destination, which need not exist."""
        name = destination.name
        if len(os.fsencode(name)) > 200:
            name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        return cls(destination, destination.with_name(f".{name}.part"), destination.with_name(f".{name}.part.json"))

    def size(self) -> int:
        """Return the bytes that are there."""
        return self.file.stat().st_size if self.file.exists() else 0

    def clear(self) -> None:
        """Forget what has come."""
        self.file.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    def require_space(self, total: int) -> None:
        """Refuse what does not fit on the disk.

        Raises
        ------
        FileError
            If less is free than is missing of `total` bytes.
        """
        free = shutil.disk_usage(self.destination.absolute().parent).free
        missing = total - self.size()
        if missing > free:
            raise FileError(
                f"{self.destination}: {missing / 1e9:.2f} GB are to come and {free / 1e9:.2f} GB are free; free some "
                "space, or write to another disk"
            )

    def validator(self, address: str) -> str | None:
        """Return what the server called the version of the part, if it is one of this address."""
        if self.record.is_file():
            with suppress(FileError):
                found = load_record(self.record, _Version, "record of a download", "it is not used")
                return found.validator if found.address == _digest(address) else None
        return None

    def begin(self, address: str, validator: str | None) -> None:
        """Start from the first byte of a version."""
        self.clear()
        save_record(self.record, _Version(address=_digest(address), validator=validator))


class _Broken(Exception):
    """The connection or the server failed in a way that may pass."""


def shown(address: str) -> str:
    """Return an address as people may see it: without password, and without what stands after a question mark."""
    try:
        parts = urlsplit(address)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "the address"


def receive(address: str, part: Part, size: int | None, has_checksum: bool, progress: Progress, tries: int) -> None:
    """Ask a web server for what is missing of a file until it is whole.

    Parameters
    ----------
    address
        Address that begins with ``https://`` or ``http://``.
    part
        What has come already, and where the rest goes.
    size
        Published size in bytes.
    has_checksum
        Whether a checksum will tell if what came earlier belongs to what comes now, where the server does not.
    progress
        What is told how many bytes have come.
    tries
        How often in turn a connection may break without a byte more having come.

    Raises
    ------
    FileError
        If the file cannot be had, has another size, or does not fit on the disk.
    """
    import requests

    failures = 0
    with requests.Session() as session:
        while True:
            before = part.size()
            try:
                _receive_once(session, address, part, size, has_checksum, progress)
                return
            except _Broken as error:
                failures = 1 if part.size() > before else failures + 1
                if failures >= tries:
                    kept = f"; {part.size() / 1e6:.1f} MB are kept, and the same command goes on from there"
                    raise FileError(f"{shown(address)}: {error}{kept if part.size() else _elsewhere(part)}") from error
                time.sleep(2.0 ** (failures - 1) / 2)


def _receive_once(
    session: requests.Session, address: str, part: Part, size: int | None, has_checksum: bool, progress: Progress
) -> None:
    validator = part.validator(address)
    begun = part.size() if validator or has_checksum else 0
    with _answer(session, address, part, _headers(begun, validator)) as answer:
        if answer.status_code == 416 and _whole(answer, begun):
            return
        if answer.status_code == 416 or (answer.status_code == 206 and _first(answer) != begun):
            part.clear()
            raise _Broken("the server has no such part of the file")
        if answer.status_code == 200 or not begun:
            part.begin(address, _validator(answer))
            begun = 0
        total = _total(answer, begun)
        _require_size(address, total, size, part)
        if total is not None:
            part.require_space(total)
        _write(answer, part, begun, total, progress)


def _headers(begun: int, validator: str | None) -> dict[str, str]:
    # Parts are counted in the bytes of the file as it is, not of a compressed one.
    headers = {"Accept-Encoding": "identity", "User-Agent": "ctloupe"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
        if validator:
            headers["If-Range"] = validator
    return headers


def _answer(session: requests.Session, address: str, part: Part, headers: dict[str, str]) -> requests.Response:
    """Ask for the file, following redirects that stay as safe as the address."""
    import requests

    here = address
    for _ in range(_MOST_REDIRECTS):
        try:
            answer = session.get(
                here,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(SECONDS_TO_CONNECT, SECONDS_TO_ANSWER),
            )
        except (requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _Broken(_reason(error, here)) from None
        except (requests.RequestException, ValueError) as error:
            if "aborted" in repr(error):
                raise _Broken(_reason(error, here)) from None
            raise FileError(f"{shown(here)}: {_reason(error, here)}{_elsewhere(part)}") from None
        if answer.status_code not in _REDIRECTS:
            _require_file(answer, here, part)
            return answer
        answer.close()
        there = urljoin(here, answer.headers.get("Location", ""))
        allowed = ("https",) if urlsplit(here).scheme == "https" else ("https", "http")
        if urlsplit(there).scheme not in allowed:
            raise FileError(
                f"{shown(address)}: the server leads to {shown(there)}, which is not followed{_elsewhere(part)}"
            )
        here = there
    raise FileError(f"{shown(address)}: the server leads from one address to the next without end{_elsewhere(part)}")


def _require_file(answer: requests.Response, address: str, part: Part) -> None:
    """Refuse answers that are not the file, or a part of it."""
    code = answer.status_code
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    page = kind == "text/html" and part.destination.suffix.lower() not in (".html", ".htm")
    if code in (200, 206) and not page:
        return
    if code == 416 and "Range" in answer.request.headers:
        return
    answer.close()
    if code in _PASSING:
        raise _Broken(f"the server says {code} {answer.reason}")
    if code in (200, 206):
        why = "the server sent a page to read instead of the file; it may ask for a login or an agreement"
    elif code in (401, 403):
        why = f"the server says {code} {answer.reason}; it asks for a login or an agreement"
    else:
        why = f"the server says {code} {answer.reason}"
    raise FileError(f"{shown(address)}: {why}{_elsewhere(part)}")


def _write(answer: requests.Response, part: Part, begun: int, total: int | None, progress: Progress) -> None:
    import urllib3

    progress.start(part.destination.name, total or 0)
    try:
        with part.file.open("ab") as file:
            try:
                # As it is sent: a server that compresses nevertheless means the file itself to be compressed.
                for block in answer.raw.stream(_BLOCK, decode_content=False):
                    file.write(block)
                    progress.update(file.tell(), f"{file.tell() / 1e6:.1f} MB")
            finally:
                file.flush()
                os.fsync(file.fileno())
    except urllib3.exceptions.HTTPError as error:
        raise _Broken(_reason(error, answer.url)) from None
    finally:
        progress.close()
    if total is not None and part.size() != total:
        if part.size() > total:
            part.clear()
        raise _Broken(f"the connection ended {'late' if part.size() == 0 else 'early'}")


def _require_size(address: str, total: int | None, size: int | None, part: Part) -> None:
    if total is not None and size is not None and total != size:
        part.clear()
        raise FileError(
            f"{shown(address)}: the server has {total} bytes, expected {size}; the file there is another one than was "
            f"published{_elsewhere(part)}"
        )


def _total(answer: requests.Response, begun: int) -> int | None:
    """Bytes of the whole file, as far as the server says."""
    found = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
    if found:
        return int(found[1])
    length = answer.headers.get("Content-Length", "")
    return begun + int(length) if length.isdigit() else None


def _first(answer: requests.Response) -> int | None:
    """Place of the first byte of a partial answer."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _whole(answer: requests.Response, begun: int) -> bool:
    """Whether the server has nothing more because everything has come."""
    return answer.headers.get("Content-Range", "").strip() == f"bytes */{begun}"


def _validator(answer: requests.Response) -> str | None:
    """Return what a later request can name this version by; a weak entity tag does not hold for bytes."""
    tag = answer.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")


def _reason(error: Exception, address: str) -> str:
    """Say why a connection failed, in words, without what libraries add of addresses."""
    host = urlsplit(address).hostname
    told = repr(error)
    if "NameResolution" in told or "getaddrinfo" in told:
        return f"no address answers to the name {host} (is there a network?)"
    if "CERTIFICATE" in told or "SSLError" in told:
        return f"the certificate of {host} is not accepted"
    if "ProxyError" in told:
        return "the proxy that the environment names does not answer"
    if "Timeout" in told or "timed out" in told:
        return f"{host} did not answer in time"
    if "refused" in told:
        return f"{host} refuses the connection"
    if "unreachable" in told:
        return f"{host} cannot be reached (is there a network?)"
    return f"the connection to {host} broke"


def _elsewhere(part: Part) -> str:
    return f"; check the address, or download it elsewhere and put it at {part.destination}"


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()
