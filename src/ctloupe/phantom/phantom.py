"""A phantom case: one anatomy, its truth and labels, and both scans of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.phantom.anatomy import lung_anatomy, statistics
from ctloupe.phantom.scanners import clinical_scan, micro_scan
from ctloupe.phantom.temporal_bone import bone_statistics, temporal_bone
from ctloupe.volume.formats import write
from ctloupe.volume.geometry import IDENTITY, Direction, Triple, refined_grid
from ctloupe.volume.volume import LazyArray, Volume

SliceMode = Literal["centre", "slab"]
NAMES = ("clinical", "micro", "truth", "labels")


@dataclass(frozen=True)
class PhantomConfig:
    """What can be chosen about a phantom.

    Attributes
    ----------
    spacing
        Fine voxel edge in mm.
    scale, slices
        Fine voxels a clinical voxel in-plane, and along z.
    parenchyma_hu
        Mean of the alveolar foam.
    nodule
        Put a nodule in.
    cylinder
        Scan the µCT specimen in a plastic cylinder.
    kernel, fwhm_mm, noise_hu
        Of the clinical scanner; see `clinical_scan`.
    origin, direction
        Of the fine grid, LPS.
    """

    spacing: float = 0.078125
    scale: int = 8
    slices: int = 8
    parenchyma_hu: float = -830.0
    nodule: bool = False
    cylinder: bool = False
    kernel: str = "standard"
    fwhm_mm: float | None = None
    noise_hu: float = 20.0
    origin: Triple = (0.0, 0.0, 0.0)
    direction: Direction = IDENTITY


TEMPORAL_BONE: Final = PhantomConfig(spacing=0.018, noise_hu=60.0)
"""Voxels of ISBI 2021: µCT of 0.018 mm, and 0.144 mm for the paper's cone-beam CT of 0.15 mm."""

BONE_GAIN: Final = 12500 / 3400
"""Raw µCT units a HU."""


@dataclass(frozen=True)
class PhantomCase:
    """One anatomy scanned twice.

    Attributes
    ----------
    clinical, micro, truth, labels : Volume
        Clinical CT in HU; µCT in raw units; the fine grid in HU; what each fine voxel is (`Label` or `BoneLabel`).
    statistics : dict
        Measured from the anatomy; see `anatomy.statistics` and `temporal_bone.bone_statistics`.
    config, seed
        What it was made from.
    """

    clinical: Volume
    micro: Volume
    truth: Volume
    labels: Volume
    statistics: dict[str, Any]
    config: PhantomConfig
    seed: int

    def write(self, out: Path, overwrite: bool = False) -> None:
        """Write ``clinical``, ``micro``, ``truth`` and ``labels`` as ``.nii.gz``, and ``phantom.json``.

        Raises
        ------
        FileError
            If a file exists without `overwrite` or cannot be written.
        """
        files = [out / f"{name}.nii.gz" for name in NAMES]
        there = [file for file in [*files, out / "phantom.json"] if file.exists()]
        if there and not overwrite:
            raise FileError(f"{there[0]}: exists already; give `overwrite` or another `out`")
        for name, file in zip(NAMES, files, strict=True):
            write(getattr(self, name), file, overwrite=overwrite)
        record = {
            "seed": self.seed,
            "config": asdict(self.config),
            "statistics": self.statistics,
            "notice": RESEARCH_NOTICE,
        }
        with replacing(out / "phantom.json", overwrite=overwrite) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def make_lung(size: tuple[int, int, int], seed: int, config: PhantomConfig | None = None) -> PhantomCase:
    """Make a lung phantom.

    Parameters
    ----------
    size : (z, y, x)
        Voxels of the fine grid; z must be a multiple of ``config.slices``, y and x of ``config.scale``.
    seed
        Of anatomy and scanners.
    config
        Default: `PhantomConfig`.

    Raises
    ------
    OptionError
        If a size or option is out of range.
    """
    config = config or PhantomConfig()
    _require_whole_voxels(size, config)
    anatomy = lung_anatomy(size, seed, config.spacing, parenchyma_hu=config.parenchyma_hu, nodule=config.nodule)
    return _scanned(anatomy.hu, anatomy.labels, statistics(anatomy), config, seed, f"lung phantom, seed {seed}")


def make_temporal_bone(size: tuple[int, int, int], seed: int, config: PhantomConfig = TEMPORAL_BONE) -> PhantomCase:
    """Make a phantom of the inner ear; `size`, `seed` and errors as in `make_lung`.

    Parenchyma and nodule of the configuration belong to the lung and are not read. The µCT maps −1000 … 2400 HU to
    2500 … 15000.
    """
    _require_whole_voxels(size, config)
    anatomy = temporal_bone(size, seed, config.spacing)
    done = f"temporal bone phantom, seed {seed}"
    return _scanned(anatomy.hu, anatomy.labels, bone_statistics(anatomy), config, seed, done, BONE_GAIN)


ANATOMIES: Final = {"lung": (make_lung, PhantomConfig()), "temporal-bone": (make_temporal_bone, TEMPORAL_BONE)}
"""What makes each kind of phantom, and its usual configuration."""


def _require_whole_voxels(size: tuple[int, int, int], config: PhantomConfig) -> None:
    factors = (config.slices, config.scale, config.scale)
    if any(length % factor or length < factor for length, factor in zip(size, factors, strict=True)):
        near = " ".join(str(max(f, round(n / f) * f)) for n, f in zip(size, factors, strict=True))
        raise OptionError(
            f"`size` {' '.join(map(str, size))}: z must be a multiple of {factors[0]}, y and x of {factors[1]}; "
            f"the nearest: `size` {near}"
        )


def _scanned(
    hu: NDArray[np.int16],
    marked: NDArray[np.uint8],
    measured: dict[str, Any],
    config: PhantomConfig,
    seed: int,
    done: str,
    gain: float | None = None,
) -> PhantomCase:
    edge = config.spacing
    truth = Volume(
        hu, (edge, edge, edge), config.origin, config.direction, modality="unknown", units="HU", history=(done,)
    )
    labels = truth.with_data(marked, "labels", units="raw")
    clinical = clinical_scan(
        truth,
        config.scale,
        config.slices,
        fwhm_mm=config.fwhm_mm,
        noise_hu=config.noise_hu,
        kernel=config.kernel,
        seed=seed,
    )
    micro = micro_scan(truth, marked, cylinder=config.cylinder, gain=gain, seed=seed)
    return PhantomCase(clinical, micro, truth, labels, measured, config, seed)


def truth_on_clinical_slices(truth: Volume, clinical: Volume, mode: SliceMode = "centre") -> Volume:
    """The truth where an in-plane enhancer is judged: on the slices of the clinical scan, finer in y and x.

    Parameters
    ----------
    truth
        On the fine grid, or already on the clinical slices.
    clinical
        The scan, or a part of it.
    mode
        ``centre``: the plane through the middle of each clinical slice (the mean of the two nearest fine slices
        when it lies between them); ``slab``: the mean over the slice thickness.

    Returns
    -------
    Volume
        float32, on `geometry.refined_grid` of `clinical`; computed slice by slice when read.

    Raises
    ------
    GeometryError
        If the two grids do not belong together.
    """

    def plane(z: float, step: int) -> NDArray[np.float32]:
        reach = (step - 1) / 2 if mode == "slab" else (0.0 if abs(z - round(z)) < 0.01 else 0.5)
        first, last = max(0, round(z - reach)), min(truth.shape[0] - 1, round(z + reach))
        return np.asarray(truth.data[first : last + 1]).mean(0, dtype=np.float32)

    return _on_slices(truth, clinical, plane, np.float32, f"truth, {mode} of each clinical slice")


def labels_on_clinical_slices(labels: Volume, clinical: Volume) -> Volume:
    """Labels of the fine slice nearest to the middle of each clinical slice; as `truth_on_clinical_slices`."""

    def plane(z: float, step: int) -> NDArray[np.float32]:
        return np.asarray(labels.data[min(labels.shape[0] - 1, int(np.floor(z + 0.5 + 1e-3)))])

    return _on_slices(labels, clinical, plane, labels.data.dtype, "labels at the middle of each clinical slice")


def _on_slices(
    fine: Volume, clinical: Volume, plane: Callable[[float, int], NDArray[Any]], dtype: Any, done: str
) -> Volume:
    scale = max(1, round(clinical.spacing[2] / fine.spacing[2]))
    spacing, origin = refined_grid(clinical.spacing, clinical.origin, clinical.direction, scale)
    step = max(1, round(clinical.spacing[0] / fine.spacing[0]))
    index = np.linalg.solve(fine.affine, np.array([*origin, 1.0]))[:3][::-1]
    shape = (clinical.shape[0], clinical.shape[1] * scale, clinical.shape[2] * scale)
    start = np.rint(index[1:]).astype(int)
    ends = start + np.array(shape[1:])
    fits = (
        np.allclose(fine.spacing[1:], spacing[1:], rtol=1e-3)
        and np.isclose(fine.spacing[0] * step, clinical.spacing[0], rtol=1e-3)
        and np.allclose(fine.direction, clinical.direction, atol=1e-4)
        and np.abs(index[1:] - start).max() < 0.02
        and start.min() >= 0
        and (ends <= fine.shape[1:]).all()
        and index[0] >= -0.5
        and index[0] + (shape[0] - 1) * step <= fine.shape[0] - 0.5
    )
    if not fits:
        raise GeometryError(
            f"truth or labels {fine.shape} at {_mm(fine.spacing)} mm do not lie over the scan {clinical.shape} at "
            f"{_mm(clinical.spacing)} mm; give the ones that belong to this scan"
        )
    rows, columns = slice(start[0], ends[0]), slice(start[1], ends[1])

    def read(block: tuple[slice, slice, slice]) -> NDArray[Any]:
        planes = [
            plane(index[0] + z * step, step)[rows, columns][block[1], block[2]]
            for z in range(block[0].start, block[0].stop)
        ]
        height, width = (one.stop - one.start for one in block[1:])
        return np.stack(planes) if planes else np.empty((0, height, width), dtype)

    data = LazyArray(shape, dtype, read, "truth")
    return fine.with_data(data, done, spacing=spacing, origin=origin)


def _mm(spacing: Triple) -> str:
    return "×".join(f"{edge:.4g}" for edge in spacing)
