"""Mean and spread of repeated stochastic passes, without keeping the passes (ISBI 2021, Eq. 4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class RunningMoments:
    """Mean and variance of images that come one after the other (Welford 1962, doi:10.1080/00401706.1962.10490022).

    Only the mean and the sum of squared differences are kept, however many images there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, image: Tensor) -> None:
        """Take one more image of the same shape into account."""
        self.count += 1
        if self._mean is None or self._squares is None:
            self._mean, self._squares = image.float().clone(), torch.zeros_like(image, dtype=torch.float32)
            return
        difference = image - self._mean
        self._mean.add_(difference, alpha=1 / self.count)
        self._squares.addcmul_(difference, image - self._mean)

    @property
    def mean(self) -> Tensor:
        """Mean of the images so far."""
        if self._mean is None:
            raise ValueError("no image was added")
        return self._mean

    @property
    def deviation(self) -> Tensor:
        """Standard deviation about the mean, divided by the number of images as in the paper."""
        if self._squares is None:
            raise ValueError("no image was added")
        return (self._squares / self.count).sqrt()


class KeptSamples:
    """Images of which quantiles are asked for, each rounded to whole HU.

    Parameters
    ----------
    images
        Images in HU, of one shape.
    """

    def __init__(self, images: list[Tensor]) -> None:
        self._images = torch.stack([image.round().to(torch.int16) for image in images])

    def quantile(self, probability: float, place: tuple[slice, slice]) -> Tensor:
        """Return the quantile of each voxel of a part, interpolated between the two nearest images."""
        return torch.quantile(self._images[:, *place].float(), probability, 0)


def sampled(network: Callable[[Tensor], Tensor], image: Tensor, samples: int, seed: int) -> RunningMoments:
    """Run a stochastic `network` on `image` so many times.

    The random numbers are a function of `seed` alone, and the caller's random state is left as it was.
    """
    moments = RunningMoments()
    devices = [image.device] if image.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        for _ in range(samples):
            moments.add(network(image))
    return moments
