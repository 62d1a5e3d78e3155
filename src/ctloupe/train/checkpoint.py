"""Checkpoints: tensors and plain data only, whole or not there at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.distributed
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.inputs import require_plain_file
from ctloupe.foundation.records import validated
from ctloupe.methods.base import Method

if TYPE_CHECKING:
    # Reading a checkpoint takes no Fabric, whose import takes a second.
    from ctloupe.train.fabric import FabricBackend

_NAME = re.compile(r"step-(\d+)\.ckpt")


class _Rank(BaseModel):
    """What differs between ranks."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    random: dict[str, torch.Tensor]
    extra: dict[str, Any]


class _State(BaseModel):
    """Content of a checkpoint."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    format_version: Literal[1]
    step: int = Field(ge=0)
    elapsed: FiniteFloat = Field(ge=0)
    method: dict[str, torch.Tensor]
    optimisers: dict[str, dict[str, Any]]
    ranks: list[_Rank] = Field(min_length=1)


_ONCE_CALLED = {"judge": "discriminator", "judges": "discriminators", "inner_judge": "inner_discriminator"}
"""Parts of methods by the names that they have in checkpoints of version 0.1."""


def _random_states() -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _rank_state(method: Method) -> dict[str, Any]:
    """Return what differs between ranks: random states and buffers of earlier images."""
    extra = {key: value for key, value in method.state_dict().items() if key.endswith("_extra_state")}
    return {"random": _random_states(), "extra": extra}


def save(folder: Path, step: int, elapsed: float, method: Method, backend: FabricBackend, keep: int) -> Path:
    """Write ``step-N.ckpt`` and delete all but the newest `keep`; every rank must call it.

    Returns
    -------
    Path
        The file of the checkpoint.
    """
    path = folder / f"step-{step:08d}.ckpt"
    fabric = backend.fabric
    ranks: list[Any] = [_rank_state(method)]
    if fabric.world_size > 1:
        ranks = [None] * fabric.world_size
        torch.distributed.all_gather_object(ranks, _rank_state(method))
    if fabric.is_global_zero:
        weights = {key: value for key, value in method.state_dict().items() if not key.endswith("_extra_state")}
        state = {
            "format_version": 1,
            "step": step,
            "elapsed": elapsed,
            "method": weights,
            "optimisers": backend.optimiser_states(),
            "ranks": ranks,
        }
        with replacing(path, overwrite=True) as temporary:
            torch.save(state, temporary)
        for old in found(folder)[:-keep]:
            old.unlink()
    fabric.barrier()
    return path


def found(folder: Path) -> list[Path]:
    """Checkpoints in `folder`, oldest first."""
    return sorted(path for path in folder.glob("step-*.ckpt") if _NAME.fullmatch(path.name))


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint without unpickling anything but tensors and plain data.

    Raises
    ------
    FileError
        If the file is damaged or holds something else.
    """
    require_plain_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged archive meets many places in the library, and each has an error of its own.
    except Exception as error:
        raise FileError(f"{path}: not a readable checkpoint; delete it to resume from the one before") from error
    if not isinstance(state, dict) or state.get("format_version") != 1:
        raise FileError(f"{path}: not a checkpoint of this version of ctloupe")
    known = validated(
        _State, state, f"{path}: damaged checkpoint", FileError, "delete it to resume from an older one"
    ).model_dump()
    return known | {"method": {_present_name(key): value for key, value in known["method"].items()}}


def _present_name(key: str) -> str:
    """Name that a weight has today."""
    part, *rest = key.split(".")
    inner = ["head" if one == "judge" else one for one in rest]
    return ".".join([_ONCE_CALLED.get(part, part), *inner])


def restore(state: dict[str, Any], method: Method, backend: FabricBackend, path: Path) -> None:
    """Bring method, optimisers and random states back to where `state`, read from `path`, was saved.

    Raises
    ------
    FileError
        If it does not fit the method.
    """
    try:
        _restore(state, method, backend)
    except (KeyError, IndexError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise FileError(
            f"{path}: does not fit this method ({str(error).splitlines()[0]}); delete it to resume from an older one"
        ) from error


def _restore(state: dict[str, Any], method: Method, backend: FabricBackend) -> None:
    own = state["ranks"][backend.fabric.global_rank % len(state["ranks"])]
    device = backend.fabric.device
    extra = {key: _on_device(value, device) for key, value in own["extra"].items()}
    method.load_state_dict(state["method"] | extra)
    backend.load_optimiser_states(state["optimisers"])
    torch.set_rng_state(own["random"]["cpu"])
    if device.type == "cuda" and "cuda" in own["random"]:
        torch.cuda.set_rng_state(own["random"]["cuda"])


def _on_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, dict) and "images" in value:
        return value | {"images": [image.to(device) for image in value["images"]]}
    return value
