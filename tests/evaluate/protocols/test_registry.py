"""The protocols and their metrics."""

from ctloupe.evaluate.protocols.registry import PROTOCOLS, metrics_by_label


def test_every_protocol_has_a_version_and_states_every_metric():
    assert set(PROTOCOLS) == {
        "paired-phantom",
        "jmi",
        "jmi-code",
        "synth",
        "isbi",
        "no-truth",
        "paired-micro",
        "kernel-pair",
    }
    for protocol in PROTOCOLS.values():
        assert protocol.version >= 1 and protocol.compares
        assert all(len(metric.meaning) > 10 for metric in protocol.metrics)
        assert {metric.label for metric in protocol.metrics} <= set(metrics_by_label())
