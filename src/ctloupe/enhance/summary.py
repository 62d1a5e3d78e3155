"""What came of an enhancement, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class EnhancementSummary:
    """What came of an enhancement.

    Attributes
    ----------
    squares, total, voxels
        Sum of squares and sum of f↓(SR) − scan in HU inside the mask, and the number of voxels there.
    tiles, skipped
        Number of tiles in all, and of those outside the mask, which cost nothing.
    found_finished
        Whether nothing was done, because an earlier run had finished it.
    """

    squares: float = 0.0
    total: float = 0.0
    voxels: int = 0
    tiles: int = 0
    skipped: int = 0
    found_finished: bool = False

    def add(self, residual: tuple[float, float, int], tiles: int, skipped: int) -> None:
        """Take a slice, or several, into account; the arguments are those of `EnhancedSlice`."""
        self.squares += residual[0]
        self.total += residual[1]
        self.voxels += residual[2]
        self.tiles += tiles
        self.skipped += skipped

    def lines(self, masked: bool = True) -> list[str]:
        """Say it in words, `masked` where only a part of the scan was enhanced."""
        said = []
        if self.voxels:
            rms, bias = (self.squares / self.voxels) ** 0.5, self.total / self.voxels
            where = " inside the mask" if masked else ""
            said.append(f"consistency: mean of each block − scan{where}: RMS {rms:.2f} HU, bias {bias:+.2f} HU")
        if self.tiles and masked:
            said.append(f"skipped: {100 * self.skipped / self.tiles:.0f}% of the tiles lie outside the mask")
        return said
