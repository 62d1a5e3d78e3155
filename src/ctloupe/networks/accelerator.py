"""What networks are computed on."""

from __future__ import annotations

import torch

from ctloupe.foundation.errors import OptionError


def resolve_accelerator(asked: str) -> str:
    """Return ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    OptionError
        If the accelerator that was asked for is not there.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(name for name, there in present.items() if there)
    if not present[asked]:
        raise OptionError(f"`accelerator` {asked}: none is present (see 'ctloupe doctor'); use auto or cpu")
    return asked
