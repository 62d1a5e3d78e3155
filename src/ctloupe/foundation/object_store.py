"""Objects in a bucket or on a web server, by obstore: opened with what the environment says, refused in one line.

Credentials are read from the environment by the library and never seen here. What a server answers may quote them, so
that none of its words reach a message: only its status does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from ctloupe.foundation.errors import FileError, MissingExtraError, OptionError

PATIENCE: Final = "CTLOUPE_REMOTE_PATIENCE"
"""Environment variable: seconds for which a server that does not answer is asked again."""

_DEFAULT_PATIENCE: Final = 30.0
_MOST_TRIES: Final = 1000
_REQUEST_SECONDS: Final = 600
_CONNECT_SECONDS: Final = 10

_STATUS: Final = re.compile(r"status code: (\d{3})")
_SURROUNDINGS: Final = ("AWS_", "GOOGLE_", "GCS_", PATIENCE)


def opened(scheme: str, host: str, prefix: str = "") -> Any:
    """Return the obstore store of a bucket or web server, whose keys begin below `prefix`.

    Raises
    ------
    MissingExtraError
        If obstore is not installed.
    FileError
        If the environment holds settings that obstore does not take.
    """
    told = frozenset(pair for pair in os.environ.items() if pair[0].startswith(_SURROUNDINGS))
    return _opened(scheme, host, prefix, hash(told))


@lru_cache(maxsize=64)
def _opened(scheme: str, host: str, prefix: str, surroundings: int) -> Any:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import GCSStore, HTTPStore, S3Store
    except ImportError as error:
        raise MissingExtraError(
            f"{scheme}://{host}: reading and writing on servers needs obstore; install it with: "
            "pip install 'ctloupe[remote]'"
        ) from error
    plain = scheme == "http" or any(
        os.environ.get(name, "").startswith("http://") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    )
    client: Any = {
        "allow_http": plain,
        "timeout": timedelta(seconds=_REQUEST_SECONDS),
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
    }
    retry: Any = {
        "max_retries": _MOST_TRIES,
        "retry_timeout": timedelta(seconds=_patience()),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    try:
        if scheme in ("http", "https"):
            url = f"{scheme}://{host}/{quote(prefix)}"
            return HTTPStore.from_url(url, client_options=client, retry_config=retry)
        kind: Any = S3Store if scheme == "s3" else GCSStore
        return kind(host, prefix=prefix or None, client_options=client, retry_config=retry)
    except (BaseError, ValueError):
        raise FileError(
            f"{scheme}://{host}: the settings in the environment for it are damaged or contradict each other; check "
            f"{'AWS_*' if scheme == 's3' else 'GOOGLE_*'}"
        ) from None


def _patience() -> float:
    text = os.environ.get(PATIENCE, "")
    try:
        return max(0.0, float(text)) if text else _DEFAULT_PATIENCE
    except ValueError as error:
        raise OptionError(f"{PATIENCE} {text[:40]!r}: expected a number of seconds") from error


@contextmanager
def answered(where: str, doing: str = "read") -> Iterator[None]:
    """Turn what a server refuses into one line; that an object is not there stays a `FileNotFoundError`.

    Parameters
    ----------
    where
        Address, for the message.
    doing
        What was asked for: "read" or "written".

    Raises
    ------
    FileError
        If the server refuses, or does not answer.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        if doing == "read":
            raise
        raise FileError(f"{where}: cannot be {doing}: there is no such bucket; make it, or name another") from None
    except (BaseError, OSError) as error:
        # The library's own words may quote the request with its signature, so they are not passed on.
        raise FileError(f"{where}: cannot be {doing}: {_in_words(error)}") from None


def _in_words(error: Exception) -> str:
    status = _STATUS.search(str(error))
    kind = type(error).__name__
    if kind in ("PermissionDeniedError", "UnauthenticatedError") or (status and status[1] in ("401", "403")):
        return (
            f"permission denied ({status[1] if status else 'no credentials'}); check the credentials in the "
            "environment, and what they allow"
        )
    if kind == "NotSupportedError":
        return "the server does not give parts of a file (HTTP ranges); use one that does, or copy the store"
    if status and status[1] == "404":
        return "there is no such bucket; make it, or name another"
    if status:
        advice = "try again later" if status[1] == "429" or status[1][0] == "5" else "check the address"
        return f"the server answered with status {status[1]}; {advice}"
    if "credential" in str(error).lower() or "169.254.169.254" in str(error):
        return "no credentials in the environment; set them, or AWS_SKIP_SIGNATURE=true for a public bucket"
    return "the server does not answer, or broke off; check the address and the network, then try again"
