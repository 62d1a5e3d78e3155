"""A phantom case: one anatomy, its truth and labels, and both scans of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ctloupe.foundation.errors import FileError, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.foundation.progress import Tell, stretch, tracked
from ctloupe.foundation.records import save_record
from ctloupe.phantom.anatomies.base import Anatomy
from ctloupe.phantom.anatomies.registry import get
from ctloupe.phantom.clinical import clinical_scan
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.micro import micro_scan
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume

NAMES = ("clinical", "micro", "truth", "labels")


@dataclass(frozen=True)
class PhantomCase:
    """One anatomy scanned twice.

    Attributes
    ----------
    clinical
        Simulated clinical CT in HU.
    micro
        Simulated µCT in raw units, on the fine grid.
    truth
        The anatomy in HU on the fine grid.
    labels
        Label number of what fills most of each fine voxel.
    statistics
        Numbers measured from the anatomy that a reader can check.
    config
        What it was made with; its options are complete.
    seed
        Seed it was made from.
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
        for name, file in tracked(list(zip(NAMES, files, strict=True)), "writing"):
            write(getattr(self, name), file, overwrite=overwrite)
        record = {
            "seed": self.seed,
            "config": _plain(self.config),
            "statistics": self.statistics,
            "notice": RESEARCH_NOTICE,
        }
        save_record(out / "phantom.json", record, overwrite)


def make_phantom(
    anatomy: str, size: tuple[int, int, int], seed: int, config: PhantomConfig | None = None
) -> PhantomCase:
    """Make a phantom.

    Parameters
    ----------
    anatomy
        Name of the anatomy; `registry.names` lists them.
    size : (z, y, x)
        Number of voxels of the fine grid; z must be a multiple of ``config.slices``, y and x of ``config.scale``.
    seed
        Seed of the anatomy and of both scanners.
    config
        What can be chosen; by default the anatomy's usual voxels and scanner.

    Raises
    ------
    OptionError
        If there is no such anatomy, or a size or option is out of range.
    """
    kind = get(anatomy)
    config = config or kind.usual
    config = replace(config, options=kind.checked(config.options).model_dump())
    _require_whole_voxels(size, config)
    with stretch(f"making a {kind.caption} phantom", 3) as tell:
        return _made(kind, size, seed, config, tell)


def _made(kind: Anatomy, size: tuple[int, int, int], seed: int, config: PhantomConfig, tell: Tell) -> PhantomCase:
    """Make the anatomy and scan it by both scanners."""
    made = kind.make(size, seed, config.spacing, config.options)
    tell(1, "anatomy")
    edge, done = config.spacing, f"{kind.caption} phantom, seed {seed}"
    truth = Volume(
        made.hu, (edge, edge, edge), config.origin, config.direction, modality="unknown", units="HU", history=(done,)
    )
    labels = truth.with_data(made.labels, "labels", units="raw")
    clinical = clinical_scan(
        truth,
        config.scale,
        config.slices,
        fwhm_mm=config.fwhm_mm,
        noise_hu=config.noise_hu,
        kernel=config.kernel,
        parts=config.scanner,
        seed=seed,
    )
    tell(2, "clinical scan")
    micro = micro_scan(truth, made.labels, kind.micro, cylinder=config.cylinder, seed=seed)
    return PhantomCase(clinical, micro, truth, labels, made.statistics, config, seed)


def _require_whole_voxels(size: tuple[int, int, int], config: PhantomConfig) -> None:
    factors = (config.slices, config.scale, config.scale)
    if any(length % factor or length < factor for length, factor in zip(size, factors, strict=True)):
        near = " ".join(str(max(f, round(n / f) * f)) for n, f in zip(size, factors, strict=True))
        raise OptionError(
            f"`size` {' '.join(map(str, size))}: z must be a multiple of {factors[0]}, y and x of {factors[1]}; "
            f"the nearest: `size` {near}"
        )


def _plain(config: PhantomConfig) -> dict[str, Any]:
    """The configuration as plain data, the anatomy's own options among the others.

    A scanner of the usual family is not named, so that records are those of versions that knew no other.
    """
    found: dict[str, Any] = {}
    for name, value in asdict(config).items():
        found |= value if name == "options" else {name: value}
    return found if config.scanner else {name: value for name, value in found.items() if name != "scanner"}
