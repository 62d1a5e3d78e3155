"""Work in a process of its own, whose memory and time are limited and whose death is told."""

from __future__ import annotations

import json
import os
import resource
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctloupe.foundation.errors import CtLoupeError

MEMORY = 6 << 30
"""Address space of a process that reads, in bytes."""

SECONDS = 60


def in_a_process(work: Callable[[], dict[str, Any]], lines: Path) -> dict[str, Any]:
    """Do the work in a process of limited memory and time, and return what it found or how it died."""
    end, beginning = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        _limited(lines)
        os.write(beginning, json.dumps(work()).encode())
        os._exit(0)
    os.close(beginning)
    with os.fdopen(end, "rb") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"died": "hang" if name == "SIGALRM" else "crash", "message": name}
    if not text:
        return {"died": "crash", "message": f"no answer, status {os.WEXITSTATUS(status)}"}
    answered: dict[str, Any] = json.loads(text)
    return answered


def foreseen(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what the work found, or which kind of error it ended in."""
    try:
        return work()
    except CtLoupeError as error:
        return {"outcome": "refused", "message": str(error)}
    except MemoryError as error:
        return {"outcome": "memory", "message": repr(error)}
    except Exception:
        return {"outcome": "traceback", "message": traceback.format_exc()}


def _limited(lines: Path) -> None:
    out = os.open(lines, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(out, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
