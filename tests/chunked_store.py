"""OME-Zarr stores in chunks of other programs' shapes."""

import json
import shutil

import zarr
from zarr.codecs import BloscCodec

from ctloupe.volume.formats import read, write


def rechunked(volume, path, chunks):
    """Write a volume as OME-Zarr in `chunks` (z, y, x), in which none of ours are."""
    write(volume, path)
    values = read(path).array()
    metadata = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    attributes = metadata["attributes"]
    (name,) = (level["path"] for level in attributes["ome"]["multiscales"][0]["datasets"])
    shutil.rmtree(path / name)
    array = zarr.create_array(
        str(path / name), shape=values.shape, chunks=chunks, dtype=values.dtype, compressors=BloscCodec(cname="zstd")
    )
    array[:] = values
    return path
