"""The public face of enhancing: a loaded model and how it is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctloupe.enhance.enhanced_volume import lazily
from ctloupe.enhance.job import SLAB, Job
from ctloupe.enhance.model import LoadedModel, loaded_model
from ctloupe.enhance.options import STEPS, EnhanceOptions, quantile_name
from ctloupe.enhance.preparation import prepared, unlikeness_of
from ctloupe.enhance.region import Region, corner_of
from ctloupe.enhance.scan_part import Mask, ScanPart
from ctloupe.enhance.slice_enhancer import EnhancedSlice
from ctloupe.enhance.store.scan_file import ScanFile
from ctloupe.enhance.summary import EnhancementSummary
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.location import Location, location
from ctloupe.images.likeness import Unlikeness
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.dropout import is_stochastic
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.prepare.masks import MaskKind
from ctloupe.volume.volume import Volume


@dataclass(frozen=True)
class SuperResolver:
    """A model ready to enhance volumes.

    Attributes
    ----------
    model
        The network, and what is known about it.
    options
        How it is applied.

    Raises
    ------
    OptionError
        If the options ask for what the model cannot do.
    """

    model: LoadedModel
    options: EnhanceOptions = field(default_factory=EnhanceOptions)

    def __post_init__(self) -> None:
        network = self.model.network
        is_flow = isinstance(network, FlowEnhancer)
        if self.options.samples and not is_flow and (network is None or not is_stochastic(network)):
            raise OptionError(
                f"`samples` {self.options.samples}: {self.name} has no dropout, so that all its passes are equal; "
                "leave `samples` out, or train physics-flow or bayes-cyclegan"
            )
        if self.options.samples and is_flow and self.options.stitch != "calibrated":
            raise OptionError("`samples` of a flow belong to `stitch` calibrated")
        if self.options.quantiles and not is_flow:
            raise OptionError(f"`quantiles`: {self.name} gives a mean and a deviation only; train physics-flow")
        asked = [name for name in ("uncertainty", "invented") if getattr(self.options, name)]
        if asked and not (isinstance(network, FlowEnhancer) and network.head is not None):
            raise OptionError(
                f"`{asked[0]}`: {self.name} has not learnt how far it may be off; train physics-flow with this version"
                + (", or give `samples`" if asked[0] == "uncertainty" else "")
            )
        if self.options.steps and isinstance(network, FlowEnhancer) and network.texture is not None:
            raise OptionError(f"`steps` {self.options.steps}: {self.name} draws samples at once; leave `steps` out")
        if self.options.output == "sample" and not is_flow:
            raise OptionError(f"`output` sample: {self.name} gives one image only; leave it out, or train physics-flow")

    @property
    def name(self) -> str:
        """Name of the model, for messages and histories."""
        return self.model.name

    @property
    def scale(self) -> int:
        """In-plane enlargement."""
        return self.model.scale

    @property
    def window(self) -> IntensityWindow:
        """Clinical intensity window of the model, the mean of its training volumes' where each scan has its own."""
        return self.model.window

    @property
    def micro_window(self) -> IntensityWindow | None:
        """Intensity window of the µCT that the model was trained on; None without training."""
        return self.model.micro_window

    def for_scan(self, scan: Volume) -> SuperResolver:
        """The same model with the window that it has on a whole scan, and on every part of it."""
        return replace(self, model=self.model.for_scan(scan))

    def micro_window_of(self, micro: Volume) -> IntensityWindow | None:
        """Window that takes a µCT to the [−1, 1] of the training; None without training."""
        return self.model.micro_window_of(micro)

    @property
    def trained_spacing(self) -> tuple[float, float] | None:
        """In-plane (y, x) spacing in mm that the model was trained at; None when it does not matter."""
        return self.model.trained_spacing

    @property
    def trained_mask(self) -> MaskKind | None:
        """Kind of the mask that the clinical patches were drawn in; None without training."""
        return self.model.trained_mask

    @property
    def patch_size(self) -> int:
        """Side of a clinical training patch."""
        return self.model.patch_size

    def named(self, name: str) -> SuperResolver:
        """The same model under another name, which the histories of its volumes will give."""
        return replace(self, model=replace(self.model, name=name))

    def with_options(self, **changes: Any) -> SuperResolver:
        """The same model with other options; see `EnhanceOptions`.

        Raises
        ------
        OptionError
            If there is no such option, or the options do not fit each other or the model.
        """
        return replace(self, options=type(self.options).of(self.options.model_dump() | changes))

    def enhance(
        self,
        volume: Volume,
        mask: Mask | None = None,
        region: Region | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Volume:
        """Enhance `volume` in memory; the same as `enhanced_lazily` with the voxels computed."""
        lazy = self.enhanced_lazily(volume, mask, region, progress)
        return replace(lazy, data=np.asarray(lazy.data))

    def enhanced_lazily(
        self,
        volume: Volume,
        mask: Mask | None = None,
        region: Region | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Volume:
        """Describe the enhanced volume; each slice is computed when it is read.

        Parameters
        ----------
        volume
            Clinical CT in HU.
        mask : bool (z, y, x)
            Where to enhance; elsewhere the result is the bicubic interpolation. None: everywhere.
        region
            Index ranges of `volume` to enhance. Statistics are those of the whole volume all the same, so that
            a region equals the same part of the whole (``slice`` and ``patches`` depend on the crop).
        progress
            Called with the number of slices after each slice.

        Returns
        -------
        Volume
            int16 HU on the grid that is s times finer in y and x over the same physical extent.

        Raises
        ------
        GeometryError
            If the mask is not on the grid of the volume.
        IntensityError
            If the volume is not in HU.
        """
        part = ScanPart.of(volume, mask, region)
        count = 0

        def keep(index: int, made: EnhancedSlice) -> None:
            nonlocal count
            count += 1
            if progress is not None:
                progress(count)

        model = self.model.for_scan(volume)
        enhancer = prepared(model, self.options, volume, mask, corner=corner_of(region))
        return lazily(model, self.options, enhancer, part, keep)

    def enhance_to(
        self,
        volume: Volume,
        path: Location | str,
        mask: Mask | None = None,
        region: Region | None = None,
        progress: Callable[[int], None] | None = None,
        overwrite: bool = False,
        uncertainty: Location | str | None = None,
        invented: Location | str | None = None,
        *,
        quantiles: Mapping[float, Location | str] | None = None,
        resume: bool = False,
        slab: int = SLAB,
        scheduler: str | None = None,
        devices: int = 1,
        source: Sequence[Path] = (),
        file: ScanFile | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> EnhancementSummary:
        """Enhance `volume` slice by slice into the file or store `path`; its suffix says the format.

        OME-Zarr is streamed: memory does not grow with the number of slices, and what was interrupted can be
        continued with `resume` to a store that is equal byte for byte. Other formats are written in one go.

        Parameters
        ----------
        volume, mask, region, progress
            See `enhanced_lazily`.
        path
            The output; an address such as ``s3://bucket/name.ome.zarr`` is one too.
        overwrite
            Whether what is there may be replaced.
        uncertainty
            Second output where the options ask for `samples` or `uncertainty`: a standard deviation in HU, in the same
            format.
        invented
            Third output where the options ask for `invented`: share of the prior's spread that the scan leaves open.
        quantiles
            Outputs, by probability, where the options ask for `quantiles`: the quantile of the samples in HU.
        resume
            Continue what was interrupted; start when nothing was.
        slab
            Slices that are read, enhanced and recorded together.
        scheduler
            Address of a Dask scheduler whose workers do the work.
        devices
            Number of devices of this machine, each with a process of its own. A script that asks for several keeps
            what it does under ``if __name__ == "__main__":``, as the processes begin by importing it.
        source
            DICOM files that `volume` was read from; a DICOM output takes patient and study from them.
        file
            Where `volume` was read from: workers of `scheduler` that see it read it themselves. None: it is sent.
        tell
            Called with lines of text for people.

        Returns
        -------
        EnhancementSummary
            Consistency with the scan, and the share of tiles that were skipped.

        Raises
        ------
        FileError, OptionError, GeometryError, IntensityError
            If inputs, outputs or options do not fit, or the disk is too small.
        """
        paths = {"values": path, "deviation": uncertainty, "invented": invented}
        paths |= {quantile_name(one): output for one, output in (quantiles or {}).items()}
        job = Job(
            self.model,
            self.options,
            volume,
            mask,
            region,
            {name: location(one) for name, one in paths.items() if one},
            overwrite=overwrite,
            resume=resume,
            slab=slab,
            scheduler=scheduler,
            devices=devices,
            source=source,
            file=file,
            tell=tell or (lambda text: None),
            progress=progress or (lambda done: None),
        )
        return job.run()

    def enhance_unit(self, patches: Tensor) -> Tensor:
        """Apply the network as it was trained to patches in [−1, 1]; see `LoadedModel.enhance_unit`."""
        return self.model.enhance_unit(patches)

    def unlikeness(self, volume: Volume, mask: Mask | None) -> Unlikeness | None:
        """How far a scan is from the training data; None for a model without any."""
        return unlikeness_of(self.model, volume, mask, self.options.seed)

    def record(self) -> dict[str, Any]:
        """What made a volume, in JSON: method, digest of the weights, how it was trained, and the seed."""
        return {
            "name": self.name,
            "weights": self.model.digest(),
            "training": self.model.training,
            "statistics": self.options.stitch,
            "enhancement seed": self.options.seed,
            "samples": self.options.samples,
            "output": self.options.output,
            "steps": self.options.steps or STEPS,
        }


def load_model(
    model: str | Path, scale: int | None = None, device: torch.device | str = "cpu", **options: Any
) -> SuperResolver:
    """Load a model package, or an interpolation by its name, ready to enhance.

    Parameters
    ----------
    model, scale, device
        See `loaded_model`.
    options
        How it is applied; see `EnhanceOptions`.

    Raises
    ------
    FileError, ModelError, OptionError
        If there is no such model, it is damaged, is for another scale, or the options do not fit.
    """
    return SuperResolver(loaded_model(model, scale, device), EnhanceOptions.of(options))
