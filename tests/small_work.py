"""Pieces of work that other processes can import."""

import os
import time

from ctloupe.foundation.errors import OptionError


def squared(item, share):
    """The square of a number, half-way told."""
    share(0.5)
    time.sleep(0.05 * (item == 0))
    return item * item


def refused(item, share):
    """An error of a person's own."""
    raise OptionError(f"`item` {item}: expected another")


def killed(item, share):
    """A process that is ended from outside."""
    os.kill(os.getpid(), 9)


def slow(item, share):
    """So many seconds, in which the process can be stopped at any time."""
    time.sleep(item)
    return item
