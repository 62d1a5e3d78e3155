"""Slices as samples whose texture is drawn in one evaluation: tile by tile, all samples of a tile before the next."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ctloupe.enhance.flow import TRACED, Drawn, FlowSliceEnhancer
from ctloupe.enhance.samples import KeptSamples, RunningMoments
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.receptive_field import ReceptiveField, trace
from ctloupe.networks.tile import Tile


class TexturedSliceEnhancer(FlowSliceEnhancer):
    """A flow whose samples are its mean and a texture that a `TextureHead` draws.

    What all samples of a tile share, the mean and the features that it is made of, is computed once.
    """

    def footprint(self, shape: tuple[int, int]) -> float:
        """Bytes of features in work for a slice of `shape` on the scan's grid."""
        found = super().footprint(shape)
        texture = self._own.texture
        if texture is None or not (self.options.samples or self.options.output == "sample"):
            return found
        height, width = self.tile or shape
        halo = 2 * self._reach.halo
        area = (2 * height + halo) * (2 * width + halo)
        return found + 4.0 * area * texture.numbers_in_work(self.scale)

    def _traced(self, flow: FlowEnhancer) -> ReceptiveField:
        self._own = flow

        def drawn(image: Tensor, noise: Tensor) -> Tensor:
            return flow.textured(*flow.beginning(image), F.pixel_shuffle(noise, self.scale))

        return trace(drawn, torch.zeros(1, 1, TRACED, TRACED), torch.zeros(1, self.scale**2, TRACED, TRACED))

    def _draw(self, image: Tensor, tiles: list[Tile], index: int) -> Drawn:
        """Draw the samples that the options ask for, in all of the slice that `tiles` cover."""
        options, flow = self.options, self._flow
        assert isinstance(flow, FlowEnhancer)
        rows, columns = image.shape[-2:]
        plane = torch.zeros(rows * self.scale, columns * self.scale)
        chosen = plane.clone() if options.output == "sample" else None
        deviation = plane.clone() if options.samples else None
        quantiles = {one: plane.clone() for one in options.quantiles}
        for tile in self._regrouped(tiles, image.shape[-2:]):
            place, (part, inner) = self._place(tile), self._parts(tile)
            fine, mean = flow.beginning(image[..., *part])
            moments, kept = RunningMoments(), []
            for sample in range(max(1, options.samples)):
                noise = F.pixel_shuffle(self._noise(part, index, sample), self.scale).to(image.device)
                made = flow.textured(fine, mean, noise)[0, 0][self._fine_part(inner)]
                in_hu = self.window.from_unit(made.float()).cpu()
                if sample == 0 and chosen is not None:
                    chosen[place] = in_hu
                if deviation is not None:
                    moments.add(in_hu)
                if quantiles:
                    kept.append(in_hu)
            if deviation is not None:
                deviation[place] = moments.deviation
            if quantiles:
                whole, together = (slice(None), slice(None)), KeptSamples(kept)
                for one, made in quantiles.items():
                    made[place] = together.quantile(one, whole)
        return Drawn(chosen, deviation, (lambda one, place: quantiles[one][place]) if quantiles else None)
