"""What the metadata of an OME-Zarr store say, read with a schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ctloupe.foundation.errors import FileError, GeometryError
from ctloupe.foundation.location import Location
from ctloupe.foundation.records import read_plain, validated

Transformations = tuple[dict[str, Any], ...]


class Axis(BaseModel):
    """One axis of the stored arrays, with its name in lower case."""

    name: Annotated[str, AfterValidator(str.lower)]
    unit: str | None = None


class Level(BaseModel):
    """One resolution: the path of its array in the store, and how its indices become positions."""

    model_config = ConfigDict(coerce_numbers_to_str=True)
    path: str
    transformations: Transformations = Field(alias="coordinateTransformations")


class Multiscale(BaseModel):
    """One image at several resolutions, as in NGFF 0.4 and 0.5; keys that are not needed are left alone."""

    axes: tuple[Axis, ...]
    levels: tuple[Level, ...] = Field(alias="datasets", min_length=1)
    transformations: Transformations = Field((), alias="coordinateTransformations")

    @property
    def finest(self) -> str:
        """Path of the array with the finest resolution."""
        return self.levels[0].path


def attributes_of(path: Location) -> dict[str, Any]:
    """Return the user attributes of the group at `path`.

    Raises
    ------
    FileError
        If there is no group, or its metadata are damaged.
    """
    for name in ("zarr.json", ".zattrs"):
        if (path / name).is_file():
            content = read_plain(path / name, "Zarr metadata file", "copy the store again")
            if not isinstance(content, dict):
                raise FileError(f"{path / name}: expected a JSON object; copy or write the store again")
            attributes = content.get("attributes") if name == "zarr.json" else content
            return attributes if isinstance(attributes, dict) else {}
    raise FileError(f"{path}: no zarr.json or .zattrs, so not OME-Zarr or not whole; copy it again")


def multiscale_of(path: Location, attributes: dict[str, Any]) -> Multiscale:
    """Return the first image that the attributes of the group at `path` describe.

    Raises
    ------
    FileError
        If they describe none.
    GeometryError
        If axes, arrays or transformations are missing.
    """
    ome = attributes.get("ome", attributes)
    if not isinstance(ome, dict) or not ome.get("multiscales"):
        raise FileError(f"{path}: has no multiscales attribute; name the image inside it (perhaps {path.name}/0)")
    listed = ome["multiscales"]
    return validated(
        Multiscale,
        listed[0] if isinstance(listed, list) else listed,
        f"{path}: multiscales",
        GeometryError,
        "axes and coordinateTransformations as in NGFF 0.4 or 0.5 are needed, write it again with a current tool",
    )
