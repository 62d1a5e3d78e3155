"""Processes of a training on several devices: what asks this one to stop or to save reaches them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch.multiprocessing.spawn import ProcessExitedException

from ctloupe.foundation.errors import Interrupted, TrainingError
from ctloupe.foundation.signals import deferred


def launched(fabric: Fabric, out: Path, rank: Callable[..., Any], *arguments: Any) -> Any:
    """Run `rank` in a process for each device, and return what the first of them does.

    Parameters
    ----------
    fabric
        Starts the processes.
    out
        Run folder, for the messages.
    rank, arguments
        What is called with the process's own Fabric and these.

    Raises
    ------
    Interrupted
        If a signal ended them before they could heed it.
    TrainingError
        If one ended without a word, as where memory runs out.
    """
    asked: list[int] = []

    def pass_on(number: int) -> None:
        for child in active_children():
            if child.pid is not None:
                os.kill(child.pid, number)

    def stop() -> None:
        asked.append(signal.SIGTERM)
        if not active_children():
            raise KeyboardInterrupt
        pass_on(signal.SIGTERM)

    launch: Any = fabric.launch  # its annotation leaves out the arguments it passes on
    with deferred(stop, lambda: pass_on(signal.SIGUSR1)):
        try:
            return launch(rank, *arguments)
        except ProcessExitedException as error:
            if asked:
                raise Interrupted(f"stopped before a step; continue with `resume` {out}") from error
            raise TrainingError(
                f"the process of a device ended ({error}), as where memory runs out; continue with `resume` {out}"
            ) from error
