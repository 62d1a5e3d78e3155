"""Ways to damage a volume: bits, numbers, lengths, and whole files of a folder."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

_HEAD = 600
_NUMBERS = (
    b"0 -1 1 2 3 7 255 256 65535 65536 2147483647 2147483648 4294967296 1099511627776 1e30 -1e30 1e-30 1e308 nan inf"
).split()
_WIDTHS = ("<i2", "<i4", "<i8", "<f4", "<f8", ">i2", ">i4")
_HUGE = (0, 1, -1, 2, 127, 255, 32767, -32768, 2**31 - 1, -(2**31), 2**40, float("nan"), float("inf"), 1e30, -0.5)


def _place(rng: np.random.Generator, length: int) -> int:
    """Any place, half of the time one in the head, where most files say what they are."""
    return int(rng.integers(min(length, _HEAD) if rng.random() < 0.5 else length))


def _flipped(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        data[_place(rng, len(data))] ^= 1 << int(rng.integers(8))


def _cut_short(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def _blanked(data: bytearray, rng: np.random.Generator) -> None:
    start, value = _place(rng, len(data)), int(rng.choice([0, 255, 32]))
    stop = min(len(data), start + int(rng.integers(1, 65)))
    data[start:stop] = bytes([value]) * (stop - start)


def _number_in_binary(data: bytearray, rng: np.random.Generator) -> None:
    kind = np.dtype(str(rng.choice(_WIDTHS)))
    value = _HUGE[int(rng.integers(len(_HUGE)))]
    if kind.kind == "i":
        bits = 8 * kind.itemsize
        whole = 0 if value != value or abs(value) == float("inf") else int(value)
        value = (whole + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
    with np.errstate(over="ignore"):
        content = np.array(value).astype(kind).tobytes()
    start = _place(rng, len(data)) & ~1
    data[start : start + len(content)] = content[: max(0, len(data) - start)]


def _number_in_text(data: bytearray, rng: np.random.Generator) -> None:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", bytes(data[:4096])))
    if not found:
        _flipped(data, rng)
        return
    one = found[int(rng.integers(len(found)))]
    data[one.start() : one.end()] = _NUMBERS[int(rng.integers(len(_NUMBERS)))]


def _word(data: bytearray, rng: np.random.Generator) -> None:
    """A word of the head in the place of another."""
    found = list(re.finditer(rb"[A-Za-z_]{3,}", bytes(data[:4096])))
    if len(found) < 2:
        _blanked(data, rng)
        return
    one, other = (found[int(index)] for index in rng.integers(len(found), size=2))
    data[one.start() : one.end()] = other.group()


def _doubled(data: bytearray, rng: np.random.Generator) -> None:
    start = _place(rng, len(data))
    length = int(rng.integers(1, 200))
    data[start:start] = data[start : start + length]


def _taken_out(data: bytearray, rng: np.random.Generator) -> None:
    start = _place(rng, len(data))
    del data[start : start + int(rng.integers(1, 200))]


def _line_without_end(data: bytearray, rng: np.random.Generator) -> None:
    start = _place(rng, len(data))
    data[start:start] = bytes([int(rng.integers(33, 127))]) * int(rng.choice([5000, 100_000]))


_OF_CONTENT: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    _flipped,
    _cut_short,
    _blanked,
    _number_in_binary,
    _number_in_binary,
    _number_in_text,
    _number_in_text,
    _word,
    _doubled,
    _taken_out,
    _line_without_end,
)


def _lost(file: Path, rng: np.random.Generator) -> None:
    file.unlink()


def _emptied(file: Path, rng: np.random.Generator) -> None:
    file.write_bytes(b"")


def _copied(file: Path, rng: np.random.Generator) -> None:
    shutil.copy(file, file.with_name(f"more-{file.name}"))


def _exchanged(file: Path, rng: np.random.Generator) -> None:
    beside = sorted(other for other in file.parent.iterdir() if other.is_file())
    shutil.copy(beside[int(rng.integers(len(beside)))], file.with_name("for a moment"))
    file.with_name("for a moment").replace(file)


def _pipe(file: Path, rng: np.random.Generator) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path, rng: np.random.Generator) -> None:
    file.unlink()
    file.mkdir()


_OF_FILES: tuple[Callable[[Path, np.random.Generator], None], ...] = (
    _lost,
    _emptied,
    _copied,
    _exchanged,
    _pipe,
    _folder,
)


def damage(folder: Path, rng: np.random.Generator) -> list[str]:
    """Damage what lies in a folder in one to three ways, and say which."""
    told = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if not files:
            break
        file = files[int(rng.integers(len(files)))]
        if len(files) > 1 and rng.random() < 0.2:
            change = _OF_FILES[int(rng.integers(len(_OF_FILES)))]
            change(file, rng)
        else:
            change = _of_content(file, rng)
        told.append(f"{file.name}: {change.__name__.strip('_').replace('_', ' ')}")
    return told


def _of_content(file: Path, rng: np.random.Generator) -> Callable[[bytearray, np.random.Generator], None]:
    content = file.read_bytes()
    # What is damaged before it is compressed passes the checksum.
    inside = file.suffix == ".gz" and rng.random() < 0.7
    try:
        data = bytearray(gzip.decompress(content) if inside else content)
    except (OSError, EOFError, zlib.error):
        inside, data = False, bytearray(content)
    change = _OF_CONTENT[int(rng.integers(len(_OF_CONTENT)))]
    if data:
        change(data, rng)
    file.write_bytes(gzip.compress(bytes(data), 1, mtime=0) if inside else bytes(data))
    return change
