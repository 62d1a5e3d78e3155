"""Small enhancers of every method, calibrated as a volume would."""

import torch

from ctloupe import methods
from ctloupe.enhance.exact import ExactSliceEnhancer
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.network.calibrate import calibrated
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.enhance.tiling import Tiling
from ctloupe.images.windows import IntensityWindow
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


def strong_flow(**changes):
    """An untrained flow whose last layers are made strong, so that every part of it matters; its samples are steps."""
    kind = methods.get("physics-flow")
    config = kind.configure("tiny", SMALL_BY_METHOD["physics-flow"] | {"texture": False} | changes)
    torch.manual_seed(0)
    network = kind.make_enhancer(config).eval().requires_grad_(False)
    for block in (*network.flow.trunk, *network.flow.leaving, network.flow.entering):
        block.second.weight.mul_(10)
        block.affine.weight.normal_(0, 0.3)
    network.flow.exit.weight.mul_(10)
    if network.texture is not None:
        network.texture.exit.weight.mul_(10)
    return LoadedModel("physics-flow", network, config.scale, patch_size=config.patch_size)


def enhanced(model, scan, region=None, mask=None, **options):
    """Voxels of a scan, or of a region of it, that a model makes with these options."""
    return SuperResolver(model, EnhanceOptions.of(options)).enhance(scan, mask, region).data


def enhanced_slice(network, scale, hu, tile):
    """A slice in HU as enhancing makes it with tiles of this size, in float32."""
    model = LoadedModel("test", network, scale, IntensityWindow(-1000, 500))
    options = EnhanceOptions(precision="float32", blend=0)
    return ExactSliceEnhancer(model, options, (1.0, 1.0), Tiling(tile=tile, copies=1)).enhance(hu, None, 0).values
