"""Independent readers of the kinds that are read: what they say of a file, or that they refuse it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
import tifffile
import zarr
from numpy.typing import NDArray

Found = tuple[NDArray[np.float64], tuple[float, float, float] | None]
"""Values (z, y, x), and the spacing in mm in that order where the reader knows it."""

_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}


def read_independently(kind: str, path: Path) -> Found:
    """Read with the library that the kind of file is known by; whatever it raises is a refusal."""
    if kind.startswith("NIfTI"):
        return _nifti(path)
    if kind.startswith(("MetaImage", "NRRD")):
        image = sitk.ReadImage(str(path))
        spacing = image.GetSpacing()
        return sitk.GetArrayFromImage(image).astype(np.float64), (spacing[2], spacing[1], spacing[0])
    if kind.startswith("TIFF"):
        return np.asarray(tifffile.imread(path), np.float64), None
    if kind.startswith(("Zarr", "OME-Zarr")):
        return _zarr(path)
    return _dicom(path)


def _nifti(path: Path) -> Found:
    image = nib.load(path)
    unit = _MILLIMETRES[image.header.get_xyzt_units()[0]]
    values = np.asarray(image.dataobj, np.float64)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0) * unit
    return values.T, (float(spacing[2]), float(spacing[1]), float(spacing[0]))


def _zarr(path: Path) -> Found:
    group = zarr.open_group(path, mode="r")
    known = group.attrs.asdict()
    image = known.get("ome", known)["multiscales"][0]
    data = image["datasets"][0]
    scale = next(one["scale"] for one in data["coordinateTransformations"] if one["type"] == "scale")
    values = np.asarray(group[data["path"]][...], np.float64)
    return values.reshape(values.shape[-3:]), (float(scale[-3]), float(scale[-2]), float(scale[-1]))


def _dicom(path: Path) -> Found:
    slices = [pydicom.dcmread(file) for file in sorted(path.iterdir()) if file.is_file()]
    orientation = np.array(slices[0].ImageOrientationPatient, float)
    normal = np.cross(orientation[:3], orientation[3:])
    at = [float(np.dot(normal, np.array(one.ImagePositionPatient, float))) for one in slices]
    ordered = [slices[index] for index in np.argsort(at)]
    values = [
        one.pixel_array * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0)) for one in ordered
    ]
    size = [float(value) for value in ordered[0].PixelSpacing]
    return np.stack(values).astype(np.float64), (float(np.diff(sorted(at)).mean()), size[0], size[1])
