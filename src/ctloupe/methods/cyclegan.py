"""The conventional CycleGAN, enlarging by upblocks and without MMSR loss: the baseline of SPIE 2020 and JMI 2022."""

from __future__ import annotations

from typing import Any, ClassVar

from ctloupe.methods.sr_cyclegan import SRCycleGAN

_WITHOUT_MMSR = {"ssim_clinical": 0.0, "ssim_micro": 0.0, "downsample": 0.0, "upsample": 0.0}


class CycleGAN(SRCycleGAN):
    """Network1 of JMI 2022: condition A of its Table 3."""

    name = "cyclegan"
    summary = "conventional CycleGAN with upblocks, no MMSR loss"
    reference = "Zhu et al. 2017, arXiv:1703.10593; as in JMI 2022"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"generator": "downblocks", "weights": _WITHOUT_MMSR},
        "tiny": {
            "generator": "upblocks",
            "batch_size": 2,
            "width": 16,
            "blocks": 4,
            "shrinking": "strided",
            "shrinking_width": 32,
            "shrinking_blocks": 3,
            "discriminator_width": 32,
            "discriminator_strides": 2,
            "learning_rate": 6e-4,
            "epochs": 10,
            "flips": True,
            "weights": _WITHOUT_MMSR | {"cycle": 2.0},
        },
    }
