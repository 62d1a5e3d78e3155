"""Imports inside the room go one way."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import ctloupe.enhance

ROOM = Path(ctloupe.enhance.__file__).parent


def imported(path):
    """Modules of this room that a file imports, wherever in the file, and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ctloupe.enhance."):
            yield node.module


def graph():
    found = {}
    for path in ROOM.rglob("*.py"):
        name = ".".join(["ctloupe.enhance", *path.relative_to(ROOM).with_suffix("").parts])
        found[name] = set(imported(path))
    return found


def test_no_module_is_imported_in_a_circle():
    order = list(TopologicalSorter(graph()).static_order())
    assert order.index("ctloupe.enhance.job") < order.index("ctloupe.enhance.resolver")
    assert order[-1] == "ctloupe.enhance.request"


def test_what_lies_under_it_knows_nothing_of_resolver_or_job():
    below = {name: modules for name, modules in graph().items() if ".network." in name or ".store." in name}
    above = {f"ctloupe.enhance.{name}" for name in ("request", "resolver", "job")}
    assert below and not {name for name, modules in below.items() if modules & above}
