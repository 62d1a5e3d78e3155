"""Which part of a scan to enhance."""

from __future__ import annotations

from ctloupe.foundation.errors import OptionError

Region = tuple[slice, slice, slice]


def _range(text: str, length: int, axis: str, option: str) -> slice:
    first, colon, last = text.partition(":")
    try:
        start, stop = int(first or 0), int(last) if last else length
    except ValueError:
        start, stop, colon = 0, 0, ""
    if not colon:
        raise OptionError(f"{option} {text}: expected start:stop in voxels, for instance 10:18")
    if not 0 <= start < stop <= length:
        raise OptionError(f"{option} {text}: the scan has {axis} indices 0:{length}")
    return slice(start, stop)


def parse_region(shape: tuple[int, int, int], slices: str | None = None, roi: str | None = None) -> Region:
    """Turn slices ``a:b`` or a region ``z0:z1,y0:y1,x0:x1`` into index ranges.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the scan.

    Raises
    ------
    OptionError
        If the text is not understood, leaves the scan, or both are given.
    """
    if slices and roi:
        raise OptionError("`slices` and `roi` exclude each other; put the slices into `roi` z0:z1,y0:y1,x0:x1")
    whole = [slice(0, length) for length in shape]
    if slices:
        whole[0] = _range(slices, shape[0], "slice", "`slices`")
    if roi:
        parts = roi.split(",")
        if len(parts) != 3:
            raise OptionError(f"`roi` {roi}: expected three ranges z0:z1,y0:y1,x0:x1")
        whole = [_range(part, length, axis, "`roi`") for part, length, axis in zip(parts, shape, "zyx", strict=True)]
    return whole[0], whole[1], whole[2]


def first_voxel(region: Region) -> tuple[int, int, int]:
    """Index in the scan of the first voxel of a region."""
    z, y, x = (one.start or 0 for one in region)
    return z, y, x


def corner_of(region: Region | None) -> tuple[int, int]:
    """First row and column of a region; None: of the whole scan."""
    return (0, 0) if region is None else first_voxel(region)[1:]
