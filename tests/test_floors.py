"""Imports go down the floors of the house only."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "ctloupe"
FLOORS = {
    "foundation": 0,
    "volume": 1,
    "images": 2,
    "scanner": 3,
    "networks": 4,
    "losses": 4,
    "prepare": 4,
    "phantom": 4,
    "methods": 5,
    "train": 6,
    "enhance": 6,
    "evaluate": 7,
    "studies": 8,
    "rate": 8,
    "demo": 8,
    "cli": 9,
}


def imported(path):
    """Rooms of the package that a file imports, wherever in the file, but for type checking."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "ctloupe" and len(parts) > 1 and parts[1] in FLOORS:
                yield parts[1]


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_from_its_own_floor_or_below(room):
    upwards = {
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in (PACKAGE / room).rglob("*.py")
        for other in imported(path)
        if FLOORS[other] > FLOORS[room]
    }
    assert not upwards


def test_every_room_has_a_floor():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(FLOORS)


def test_formats_and_geometry_need_no_torch():
    rooms = (PACKAGE / "foundation", PACKAGE / "volume", PACKAGE / "images")
    assert not [path.name for room in rooms for path in room.rglob("*.py") if "import torch" in path.read_text("utf-8")]


def test_a_scanner_needs_torch_for_tensors_only():
    rooms = (PACKAGE / "scanner").glob("*.py")
    assert [path.name for path in rooms if "import torch" in path.read_text("utf-8")] == ["tensor_operator.py"]


def test_only_the_command_line_writes_options_as_flags():
    above = [path for path in PACKAGE.rglob("*.py") if "cli" not in path.relative_to(PACKAGE).parts]
    assert not [path.name for path in above if re.search(r"(?<![\w-])--[a-z{]", path.read_text("utf-8"))]
