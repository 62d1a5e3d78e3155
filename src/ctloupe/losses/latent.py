"""Terms on the latent space of a variational autoencoder."""

from __future__ import annotations

from torch import Tensor


def unit_variance_divergence(mean: Tensor) -> Tensor:
    """Mean over elements of KL(N(mean, 1) ‖ N(0, 1)) = mean² / 2 (Liu et al. 2017, Eq. 4 with fixed variance).

    Parameters
    ----------
    mean
        Mean of the latent, of any shape.
    """
    return 0.5 * mean.float().square().mean()
