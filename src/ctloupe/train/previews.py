"""Preview pictures: what the training makes of a fixed handful of patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ctloupe.foundation.atomic import replacing
from ctloupe.images.png import COMPRESS_LEVEL
from ctloupe.methods.base import Batch
from ctloupe.networks.bicubic import enlarge_bicubic

TILE = 256
CAPTION = 16
GAP = 4
MICRO_CAPTION = "micro-CT (another specimen)"


def write_preview(path: Path, batch: Batch, images: dict[str, torch.Tensor], step: int) -> None:
    """Write a PNG with one row a patch: clinical, bicubic, the method's own images, and a real µCT patch.

    Parameters
    ----------
    path
        The PNG to write.
    batch
        The patches that are shown.
    images
        Images of the method by caption, as `Method.preview` returns them.
    step
        Number of the step, which the first caption says.
    """
    scale = batch.micro.shape[-1] // batch.clinical.shape[-1]
    columns = {
        f"clinical (step {step})": batch.clinical,
        "bicubic": enlarge_bicubic(batch.clinical.float(), scale),
        **images,
        MICRO_CAPTION: batch.micro,
    }
    # One grey scale for everything that shows the clinical scene, another for the µCT patch: their units differ.
    clinical_range = _grey_range(batch.clinical, *images.values())
    micro_range = _grey_range(batch.micro)
    rows = batch.clinical.shape[0]
    sheet = Image.new("L", (len(columns) * (TILE + GAP) - GAP, rows * (TILE + GAP) - GAP + CAPTION), color=255)
    draw = ImageDraw.Draw(sheet)
    for column, (caption, stack) in enumerate(columns.items()):
        left = column * (TILE + GAP)
        draw.text((left + 2, 2), caption, fill=0)
        grey = micro_range if caption == MICRO_CAPTION else clinical_range
        for row, image in enumerate(stack[:, 0].float().cpu().numpy()):
            sheet.paste(_tile(image, grey), (left, CAPTION + row * (TILE + GAP)))
    with replacing(path, overwrite=True) as temporary:
        sheet.save(temporary, format="PNG", compress_level=COMPRESS_LEVEL)


def _grey_range(*stacks: torch.Tensor) -> tuple[float, float]:
    """Black and white that keep all but half a percent of each stack inside."""
    ends = [torch.quantile(one.float().flatten()[:1_000_000].cpu(), torch.tensor([0.005, 0.995])) for one in stacks]
    low, high = min(float(end[0]) for end in ends), max(float(end[1]) for end in ends)
    return low, max(high, low + 1e-3)


def _tile(image: NDArray[np.float32], grey: tuple[float, float]) -> Image.Image:
    levels = np.clip((np.nan_to_num(image, nan=grey[0]) - grey[0]) / (grey[1] - grey[0]), 0, 1) * 255
    picture = Image.fromarray(levels.astype(np.uint8))
    return picture.resize((TILE, TILE), Image.Resampling.NEAREST)
