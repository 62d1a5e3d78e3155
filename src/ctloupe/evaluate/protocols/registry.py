"""The protocols by name, and every metric by the label that records hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ctloupe.evaluate.metrics.base import Metric
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.isbi import ISBI
from ctloupe.evaluate.protocols.jmi import JMI, JMI_CODE
from ctloupe.evaluate.protocols.kernel_pair import KERNEL_PAIR_PROTOCOL
from ctloupe.evaluate.protocols.no_truth import NO_TRUTH
from ctloupe.evaluate.protocols.paired_micro import PAIRED_MICRO
from ctloupe.evaluate.protocols.paired_phantom import PAIRED_PHANTOM
from ctloupe.evaluate.protocols.synth import SYNTH

PROTOCOLS: Final[Mapping[str, Protocol]] = {
    one.name: one for one in (PAIRED_PHANTOM, JMI, JMI_CODE, SYNTH, ISBI, NO_TRUTH, PAIRED_MICRO, KERNEL_PAIR_PROTOCOL)
}


def metrics_by_label() -> dict[str, Metric]:
    """Every metric of every protocol, by the label that records and tables hold."""
    return {metric.label: metric for protocol in PROTOCOLS.values() for metric in protocol.metrics}
