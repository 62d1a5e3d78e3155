"""Model packages of small networks with random weights, written without a training."""

import torch

from ctloupe import methods
from ctloupe.methods.package import Fingerprint, ModelCard, save_package
from small_config import SMALL_BY_METHOD
from small_enhancers import small_enhancer, strong_flow


def write_small_package(path, method, scaling="fixed", **changes):
    """Write the package of a method at scale 4 whose every part matters; `changes` are of its configuration."""
    kind = methods.get(method)
    if method == "physics-flow":
        model = strong_flow(**changes)
        network, changes = model.network, {"texture": False} | changes
    else:
        network = small_enhancer(method, 4, fixed=False)
        torch.manual_seed(3)
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.out_channels > 1:
                layer.weight.mul_(1.5)
    config = kind.configure("tiny", SMALL_BY_METHOD[method] | changes)
    save_package(
        path,
        network,
        ModelCard(
            method=method,
            preset="tiny",
            config=config.model_dump(mode="json"),
            scale=4,
            clinical_window=(-1000, 200),
            micro_window=(0, 10000),
            clinical_scaling=scaling,
            mask="none",
            fingerprint=Fingerprint(
                clinical_spacing=(0.6, 0.6),
                micro_spacing=(0.15, 0.15),
                clinical_percentiles={str(at): -1000 + 11 * at for at in range(101)},
                micro_percentiles={},
                patches={"clinical": 1, "micro": 1},
            ),
        ),
    )
    return path
