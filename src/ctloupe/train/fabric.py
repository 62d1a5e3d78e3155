"""The training step's link to Lightning Fabric: device, precision, ranks and optimisers."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from ctloupe.methods.base import Method
from ctloupe.networks.accelerator import resolve_accelerator
from ctloupe.networks.precision import hardware_has_bf16
from ctloupe.networks.training.rewrite import quicken
from ctloupe.train.settings import TrainSettings
from ctloupe.train.torchrun import devices_asked_for, torchrun


def resolve_precision(settings: TrainSettings, accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    """Return the precision that was asked for; ``auto`` is bf16 where the hardware has it."""
    if settings.precision != "auto":
        return settings.precision
    return "bf16-mixed" if hardware_has_bf16(accelerator) else "32-true"


def make_fabric(settings: TrainSettings) -> Fabric:
    """Build the Fabric of a run: several devices are processes of their own, started here or by torchrun.

    Raises
    ------
    OptionError
        If torchrun has started another number of processes.
    """
    accelerator = resolve_accelerator(settings.accelerator)
    precision = resolve_precision(settings, accelerator)
    # Fabric announces its precision on every start; the manifest of the run says it once.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    devices_asked_for(settings.devices)
    started = torchrun()
    strategy = "auto" if settings.devices == 1 else "ddp_spawn" if started is None else "ddp"
    return Fabric(
        accelerator=accelerator,
        devices=settings.devices if started is None else started.here,
        num_nodes=1 if started is None else started.machines,
        strategy=strategy,
        precision=precision,
    )


def _in_float32_on_a_cpu(fabric: Fabric) -> bool:
    with fabric.autocast():
        return fabric.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class FabricBackend:
    """Runs a method's trainables through Fabric (the `TrainingBackend` of `methods.base`).

    Parameters
    ----------
    fabric
        Fabric that is launched already.
    method
        Method whose trainables and optimisers are set up on the device of the fabric.
    channels_last
        Whether channels come last: of the weights of convolutions, which is faster in bf16, and on a CPU in float32 of
        features too, by layers that compute the same in quicker ways (`ctloupe.networks.training`).
    """

    def __init__(self, fabric: Fabric, method: Method, channels_last: bool = True) -> None:
        self.fabric = fabric
        method.to(fabric.device)
        if channels_last and _in_float32_on_a_cpu(fabric):
            quicken(method)
        elif channels_last:
            method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimisers: dict[str, Any] = {}
        self._trainables: dict[str, Any] = {}
        optimisers = method.optimisers()
        for name, trainable in method.trainables().items():
            self._trainables[name], self._optimisers[name] = fabric.setup(trainable, optimisers[name])
        self._rates = {name: [group["lr"] for group in one.param_groups] for name, one in self._optimisers.items()}

    def forward(self, trainable: str, *inputs: Tensor | None) -> Any:
        """Run `trainable` under the run's precision; outputs are float32."""
        return self._trainables[trainable](*inputs)

    def autocast(self) -> AbstractContextManager[Any]:
        """Precision context for networks that are not being updated."""
        return self.fabric.autocast()

    def update(self, trainable: str, loss: Tensor) -> None:
        """Back-propagate `loss` and step the optimiser of `trainable`."""
        optimiser = self._optimisers[trainable]
        optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        optimiser.step()

    def scale_learning_rate(self, factor: float) -> float:
        """Set every learning rate to `factor` times its configured value; return the first trainable's."""
        for name, optimiser in self._optimisers.items():
            for group, rate in zip(optimiser.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor
        return next(iter(self._rates.values()))[0] * factor

    def optimiser_states(self) -> dict[str, Any]:
        """State of every optimiser, for a checkpoint."""
        return {name: optimiser.state_dict() for name, optimiser in self._optimisers.items()}

    def load_optimiser_states(self, states: dict[str, Any]) -> None:
        """Restore what `optimiser_states` returned."""
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(states[name])
