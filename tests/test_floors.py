"""Imports go down the floors of the house only."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
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
    "datasets": 4,
    "display": 4,
    "methods": 5,
    "models": 5,
    "train": 6,
    "enhance": 6,
    "evaluate": 7,
    "export": 7,
    "studies": 8,
    "rate": 8,
    "viewer": 8,
    "napari_plugin": 8,
    "demo": 8,
    "doctor": 8,
    "cli": 9,
}
"""Rooms, and the one module that lies beside them, from the ground up."""


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


def files(room):
    """Python files of a room, or the one module of that name."""
    module = PACKAGE / f"{room}.py"
    return [module] if module.is_file() else sorted((PACKAGE / room).rglob("*.py"))


def statements(body):
    """Imports that run when a module is imported: not those inside functions, nor those for type checking."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            checked = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
            handlers = [one for handler in getattr(node, "handlers", []) for one in handler.body]
            rest = [*getattr(node, "orelse", []), *getattr(node, "finalbody", []), *handlers]
            yield from statements([*([] if checked else node.body), *rest])


def graph(package=PACKAGE):
    """Modules of a package by name, each with those that it needs when it is imported."""
    names = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found = {}
    for name, path in names.items():
        wanted = set()
        for node in statements(ast.parse(path.read_text(encoding="utf-8")).body):
            if isinstance(node, ast.Import):
                wanted |= {one.name for one in node.names}
            elif node.module:
                # A name that is no module is looked for in the package's own file.
                inner = {f"{node.module}.{one.name}" for one in node.names}
                wanted |= inner & names.keys() or {node.module}
        found[name] = wanted & names.keys()
    return found


def test_no_module_is_imported_in_a_circle():
    order = list(TopologicalSorter(graph()).static_order())
    assert order.index("ctloupe.foundation.errors") < order.index("ctloupe.enhance.resolver")
    assert order.index("ctloupe.enhance.job") < order.index("ctloupe.enhance.resolver")


def test_a_circle_would_be_seen_but_not_one_for_type_checking_or_inside_a_function(tmp_path):
    package = tmp_path / "circle"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("from circle.two import two\n")
    (package / "two.py").write_text("if TYPE_CHECKING:\n    import circle.one\ndef two():\n    import circle.one\n")
    assert graph(package)["circle.one"] == {"circle.two"}
    TopologicalSorter(graph(package)).prepare()
    (package / "two.py").write_text("try:\n    from circle import one\nexcept ImportError:\n    one = None\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph(package)).prepare()


def test_what_lies_under_the_enhancing_of_a_slice_knows_nothing_of_resolver_or_job():
    needed = graph()
    below = {name for name in needed if name.startswith(("ctloupe.enhance.network.", "ctloupe.enhance.store."))}
    above = {f"ctloupe.enhance.{name}" for name in ("request", "resolver", "job")}
    assert below and not {name for name in below if needed[name] & above}


def test_to_enhance_imports_nothing_of_training_whose_library_takes_seconds_to_import():
    needed, reached, new = graph(), set(), {"ctloupe.enhance.request"}
    while new:
        reached |= new
        new = {other for name in new for other in needed[name]} - reached
    assert "ctloupe.enhance.job" in reached and not {name for name in reached if name.startswith("ctloupe.train.")}


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_from_its_own_floor_or_below(room):
    upwards = {
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in files(room)
        for other in imported(path)
        if FLOORS[other] > FLOORS[room]
    }
    assert not upwards


def test_every_room_has_a_floor():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert rooms | modules == set(FLOORS)


def test_formats_and_geometry_need_no_torch():
    rooms = (PACKAGE / "foundation", PACKAGE / "volume", PACKAGE / "images")
    assert not [path.name for room in rooms for path in room.rglob("*.py") if "import torch" in path.read_text("utf-8")]


def test_a_scanner_needs_torch_for_tensors_only():
    rooms = (PACKAGE / "scanner").glob("*.py")
    found = {path.name for path in rooms if "import torch" in path.read_text("utf-8")}
    assert found == {"tensor_draw.py", "tensor_operator.py"}


def test_only_the_command_line_writes_options_as_flags():
    above = [path for path in PACKAGE.rglob("*.py") if "cli" not in path.relative_to(PACKAGE).parts]
    assert not [path.name for path in above if re.search(r"(?<![\w-])--[a-z{]", path.read_text("utf-8"))]
