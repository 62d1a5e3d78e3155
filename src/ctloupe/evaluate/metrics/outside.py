"""Metrics of other packages.

A package outside this one adds a metric by an entry point of the group ``ctloupe.metrics`` whose value is
``module:METRIC``, an instance of `Metric` that names the protocols it joins.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ctloupe.evaluate.metrics.base import Metric
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.plug_ins import plug_ins

GROUP: Final = "ctloupe.metrics"


def outside_metrics(protocol: str) -> tuple[Metric, ...]:
    """Metrics of other packages that join the protocol of that name, in the order of their entry points' names.

    Raises
    ------
    OptionError
        If one cannot be imported or is no metric.
    """
    return tuple(metric for metric in _outside() if protocol in metric.protocols)


@lru_cache(maxsize=1)
def _outside() -> tuple[Metric, ...]:
    found = []
    for entry in plug_ins(GROUP):
        try:
            metric = entry.load()
        except (ImportError, AttributeError) as error:
            raise OptionError(f"metric '{entry.name}' ({entry.value}) cannot be imported: {error}") from error
        if not isinstance(metric, Metric):
            raise OptionError(f"metric '{entry.name}' ({entry.value}) is {type(metric).__name__}, expected a Metric")
        found.append(metric)
    return tuple(found)
