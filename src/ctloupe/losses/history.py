"""A buffer of earlier generated images for the discriminator (Shrivastava et al. 2017, as in CycleGAN)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class HistoryBuffer(nn.Module):
    """Hands the discriminator, half of the time, an image from the past instead of the newest.

    Its content and random state are part of ``state_dict``, so that a resumed training is shown the same images.

    Parameters
    ----------
    capacity
        Number of images kept; 0 passes every batch through unchanged.
    seed
        Seed of the buffer's own random choices.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        super().__init__()
        self.capacity = capacity
        self._images: list[Tensor] = []
        self._random = torch.Generator().manual_seed(seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return a batch of the same shape, detached, some of it from earlier calls."""
        images = images.detach()
        if self.capacity == 0:
            return images
        chosen = []
        for image in images:
            if len(self._images) < self.capacity:
                self._images.append(image.clone())
                chosen.append(image)
            elif torch.rand((), generator=self._random) < 0.5:
                index = int(torch.randint(self.capacity, (), generator=self._random))
                chosen.append(self._images[index])
                self._images[index] = image.clone()
            else:
                chosen.append(image)
        return torch.stack(chosen)

    def get_extra_state(self) -> dict[str, object]:
        """Return images and random state for a checkpoint."""
        return {"images": list(self._images), "random": self._random.get_state()}

    def set_extra_state(self, state: dict[str, object]) -> None:
        """Restore what `get_extra_state` returned."""
        images, random = state["images"], state["random"]
        if not isinstance(images, list) or not isinstance(random, Tensor):
            raise TypeError("a history buffer's state is a list of images and a random state")
        self._images = list(images)
        self._random.set_state(random.cpu())
