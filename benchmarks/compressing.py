"""Time and size of one slice in the chunks of an OME-Zarr, by level and block of its compressor.

Without a store, an image of smoothed noise is compressed, of which ratios mean little.
"""

from __future__ import annotations

import argparse
import time

import machine
import numpy as np
import zarr
from numcodecs import blosc
from scipy.ndimage import gaussian_filter

CHUNK = 512
WAYS = ((3, 0), (1, 0), (1, CHUNK), (2, CHUNK), (3, CHUNK))


def slice_of(store, size):
    """The middle slice of the finest level of a store, or a made-up one."""
    if store is None:
        noise = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
        return (800 * gaussian_filter(noise, 3) / 0.1 - 600).astype(np.int16)
    level = zarr.open_array(f"{store}/0", mode="r")
    return np.asarray(level[level.shape[0] // 2])


def chunks(plane):
    for y in range(0, plane.shape[0], CHUNK):
        for x in range(0, plane.shape[1], CHUNK):
            yield np.ascontiguousarray(plane[y : y + CHUNK, x : x + CHUNK])


def compressed(pieces, level, side):
    """CPU seconds of one thread, and bytes; blocks are side² numbers, or as Blosc chooses."""
    blosc.set_nthreads(1)
    begun, count = time.process_time(), 0
    for one in pieces:
        block = side * side * one.itemsize
        count += len(blosc.compress(one, b"zstd", level, blosc.BITSHUFFLE, block))
    return time.process_time() - begun, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", help="an enhanced OME-Zarr, whose middle slice is compressed")
    parser.add_argument("--size", type=int, default=4096, help="of a made-up slice")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    plane = slice_of(arguments.store, arguments.size)
    pieces = list(chunks(plane))
    found = {way: [compressed(pieces, *way) for _ in range(arguments.repeats)] for way in WAYS}
    usual = min(found[WAYS[0]])[0]
    print(f"{machine.in_words()}; a slice of {plane.shape[0]}×{plane.shape[1]}, {plane.nbytes / 1e6:.1f} MB\n")
    print("| level of zstd | block | CPU ms | times the first | MB |\n|---|---|---|---|---|")
    for (level, side), tried in found.items():
        seconds, count = min(tried)
        block = "a chunk" if side else "as Blosc chooses"
        print(f"| {level} | {block} | {1e3 * seconds:.0f} | {seconds / usual:.2f} | {count / 1e6:.2f} |")


if __name__ == "__main__":
    main()
