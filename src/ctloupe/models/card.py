"""The card of a model: what it is, what it was trained on, what it covers, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ctloupe import methods
from ctloupe.foundation.foreign_text import in_markdown
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.methods.package import ModelCard


def card_text(
    card: ModelCard,
    name: str,
    licence: str,
    about: str = "",
    demonstration: str = "",
    spacing: tuple[float, float] | None = None,
) -> str:
    """Return the card of a model in Markdown, made of what its package records and of what its packer says.

    Parameters
    ----------
    card
        Description of the model.
    name, licence, about, demonstration, spacing
        See `ctloupe.models.record.PackageRecord`.
    """
    kind = methods.get(card.method)
    parts = [
        f"# {in_markdown(name)}",
        f"**{RESEARCH_NOTICE}**",
        *(in_markdown(text) for text in (demonstration, about) if text),
        "## What it is\n\n"
        + _table(
            {
                "method": f"{card.method}: {kind.summary} ({kind.reference})",
                "preset": card.preset or "own settings",
                "enlargement": f"×{card.scale} in-plane",
                "licence": licence,
                "software": ", ".join(f"{one} {number}" for one, number in card.software.items()),
            }
        ),
        "## What it was trained on\n\n" + _table(dict(_training(card))),
        "## What it covers\n\n" + _table(dict(_covered(card, spacing))),
        *([_measured(card)] if card.metrics else []),
        "## What to distrust\n\n"
        "Fine detail is made up where the scan does not decide it, after what the training showed. A scan of another "
        "organ, voxel size, kernel or dose than above is enhanced all the same: `ctloupe enhance` says how unlike the "
        "training it is, and what it says goes before what the picture looks like.",
    ]
    return "\n\n".join(parts) + "\n"


def _training(card: ModelCard) -> Iterator[tuple[str, str]]:
    seen = card.fingerprint
    yield "patches", ", ".join(f"{count:,} {kind}" for kind, count in seen.patches.items())
    yield "voxels of the clinical scans", f"{_sizes(seen.clinical_spacing)} mm"
    yield "voxels of the µCT", f"{_sizes(seen.micro_spacing)} mm"
    yield "part of the scan", card.mask
    training = card.training
    if "steps" in training:
        yield (
            "training",
            f"{training['steps']:,} steps in {training.get('seconds', 0) / 60:.0f} min, seed {training['seed']}",
        )


def _covered(card: ModelCard, spacing: tuple[float, float] | None) -> Iterator[tuple[str, str]]:
    if spacing is not None:
        yield "voxels of a scan", f"{spacing[0]:g} to {spacing[1]:g} mm in-plane, without being asked"
    low, high = card.clinical_window
    yield "intensities", f"{low:g} to {high:g} HU; beyond, what the network makes of the nearest"
    half_width = (high - low) / 2
    for name, key, unit, factor in (
        ("blur of the scanner", "blur_range", "scan voxels (standard deviation)", 1.0),
        ("noise of the scanner", "noise_range", "HU", half_width),
    ):
        found: Any = card.config.get(key)
        if found is not None:
            yield name, f"{found[0] * factor:g} to {found[1] * factor:g} {unit}"
    percentiles = card.fingerprint.clinical_percentiles
    yield "HU of the training", f"{percentiles['1']:g} to {percentiles['99']:g} (percentiles 1 and 99)"


def _measured(card: ModelCard) -> str:
    """Tables of what was measured, one for each protocol: a row a metric, a column a row of the evaluation."""
    by_protocol: dict[str, dict[str, dict[str, float]]] = {}
    for key, value in card.metrics.items():
        protocol, name, label = key.split(": ", 2) if key.count(": ") >= 2 else ("", "value", key)
        by_protocol.setdefault(protocol, {}).setdefault(label, {})[name] = value
    parts = ["## What was measured"]
    for protocol, metrics in by_protocol.items():
        names = list(dict.fromkeys(name for row in metrics.values() for name in row))
        head = [f"| {' | '.join(['metric', *map(in_markdown, names)])} |", "|---" * (len(names) + 1) + "|"]
        rows = [
            "| " + " | ".join([in_markdown(label), *(_number(row.get(name)) for name in names)]) + " |"
            for label, row in metrics.items()
        ]
        parts += [*([f"Protocol {in_markdown(protocol)}."] if protocol else []), "\n".join([*head, *rows])]
    return "\n\n".join(parts)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _table(rows: dict[str, str]) -> str:
    lines = [f"| {in_markdown(name)} | {in_markdown(value)} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _sizes(values: tuple[float, ...]) -> str:
    return "×".join(f"{value:g}" for value in values)
