"""What SRGAN, RCAN, EDSR and the G1 of JMI 2022 share: all but their trunks."""

from __future__ import annotations

from torch import Tensor, nn

from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import Padding, SubPixelStep, convolution, full_precision, steps_of_two
from ctloupe.networks.bounded import bounded
from ctloupe.networks.split import SplitNetwork


class SubPixelShell(SplitNetwork):
    """Head and trunk on the coarse grid, sub-pixel steps to the fine one, and a last convolution to one channel.

    Parameters
    ----------
    scale
        2, 4, 8 or 16.
    width
        Feature maps on the coarse grid; when narrowing, must be divisible by `scale`.
    head
        Maps ``(n, 1, h, w)`` to ``(n, width, h, w)``.
    trunk
        Maps ``(n, width, h, w)`` to the same shape. What it computes is added to its input, unless there is a `neck`.
    neck
        Maps what the trunk returns to the same shape; it stands in place of the skip around the trunk.
    last_kernel
        Odd size of the last convolution.
    last_padding
        Padding of the last convolution.
    normalised
        Whether the sub-pixel steps have a norm.
    narrowing
        Halve the width at each sub-pixel step instead of keeping it.
    bounded
        Apply tanh behind the last convolution.
    bicubic_skip
        Add the bicubic enlargement of the input to the output.

    Raises
    ------
    ValueError
        If `scale` or `width` is not as above.
    """

    def __init__(
        self,
        scale: int,
        width: int,
        *,
        head: nn.Module,
        trunk: nn.Module,
        neck: nn.Module | None = None,
        last_kernel: int,
        last_padding: Padding = "zeros",
        normalised: bool = False,
        narrowing: bool,
        bounded: bool,
        bicubic_skip: bool,
    ) -> None:
        super().__init__()
        steps = steps_of_two(scale)
        if narrowing and width % scale:
            raise ValueError(f"width {width} must be divisible by the scale {scale}")
        widths = [width >> step if narrowing else width for step in range(steps + 1)]
        self.scale, self.bounded, self.bicubic_skip = scale, bounded, bicubic_skip
        self.head, self.trunk, self.neck = head, trunk, neck
        self.tail = nn.Sequential(
            *(SubPixelStep(widths[step], widths[step + 1], normalised=normalised) for step in range(steps))
        )
        self.last: nn.Module = convolution(widths[-1], 1, last_kernel, padding=last_padding)

    def coarse_features(self, image: Tensor) -> Tensor:
        """Return the features ``(n, width, h, w)`` behind the trunk."""
        features: Tensor = self.head(image)
        if self.neck is None:
            return features + self.trunk(features)
        return self.neck(self.trunk(features))

    def render(self, features: Tensor, image: Tensor) -> Tensor:
        """Map the features and their image to ``(n, 1, s·h, s·w)`` in [−1, 1]."""
        return self.fine_image(features, image).clamp(-1, 1)

    def fine_image(self, features: Tensor, image: Tensor) -> Tensor:
        """Return the output before it is clamped to [−1, 1]."""
        detail = self.last(self.tail(features))
        detail = bounded(detail) if self.bounded else full_precision(detail)
        return enlarge_bicubic(image, self.scale) + detail if self.bicubic_skip else detail
