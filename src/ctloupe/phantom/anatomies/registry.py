"""Which anatomies there are, and where.

Listing names imports none of them. A package outside this one adds an anatomy by an entry point of the group
``ctloupe.anatomies`` whose value is ``module:OBJECT``, an `Anatomy` of the entry point's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Final

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.plug_ins import plug_ins

if TYPE_CHECKING:
    from ctloupe.phantom.anatomies.base import Anatomy

GROUP: Final = "ctloupe.anatomies"

BUILT_IN: Final = {
    "lung": "ctloupe.phantom.anatomies.lung:LUNG",
    "temporal-bone": "ctloupe.phantom.anatomies.temporal_bone:TEMPORAL_BONE",
    "lung-b": "ctloupe.phantom.anatomies.lung_b:LUNG_B",
}
"""Where the anatomies of this package are, by name."""

DEFAULT: Final = next(iter(BUILT_IN))
"""Name of the anatomy that is meant where none is named."""


def _outside() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in plug_ins(GROUP) if entry.name not in BUILT_IN}


def names() -> list[str]:
    """Names of all anatomies, this package's first."""
    return [*BUILT_IN, *_outside()]


@cache
def get(name: str) -> Anatomy:
    """Return the anatomy called `name`.

    Raises
    ------
    OptionError
        If there is none of that name, or a plug-in cannot be imported, is no `Anatomy` of its entry point's name, or
        has a label of another anatomy without having all of them.
    """
    if name in BUILT_IN:
        module, attribute = BUILT_IN[name].split(":")
        built_in: Anatomy = getattr(import_module(module), attribute)
        return built_in
    outside = _outside()
    if name not in outside:
        raise OptionError(f"no anatomy is called '{name}'; there are: {', '.join(names())}")
    try:
        loaded = outside[name].load()
    except (ImportError, AttributeError) as error:
        raise OptionError(f"anatomy '{name}' ({outside[name].value}) cannot be imported: {error}") from error
    return _sound(loaded, outside[name])


def _sound(loaded: object, entry: EntryPoint) -> Anatomy:
    """What an entry point gave, if it can stand beside the other anatomies."""
    from ctloupe.phantom.anatomies.base import Anatomy

    if not isinstance(loaded, Anatomy) or loaded.name != entry.name:
        raise OptionError(f"{entry.value} is no Anatomy whose name is '{entry.name}'; give both the same name")
    for other in names()[: names().index(entry.name)]:
        shared = set(loaded.tissues()) & set(get(other).tissues()) - {0}
        if shared and loaded.labels is not get(other).labels:
            raise OptionError(
                f"anatomy '{entry.name}' has label {min(shared)}, which is of '{other}'; give its labels other numbers"
            )
    return loaded


def anatomies() -> tuple[Anatomy, ...]:
    """All anatomies in the order of `names`."""
    return tuple(get(name) for name in names())


def of_labels(numbers: Iterable[int]) -> Anatomy | None:
    """Return the anatomy that label numbers are of: the one that has most of them, of several the first.

    Returns
    -------
    Anatomy or None
        None where no anatomy has any of them, since its rules would then be of other structures. Where there is
        nothing but 0, which is the outside of every anatomy, it is the first one, `DEFAULT`.
    """
    present = {int(number) for number in numbers} - {0}
    likely = max(anatomies(), key=lambda one: len(present & set(one.tissues())))
    return likely if not present or present & set(likely.tissues()) else None


def of_value(hu: float) -> Anatomy:
    """Return the anatomy that suits images whose middle value is `hu`: the narrowest display window that holds it.

    A value outside of all windows is taken for one of the first anatomy, `DEFAULT`.
    """
    holding = [one for one in anatomies() if one.display[0] <= hu <= one.display[1]]
    return min(holding, key=lambda one: one.display[1] - one.display[0], default=get(DEFAULT))


def tissue_names() -> dict[int, str]:
    """Name of the tissue of each label number of any anatomy."""
    return {number: tissue for one in anatomies() for number, tissue in one.tissues().items()}
