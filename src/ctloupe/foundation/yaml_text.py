"""YAML from others: plain data of bounded size, nothing else."""

from __future__ import annotations

from typing import Any, Final

import yaml

MOST_NODES: Final = 1_000_000
"""Keys and values that a text may stand for. A few lines of aliases of aliases can stand for billions."""


def parse_yaml(text: str) -> Any:
    """Return what a YAML text says, as `yaml.safe_load` does.

    Raises
    ------
    yaml.YAMLError
        If it is not YAML, or its aliases stand for more than `MOST_NODES` keys and values, or for themselves.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_NODES:
            raise yaml.YAMLError(f"its aliases stand for more than {MOST_NODES:,} values")
        return loader.construct_document(node)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    except ValueError as error:
        # A number or date that YAML's grammar takes and Python does not, as the 31st of February.
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """Number of keys and values below a node, those of aliases counted as often as they are meant."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if node not in known:
        known[node] = MOST_NODES + 1  # what holds itself has no end
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[node] = 1 + sum(_size(part, known) for part in parts)
    return known[node]
