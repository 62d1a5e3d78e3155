"""The model card of a run: what its package says of method, windows, data and training."""

from __future__ import annotations

from typing import Any

from ctloupe.methods.base import MethodConfig
from ctloupe.methods.package import ModelCard, software_versions
from ctloupe.train.bank_pair import BankPair
from ctloupe.train.settings import TrainSettings


def model_card(
    settings: TrainSettings,
    config: MethodConfig,
    banks: BankPair,
    step: int,
    elapsed: float,
    findings: dict[str, float],
    started_from: dict[str, Any] | None = None,
) -> ModelCard:
    """Describe the model as trained so far, with what its method has found in the data.

    Where another run's networks were the start, that run's steps and seconds stand in the card too.
    """
    training = {"steps": step, "seconds": round(elapsed, 1), "seed": settings.seed, "findings": findings}
    return ModelCard(
        method=settings.method,
        preset=settings.preset,
        config=config.model_dump(mode="json"),
        scale=config.scale,
        clinical_window=(banks.clinical.window.low, banks.clinical.window.high),
        micro_window=(banks.micro.window.low, banks.micro.window.high),
        clinical_scaling=banks.clinical.scaling,
        micro_scaling=banks.micro.scaling,
        fingerprint=banks.fingerprint,
        mask=banks.clinical.mask or "lungs",
        training=training | ({"started_from": started_from} if started_from else {}),
        software=software_versions(),
    )
