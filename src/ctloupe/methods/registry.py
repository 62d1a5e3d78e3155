"""Which methods there are, and where.

Listing names imports neither torch nor the methods. A package outside this one adds a method by an entry point of
the group ``ctloupe.methods`` whose value is ``module:Class``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.plug_ins import plug_ins

if TYPE_CHECKING:
    from ctloupe.methods.base import Method

GROUP = "ctloupe.methods"

_BUILT_IN = {
    "bicubic": "ctloupe.methods.bicubic:BicubicMethod",
    "nearest": "ctloupe.methods.nearest:NearestMethod",
    "lanczos": "ctloupe.methods.lanczos:LanczosMethod",
    "sr-cyclegan": "ctloupe.methods.sr_cyclegan:SRCycleGAN",
    "sr-unit": "ctloupe.methods.sr_unit:SRUnit",
    "unit": "ctloupe.methods.unit:Unit",
    "cyclegan": "ctloupe.methods.cyclegan:CycleGAN",
    "synth-srgan": "ctloupe.methods.synth_srgan:SynthSRGAN",
    "bayes-cyclegan": "ctloupe.methods.bayes_cyclegan:BayesCycleGAN",
    "cincgan": "ctloupe.methods.cincgan:CinCGAN",
    "pseudo-sr": "ctloupe.methods.pseudo_sr:PseudoSR",
    "esrgan": "ctloupe.methods.esrgan:ESRGAN",
    "srgan": "ctloupe.methods.srgan:SRGAN",
    "unet": "ctloupe.methods.unet:UNetMethod",
    "physics-srgan": "ctloupe.methods.physics_srgan:PhysicsSRGAN",
    "physics-flow": "ctloupe.methods.physics_flow:PhysicsFlow",
}


def _outside() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in plug_ins(GROUP) if entry.name not in _BUILT_IN}


def names() -> list[str]:
    """Names of all methods, this package's first."""
    return [*_BUILT_IN, *_outside()]


def get(name: str) -> type[Method]:
    """Return the class of the method called `name`.

    Raises
    ------
    OptionError
        If there is none of that name, or a plug-in cannot be imported.
    """
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name].split(":")
        found: type[Method] = getattr(import_module(module), attribute)
        return found
    outside = _outside()
    if name not in outside:
        raise OptionError(f"no method is called '{name}'; there are: {', '.join(names())}")
    try:
        loaded: type[Method] = outside[name].load()
    except (ImportError, AttributeError) as error:
        raise OptionError(f"method '{name}' ({outside[name].value}) cannot be imported: {error}") from error
    return loaded
