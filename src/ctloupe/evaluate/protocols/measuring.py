"""Images measured slice by slice, by every metric of a protocol at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.comparison import BASELINE
from ctloupe.evaluate.metrics.base import Accumulator, Metric
from ctloupe.evaluate.slices import ImageSlice, Reference, Setting

LIMIT: Final = "truth"
"""Name of the row that stated rules are tried on, to know their limit."""


class ImageMeasure:
    """Everything that metrics gather of one image.

    Parameters
    ----------
    metrics
        Metrics to measure; those that share an accumulator feed it once.
    setting
        What is compared where.
    """

    def __init__(self, metrics: Iterable[Metric], setting: Setting) -> None:
        self._gathered: dict[Callable[[Setting], Accumulator], Accumulator] = {}
        for metric in metrics:
            if metric.accumulator not in self._gathered:
                self._gathered[metric.accumulator] = metric.accumulator(setting)

    def add(self, seen: ImageSlice) -> None:
        """Take a slice of the image into account."""
        for gathered in self._gathered.values():
            gathered.add(seen)

    def gathered(self, metric: Metric) -> Accumulator:
        """What was gathered for a metric."""
        return self._gathered[metric.accumulator]

    def value(self, metric: Metric) -> float:
        """The number of a metric; of a relation to bicubic, what is put into it."""
        return metric.read(self.gathered(metric))

    def by_size(self) -> dict[str, Any]:
        """What was found by size class, by structure."""
        return {name: sizes for one in self._gathered.values() for name, sizes in one.by_size().items()}


class Measuring:
    """Measures images that are compared in one setting, slice by slice.

    Parameters
    ----------
    metrics
        Those of a protocol; the ones that do not apply in the setting are left out.
    setting
        What is compared where.
    names
        Names of the images, bicubic first.
    """

    def __init__(self, metrics: Iterable[Metric], setting: Setting, names: Iterable[str]) -> None:
        self.metrics = tuple(metric for metric in metrics if metric.applies(setting))
        self.images = {name: ImageMeasure(self.metrics, setting) for name in names}
        self._setting = setting
        self._limited = tuple(one for one in self.metrics if one.has_limit and "truth" in setting.known)
        self._limit = ImageMeasure(self._limited, setting)
        self._slices: list[int] = []

    def add(
        self,
        reference: Reference,
        planes: Iterable[tuple[NDArray[np.float32], float]],
        others: Iterable[NDArray[np.float32] | None] | None = None,
    ) -> None:
        """Take one slice of every image into account: its plane, and its pixel edge in mm, in the order of the names.

        Planes may be made when they are asked for, so that only one is held at a time; `others` are those made from
        another reconstruction of the same acquisition.
        """
        self._slices.append(reference.z)
        others = [None] * len(self.images) if others is None else others
        for image, (plane, pixel), other in zip(self.images.values(), planes, others, strict=True):
            image.add(ImageSlice(plane, reference, pixel, other=other))
        if self._limited:
            pixel, thick = self._setting.spacing[0], reference.thick_truth
            self._limit.add(ImageSlice(reference.truth, reference, pixel, thick=thick, micro=reference.micro_truth))

    def rows(self) -> dict[str, dict[str, float]]:
        """Numbers by label of every image; relations to bicubic come last."""
        values = {name: {metric.key: one.value(metric) for metric in self.metrics} for name, one in self.images.items()}
        found: dict[str, dict[str, float]] = {name: {} for name in self.images}
        for metric in sorted(self.metrics, key=lambda one: one.against_bicubic is not None):
            for name, row in found.items():
                own = values[name][metric.key]
                relation = metric.against_bicubic
                row[metric.label] = own if relation is None else relation(own, values[BASELINE][metric.key])
        return found

    def limits(self) -> dict[str, float]:
        """Numbers by label that the truth itself reaches by the stated rules."""
        return {metric.label: self._limit.value(metric) for metric in self._limited}

    def intervals(self) -> dict[str, dict[str, list[float]]]:
        """95% intervals by label of the metrics that have one by themselves, by image, the truth last."""
        kept = [(metric, metric.interval) for metric in self.metrics if metric.interval is not None]
        images = self.images | ({LIMIT: self._limit} if self._limited else {})
        return {
            name: {metric.label: list(read(image.gathered(metric))) for metric, read in kept}
            for name, image in (images.items() if kept else ())
        }

    def slice_by_slice(self) -> dict[str, list[dict[str, float]]]:
        """Numbers of every slice by image; empty when no metric keeps them."""
        kept = [(metric, metric.by_slice) for metric in self.metrics if metric.by_slice is not None]
        found: dict[str, list[dict[str, float]]] = {}
        for name, image in self.images.items() if kept else ():
            columns = {metric.label: read(image.gathered(metric)) for metric, read in kept}
            found[name] = [
                {"slice": z} | {label: values[at] for label, values in columns.items()}
                for at, z in enumerate(self._slices)
            ]
        return found

    def by_size(self) -> dict[str, dict[str, Any]]:
        """What was found by size class, by image, the truth last; empty without structures."""
        limit = self._limit.by_size()
        return {name: image.by_size() for name, image in self.images.items()} | {LIMIT: limit} if limit else {}

    def curves(self) -> dict[str, dict[str, dict[str, list[float]]]]:
        """Lines of the report's figures, by figure and image."""
        found: dict[str, dict[str, dict[str, list[float]]]] = {}
        truth: dict[str, dict[str, list[float]]] = {}
        for name, image in self.images.items():
            for gathered in dict.fromkeys(image.gathered(metric) for metric in self.metrics):
                for curve in gathered.curves():
                    found.setdefault(curve.figure, {})[name] = _line(curve.x, curve.y)
                    if curve.truth is not None:
                        truth[curve.figure] = _line(curve.x, curve.truth)
        for figure, line in truth.items():
            found[figure][LIMIT] = line
        return found


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, list[float]]:
    return {"x": [float(f"{value:.5g}") for value in x], "y": [float(f"{value:.5g}") for value in y]}
