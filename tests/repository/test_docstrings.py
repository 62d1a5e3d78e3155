"""Docstrings stand alone: a reader of one line knows what is spoken of."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "ctloupe"
FRAGMENT = re.compile(
    r"(Of|As (in|from|the|those)|For|In(?!-)|From (the|its|`)|By|With|Without|On|Over|Under|Before|After|Among)\b"
)
"""Beginnings of what only goes on from a name that stands elsewhere."""


def strings(source):
    """Docstrings, those of attributes too, each with the number of its first line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def beginnings(docstring):
    """First line, and the first lines of the descriptions of parameters, each with its place in the docstring."""
    lines = docstring.expandtabs().splitlines()
    yield 0, lines[0].strip()
    depth = [len(line) - len(line.lstrip()) for line in lines]
    for place in range(2, len(lines)):
        if lines[place - 1].strip() and depth[place] > depth[place - 1]:
            yield place, lines[place].strip()


def fragments(source):
    """Lines of Python source at which a fragment begins, with its text."""
    return [
        (number + place, text)
        for number, docstring in strings(source)
        for place, text in beginnings(docstring)
        if FRAGMENT.match(text)
    ]


@pytest.mark.parametrize("room", sorted({path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")}))
def test_no_docstring_or_description_of_a_parameter_is_a_fragment(room):
    files = [PACKAGE / room] if room.endswith(".py") else (PACKAGE / room).rglob("*.py")
    found = {path.relative_to(PACKAGE).as_posix(): fragments(path.read_text(encoding="utf-8")) for path in files}
    assert not {name: lines for name, lines in found.items() if lines}


def test_no_help_of_an_option_is_a_fragment():
    found = []
    for path in (PACKAGE / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
                found += [(path.name, node.value.value)] if re.match(r"(Of|As|For)\b", node.value.value) else []
    assert not found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('LIMIT = 3\n"""Of the noise."""', [2]),
        ('"""What it does.\n\nParameters\n----------\nsigma\n    As in `other`.\n"""', [6]),
        ('"""In-plane spacing in mm."""', []),
        ('"""What it does.\n\nParameters\n----------\nsigma\n    Standard deviation of the noise in HU.\n"""', []),
    ],
)
def test_a_fragment_is_seen_where_it_stands(source, lines):
    assert [line for line, _ in fragments(source)] == lines
