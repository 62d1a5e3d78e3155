"""The contract of networks whose work splits into a part on the coarse grid and a part on the fine one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class SplitNetwork(nn.Module, ABC):
    """A network that first computes features on the grid of its input and then renders the output from them.

    Enhancing computes the features once for the whole slice and renders tile by tile, so that tiles overlap by the
    receptive field of `render` alone. A network that is not a `SplitNetwork` runs as a whole in every tile; no method
    or attribute that happens to have one of these names makes it one.
    """

    @abstractmethod
    def coarse_features(self, image: Tensor) -> Any:
        """Compute everything that happens on the coarse grid.

        Parameters
        ----------
        image : (n, 1, h, w) in [−1, 1]

        Returns
        -------
        Tensor of shape (n, c, h, w), or a tuple of such tensors
            Rows and columns lie where those of `image` do; there may be more of them at the far ends.
        """

    @abstractmethod
    def render(self, features: Any, image: Tensor) -> Tensor:
        """Compute the output from the features.

        Parameters
        ----------
        features
            What `coarse_features` returns, or the same rows and columns cut out of each of its tensors.
        image : (n, 1, h, w) in [−1, 1]
            The image that they come from, cut in the same way.

        Returns
        -------
        Tensor of shape (n, 1, s·h, s·w) in [−1, 1]
        """

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 1, h, w)`` in [−1, 1] to ``(n, 1, s·h, s·w)`` in [−1, 1]."""
        return self.render(self.coarse_features(image), image)
