"""Whether the pixel data of a DICOM file are as long as its header promises, known before any of them is decoded."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Literal

from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from ctloupe.foundation.errors import FileError

Extent = Literal["whole", "short", "long", "followed"]
"""How pixel data are; `followed` where elements come behind them that belong before, perhaps a second image."""

MOST_EXPANSION: Final = 20_000
"""Most bytes of pixels that a byte of a compressed file may become; one tone of 512×512 takes some hundred bytes."""

_PIXEL_DATA: Final = (0x7FE0, 0x0010)
_HEADER_BYTES: Final = 1 << 24
_CHUNK_BYTES: Final = 1 << 22
# What may stand behind the pixels, such as a signature or padding.
_TRAILING_BYTES: Final = 1 << 20


def promised_bytes(data: Dataset) -> int:
    """Number of bytes that the pixels of `data` take when nothing is compressed, as its header says."""
    bits = 1
    for keyword, absent in (
        *(("BitsAllocated", 0), ("Rows", 0), ("Columns", 0)),
        *(("SamplesPerPixel", 1), ("NumberOfFrames", 1)),
    ):
        bits *= _count(data, keyword, absent)
    return -(-bits // 8)


def _count(data: Dataset, keyword: str, absent: int) -> int:
    try:
        return max(0, int(data.get(keyword) or absent))
    except (TypeError, ValueError, OverflowError):
        return absent


def extent_of_pixels(stream: BinaryIO, data: Dataset, size: int) -> Extent:
    """Compare the pixel data with what the header promises.

    Parameters
    ----------
    stream
        File of `size` bytes, standing before its pixel data.
    data
        What the file says before them.
    size
        Length of the file in bytes.
    """
    syntax, promised = data.file_meta.get("TransferSyntaxUID"), promised_bytes(data)
    if syntax == DeflatedExplicitVRLittleEndian:
        return "whole"  # `require_modest_inflation` and the inflater itself judge that
    implicit, little = data.original_encoding
    head = stream.read(8 if implicit else 12)
    if len(head) < 8:
        return "short"
    if syntax is not None and syntax.is_compressed:
        return _of_fragments(stream, _count(data, "NumberOfFrames", 1), size)
    (length,) = struct.unpack("<I" if little else ">I", head[-4:])
    if min(length, size - stream.tell()) < promised:
        return "short"
    # Values have an even length; pixels beyond that were written for other rows and columns.
    if length > promised + promised % 2:
        return "long"
    stream.seek(length, 1)
    behind = stream.read(4)
    if len(behind) < 4:
        return "whole"
    # Elements stand in the order of their tags; padding and signatures have greater ones, and zeros are no element.
    group, element = struct.unpack("<HH" if little else ">HH", behind)
    return "followed" if (0, 0) < (group, element) <= _PIXEL_DATA else "whole"


def _of_fragments(stream: BinaryIO, frames: int, size: int) -> Extent:
    fragments = -1  # the first item is a table of offsets
    while len(item := stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHI", item)
        if (group, element) != (0xFFFE, 0xE000):
            return "whole" if (group, element) == (0xFFFE, 0xE0DD) and fragments >= frames else "short"
        if stream.seek(length, 1) > size:
            return "short"
        fragments += 1
    # Some writers leave out the closing mark; what is whole up to the end is for the decoder to judge.
    return "short" if item or fragments < frames else "whole"


def require_modest_inflation(path: Path, label: str) -> None:
    """Raise `FileError` if a deflated file becomes longer than its header promises; others are left alone."""
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    length = meta.get("FileMetaInformationGroupLength")
    if length is None:
        raise FileError(f"{label}: no FileMetaInformationGroupLength, so its beginning is unclear; export it again")
    with path.open("rb") as file:
        file.seek(144 + int(length))
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        head = inflate.decompress(file.read(_HEADER_BYTES), _HEADER_BYTES)
        allowed = _HEADER_BYTES + _TRAILING_BYTES + _promised_in(head)
        found = len(head)
        while not inflate.eof and found <= allowed:
            chunk = inflate.unconsumed_tail or file.read(_CHUNK_BYTES)
            if not chunk:
                return
            found += len(inflate.decompress(chunk, _CHUNK_BYTES))
    if found > allowed:
        raise FileError(f"{label}: inflates to more than the {allowed} bytes that its header allows; export it again")


def _promised_in(head: bytes) -> int:
    """Bytes of pixels that the beginning of an inflated data set promises."""
    plain = BytesIO(b"\0" * 128 + b"DICM" + _meta_of_explicit() + head)
    return promised_bytes(dcmread(plain, stop_before_pixels=True))


def _meta_of_explicit() -> bytes:
    uid = ExplicitVRLittleEndian.encode("ascii")
    uid += b"\0" * (len(uid) % 2)
    syntax = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    return struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(syntax)) + syntax
