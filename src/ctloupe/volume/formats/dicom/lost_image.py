"""Whether a DICOM file without an image, such as a report, was meant to have one."""

from __future__ import annotations

import mmap
import re
import struct
from pathlib import Path
from typing import Final

from pydicom import Dataset
from pydicom.uid import UID

_STANDARD: Final = "1.2.840.10008."
"""What UIDs of the standard begin with."""

_PIXELS: Final = re.compile(rb"\xe0\x7f\x10\x00(?:O[BW]|(.{4}))|\x7f\xe0\x00\x10O[BW]", flags=re.DOTALL)
"""The element with the pixels in either byte order, and its length where no representation is named."""

_UNKNOWN_LENGTH: Final = 0xFFFFFFFF


def lost_its_image(path: Path, data: Dataset) -> bool:
    """Whether the file is damaged rather than without an image by its nature.

    It is where it is too short to tell, names a kind of image, or none, or one that the standard does not know, or
    where the element with the pixels is in it.

    Parameters
    ----------
    path, data
        The file, and what could be read of it, in which the size of an image was not found.
    """
    meta_end = 144 + int(data.file_meta.get("FileMetaInformationGroupLength") or 0)
    kind = str(data.file_meta.get("MediaStorageSOPClassUID") or data.get("SOPClassUID") or "")
    if path.stat().st_size < meta_end or not kind:
        return True
    name = UID(kind).name
    unknown = name == kind and kind.startswith(_STANDARD)
    return "Image Storage" in name or unknown or _holds_pixels(path)


def _holds_pixels(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for found in _PIXELS.finditer(content):
            if found[1] is None:
                return True
            (length,) = struct.unpack("<I", found[1])
            if length == _UNKNOWN_LENGTH or 0 < length <= len(content) - found.end():
                return True
    return False
