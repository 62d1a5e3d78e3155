"""What tests of the compiled code share."""

import pytest
import torch

from ctloupe.networks.compiled import library

compiled = pytest.mark.skipif(not library.registers(), reason="this installation has no compiled code")


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def channels_last(image):
    """In memory one pixel after the other, also where one of the sides is 1 and strides would not tell."""
    return image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
