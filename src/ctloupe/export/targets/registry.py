"""Which kinds of files a model can be exported to."""

from __future__ import annotations

from typing import Final

from ctloupe.export.targets import monai_bundle, onnx, openvino, torchscript
from ctloupe.export.targets.base import Target

TARGETS: Final[dict[str, Target]] = {
    one.name: one for one in (onnx.TARGET, torchscript.TARGET, monai_bundle.TARGET, openvino.TARGET)
}
