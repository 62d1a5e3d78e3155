"""CAREamics: CARE, a U-Net from the bicubic enlargement to the µCT, with its own training (Weigert et al. 2018)."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ctloupe.networks.bicubic import enlarge_bicubic
from peer.budget import Budget
from peer.inverse import import_torchvision
from peer.pairs import Pairs
from peer.volumes import Enhance

import_torchvision()

from careamics import CAREamist  # noqa: E402
from careamics.config import create_advanced_care_config  # noqa: E402
from pytorch_lightning.callbacks import Callback  # noqa: E402

PACKAGES = ("careamics",)
PATCHES, BATCH = 256, 4


class _Limited(Callback):
    """Ends the training when the budget is used."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def on_train_batch_end(self, trainer, *rest) -> None:
        if not self.budget.step():
            trainer.should_stop = True


def fit(pairs: Pairs, budget: Budget, seed: int) -> Enhance:
    """Return the network that CAREamics trained on 256 pairs, with its flips and quarter turns."""
    torch.manual_seed(seed)
    low, high = pairs.draw(PATCHES)
    plain = enlarge_bicubic(low, pairs.scale)
    side = high.shape[-1]
    config = create_advanced_care_config(
        experiment_name="care",
        data_type="array",
        axes="SYX",
        patch_size=[side, side],
        batch_size=BATCH,
        num_epochs=1_000_000,
        num_workers=0,
        seed=seed + 1,
        trainer_params={"enable_progress_bar": False, "accelerator": "cpu"},
    )
    folder = tempfile.TemporaryDirectory()
    care = CAREamist(config, work_dir=Path(folder.name), callbacks=[_Limited(budget)], enable_progress_bar=False)
    # Standard output is for the page.
    with contextlib.redirect_stdout(sys.stderr):
        care.train(train_data=plain[:, 0].numpy(), train_data_target=high[:, 0].numpy())

    # The folder holds the checkpoints that prediction reads: it lives as long as the function.
    def enhance(scan: Tensor, folder: tempfile.TemporaryDirectory = folder) -> Tensor:
        image = enlarge_bicubic(scan, pairs.scale)[:, 0].numpy()
        with contextlib.redirect_stdout(sys.stderr):
            (made,), _ = care.predict(image, axes="SYX", in_memory=True, num_workers=0)
        return torch.from_numpy(made).reshape(1, 1, *image.shape[-2:]).float()

    return enhance
