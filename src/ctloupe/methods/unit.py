"""Plain UNIT: SR-UNIT without MMSR loss, a baseline of SPIE 2020."""

from __future__ import annotations

from typing import Any, ClassVar

from ctloupe.methods.sr_unit import SRUnit

_WITHOUT_MMSR = {"ssim_clinical": 0.0, "ssim_micro": 0.0, "downsample": 0.0, "upsample": 0.0}


class Unit(SRUnit):
    """The same networks as SR-UNIT, so that the two differ in the loss alone."""

    name = "unit"
    summary = "shared-latent-space translation (UNIT) between image sizes, no MMSR loss"
    reference = "Liu et al. 2017, arXiv:1703.00848; as in SPIE 2020"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-4, "weights": _WITHOUT_MMSR},
        "tiny": {
            **SRUnit.presets["tiny"],
            "bicubic_skip": False,
            "weights": _WITHOUT_MMSR | {"adversarial_micro": 2.0, "cycle": 2.0, "reconstruction": 2.0},
        },
    }
