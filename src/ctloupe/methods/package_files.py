"""Names of the two files of a model package, for who must not import what loads them."""

from typing import Final

DESCRIPTION: Final = "model.json"
WEIGHTS: Final = "weights.safetensors"
