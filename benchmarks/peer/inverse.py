"""The estimated scanner as deepinv's physics, and deepinv itself."""

from __future__ import annotations

import torch
from torch import Tensor

from peer.pairs import Pairs

_NEVER_CALLED = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
"""Signature of the two operators that torchvision gives shape rules to while it is imported."""


def import_torchvision() -> None:
    """Import torchvision, also where its operators cannot be loaded.

    The wheel of the package index is built for CUDA: beside a torch for the CPU its library does not load, and the
    import fails with "operator torchvision::nms does not exist". deepinv wants none of its operators, only cropping,
    rotating and writing of images, which are Python: so both operators are declared, without any kernel.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", _NEVER_CALLED)
        import torchvision  # noqa: F401


import_torchvision()

import deepinv  # noqa: E402

from ctloupe.scanner.tensor_operator import TensorOperator  # noqa: E402


def scanner_physics(pairs: Pairs, span: tuple[float, float] = (-1.0, 1.0)) -> deepinv.physics.LinearPhysics:
    """Return blur and average over voxels as the scanner estimate says, with its noise; it keeps constants.

    Parameters
    ----------
    pairs
        Where the estimate is.
    span
        Values that −1 and 1 of the scan have in the algorithm.
    """

    def operator(images: Tensor) -> TensorOperator:
        return TensorOperator((pairs.scale, pairs.scale), torch.full((len(images), 2), pairs.blur))

    def scanned(image: Tensor, **unused: object) -> Tensor:
        return operator(image).forward(image)

    def back(scan: Tensor, **unused: object) -> Tensor:
        return operator(scan).adjoint(scan)

    noise = pairs.noise * (span[1] - span[0]) / 2
    return deepinv.physics.LinearPhysics(
        A=scanned,
        A_adjoint=back,
        noise_model=deepinv.physics.GaussianNoise(noise),
        solver="CG",
        max_iter=12,
        tol=1e-4,
        implicit_backward_solver=False,
    )
