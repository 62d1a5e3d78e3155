"""Images measured slice by slice, by every metric of a protocol at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.comparison import BASELINE
from ctloupe.evaluate.metrics.base import Accumulator, Metric
from ctloupe.evaluate.slices import ImageSlice, Reference, Setting
from ctloupe.foundation.beside import cores

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

    def begin(self, seen: ImageSlice, pool: Executor) -> list[Future[None]]:
        """Let threads take a slice of the image into account, each gatherer by itself."""
        return [pool.submit(gathered.add, seen) for gathered in self._gathered.values()]

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
        self._known: dict[ImageMeasure, dict[str, float]] | None = None

    def add(
        self,
        reference: Reference,
        planes: Iterable[tuple[NDArray[np.float32], float]],
        others: Iterable[NDArray[np.float32] | None] | None = None,
    ) -> None:
        """Take one slice of every image into account: its plane, and its pixel edge in mm, in the order of the names.

        Planes may be made when they are asked for, so that only two are held at a time, one of which is measured while
        the next is made; `others` are those made from
        another reconstruction of the same acquisition.
        """
        self._slices.append(reference.z)
        self._known = None
        others = [None] * len(self.images) if others is None else others
        with ThreadPoolExecutor(cores()) as pool:
            begun: deque[list[Future[None]]] = deque()
            for image, (plane, pixel), other in zip(self.images.values(), planes, others, strict=True):
                begun.append(image.begin(ImageSlice(plane, reference, pixel, other=other), pool))
                if len(begun) > 1:
                    _wait(begun.popleft())
            if self._limited:
                pixel, thick = self._setting.spacing[0], reference.thick_truth
                seen = ImageSlice(reference.truth, reference, pixel, thick=thick, micro=reference.micro_truth)
                begun.append(self._limit.begin(seen, pool))
            for one in begun:
                _wait(one)

    def _numbers(self) -> dict[ImageMeasure, dict[str, float]]:
        """Numbers by key of every image and of the truth; threads read the gatherers, each of which only one reads."""
        if self._known is None:
            groups: dict[Accumulator, list[tuple[ImageMeasure, Metric]]] = {}
            asked = [(image, self.metrics) for image in self.images.values()]
            for image, metrics in [*asked, (self._limit, self._limited)]:
                for metric in metrics:
                    groups.setdefault(image.gathered(metric), []).append((image, metric))
            known: dict[ImageMeasure, dict[str, float]] = {image: {} for image in (*self.images.values(), self._limit)}

            def read(group: list[tuple[ImageMeasure, Metric]]) -> None:
                for image, metric in group:
                    known[image][metric.key] = image.value(metric)

            with ThreadPoolExecutor(cores()) as pool:
                _wait([pool.submit(read, group) for group in groups.values()])
            self._known = known
        return self._known

    def rows(self) -> dict[str, dict[str, float]]:
        """Numbers by label of every image; relations to bicubic come last."""
        numbers = self._numbers()
        values = {name: numbers[image] for name, image in self.images.items()}
        found: dict[str, dict[str, float]] = {name: {} for name in self.images}
        for metric in sorted(self.metrics, key=lambda one: one.against_bicubic is not None):
            for name, row in found.items():
                own = values[name][metric.key]
                relation = metric.against_bicubic
                row[metric.label] = own if relation is None else relation(own, values[BASELINE][metric.key])
        return found

    def limits(self) -> dict[str, float]:
        """Numbers by label that the truth itself reaches by the stated rules."""
        numbers = self._numbers()[self._limit]
        return {metric.label: numbers[metric.key] for metric in self._limited}

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


def _wait(begun: Iterable[Future[None]]) -> None:
    """Wait for threads, and raise what one of them raised."""
    for one in begun:
        one.result()


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, list[float]]:
    return {"x": [float(f"{value:.5g}") for value in x], "y": [float(f"{value:.5g}") for value in y]}
