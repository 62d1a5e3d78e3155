"""Small enhancers of every method, calibrated as a volume would."""

import torch

from ctloupe import methods
from ctloupe.enhance.network.calibrate import calibrated
from small_config import SMALL_BY_METHOD

NAMES = methods.names()
LOCAL = [name for name in NAMES if name not in ("lanczos", "pseudo-sr")]


def small_enhancer(name, scale, fixed=True):
    """A network with random weights; `fixed`: its normalisation statistics taken from random patches."""
    kind = methods.get(name)
    torch.manual_seed(0)
    config = kind.configure("tiny" if kind.trainable else None, SMALL_BY_METHOD[name] | {"scale": scale})
    network = kind.make_enhancer(config).eval().requires_grad_(False)
    random = torch.Generator().manual_seed(1)
    return calibrated(network, torch.rand(4, 1, 16, 16, generator=random) - 0.5) if fixed else network
