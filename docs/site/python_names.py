"""The reference of the Python names: those of the package itself, and the front doors of the verbs."""

from __future__ import annotations

import inspect
import re
from pkgutil import resolve_name

import ctloupe


def public_names() -> list[str]:
    """Return the public names of the package with their module, as ``ctloupe.read``."""
    return [f"ctloupe.{name}" for name in ctloupe.__all__ if not name.startswith("__")]


def front_doors(architecture: str) -> list[str]:
    """Return the front doors that the page on the architecture names and that have no shorter public name."""
    found: dict[str, None] = {}
    table = architecture.partition("| verb | front door |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        room = ""
        for name in re.findall(r"`([\w.]+)`", line.split("|")[2]):
            room = name.rpartition(".")[0] or room
            full = f"ctloupe.{name}" if "." in name else f"ctloupe.{room}.{name}"
            if name.rpartition(".")[2] not in ctloupe.__all__:
                found[full] = None
    return list(found)


def page(title: str, names: list[str]) -> str:
    """Return a page about names in Markdown: first a line about each, then what their docstrings say."""
    lines = [f"* {{py:obj}}`{name}`: {summary(name)}" for name in names]
    sections = [f"## {name}\n\n```{{eval-rst}}\n{_directive(name)}\n```" for name in names]
    return "\n\n".join([f"# {title}", _ABOUT, "\n".join(lines), *sections]) + "\n"


_ABOUT = (
    "Written from the docstrings. Axes are (z, y, x), spacings in mm, and what people can cause is raised as "
    "`CtLoupeError`, in one line."
)


def _directive(name: str) -> str:
    thing = resolve_name(name)
    if inspect.isclass(thing):
        return f".. autoclass:: {name}\n   :members:\n   :exclude-members: model_config"
    return f".. auto{'module' if inspect.ismodule(thing) else 'function'}:: {name}"


def summary(name: str) -> str:
    """Return the first line that a name says of itself."""
    return (inspect.getdoc(resolve_name(name)) or "").partition("\n\n")[0].replace("\n", " ")
