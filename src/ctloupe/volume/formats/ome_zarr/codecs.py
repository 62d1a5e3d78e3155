"""Which codecs a Zarr array may ask for: plain compression and arithmetic, and nothing that runs what it reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

from ctloupe.foundation.errors import FileError
from ctloupe.foundation.location import Location, Remote
from ctloupe.foundation.records import read_plain

METADATA: Final = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
"""Names of the files that describe groups and arrays."""

_PLAIN: Final = frozenset(
    {
        *("blosc", "zstd", "zlib", "gzip", "lz4", "bz2", "lzma"),
        *("shuffle", "delta", "fixedscaleoffset", "quantize", "bitround", "packbits", "astype"),
        *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"),
        *("bytes", "transpose", "sharding_indexed"),
    }
)


def require_plain_codecs(folder: Location) -> None:
    """Raise `FileError` where the array in `folder` names a codec that is not one of these, before it is opened.

    Metadata that are no plain file are refused too: what the library would wait for, or read, nobody has looked at.
    """
    if not isinstance(folder, Remote):
        for name in METADATA:
            if os.path.lexists(folder / name) and not (folder / name).is_file():
                raise FileError(f"{folder / name}: not a plain file; copy or write the store again")
    for name in ("zarr.json", ".zarray"):
        if (folder / name).is_file():
            content = read_plain(folder / name, "Zarr metadata file", "copy the store again")
            for codec in _named(content):
                if codec.removeprefix("numcodecs.") not in _PLAIN:
                    raise FileError(
                        f"{folder / name}: codec {codec[:40]!r} is not read; write the store again with zstd or blosc"
                    )


def _named(part: Any) -> Iterator[str]:
    """Names of the codecs anywhere inside a shard, a list of filters or the compressor."""
    if isinstance(part, list):
        for one in part:
            yield from _named_in(one)
    elif isinstance(part, dict):
        for key in ("codecs", "index_codecs", "filters"):
            yield from _named(part.get(key) or [])
        if part.get("compressor"):
            yield from _named_in(part["compressor"])


def _named_in(codec: Any) -> Iterator[str]:
    if isinstance(codec, dict):
        yield str(codec.get("id", codec.get("name")))
        yield from _named(codec.get("configuration"))
    else:
        yield str(codec)
