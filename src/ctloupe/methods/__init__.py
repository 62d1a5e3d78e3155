"""One file a method. `names` lists them without importing torch; `get` imports the one that is asked for."""

from ctloupe.methods.registry import get, names

__all__ = ["get", "names"]
