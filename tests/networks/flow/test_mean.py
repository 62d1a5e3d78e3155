"""The posterior mean as a plain network is that of the flow, for whichever scanner."""

import pytest
import torch

from ctloupe import methods
from ctloupe.networks.flow.mean import MeanNetwork
from small_config import SMALL_BY_METHOD


@pytest.mark.parametrize("blur", [0.2, 0.9])
def test_time_and_scanner_are_part_of_the_weights(blur):
    kind = methods.get("physics-flow")
    torch.manual_seed(0)
    enhancer = kind.make_enhancer(kind.configure("tiny", SMALL_BY_METHOD["physics-flow"])).eval()
    for block in (*enhancer.flow.trunk, *enhancer.flow.leaving):
        torch.nn.init.normal_(block.affine.weight, 0, 0.5)
        torch.nn.init.normal_(block.affine.bias, 0, 0.5)
    torch.nn.init.normal_(enhancer.flow.exit.weight)
    told = enhancer.with_scanner({"blur": blur, "noise": 0.03, "rise": 0.5, "roll_off": 0.4})
    image = torch.rand(2, 1, 13, 17) - 0.5
    with torch.no_grad():
        expected, found = told(image), MeanNetwork(told)(image)
        assert torch.allclose(found, expected, atol=1e-5)
        assert not torch.allclose(found, enhancer(image), atol=1e-4)
