"""Shape similarity of unpaired slices by Hu moments: m-HuM of ISBI 2021 (Eq. 5)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

HuDistance = Literal["I1", "I2", "I3"]

_NEGLIGIBLE = 1e-5
"""Magnitude of a moment below which OpenCV's ``matchShapes`` leaves it out."""


def hu_moments(images: NDArray[np.floating]) -> NDArray[np.float64]:
    """Hu's seven invariants of grey-value images (Hu 1962, doi:10.1109/TIT.1962.1057692).

    Parameters
    ----------
    images : (n, y, x), not negative
        Grey values act as mass, so that background should be 0.

    Returns
    -------
    ndarray of shape (n, 7)
        0 for an image without mass.
    """
    count, height, width = images.shape
    y = np.arange(height, dtype=np.float64)
    x = np.arange(width, dtype=np.float64)
    result = np.zeros((count, 7))
    for index in range(count):
        image = np.asarray(images[index], dtype=np.float64)
        mass = image.sum()
        if mass <= 0:
            continue
        rows, columns = image.sum(1), image.sum(0)
        dy, dx = y - (rows @ y) / mass, x - (columns @ x) / mass
        vertical = np.stack([np.ones_like(dy), dy, dy**2, dy**3])
        horizontal = np.stack([np.ones_like(dx), dx, dx**2, dx**3])
        central = vertical @ image @ horizontal.T
        order = np.add.outer(np.arange(4), np.arange(4))
        result[index] = _invariants(central / mass ** (order / 2 + 1))
    return result


def _invariants(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hu's invariants of normalised central moments, indexed by the powers of (y, x)."""
    n20, n02, n11 = eta[0, 2], eta[2, 0], eta[1, 1]
    n30, n03, n21, n12 = eta[0, 3], eta[3, 0], eta[1, 2], eta[2, 1]
    p, q = n30 + n12, n21 + n03
    a, b = n30 - 3 * n12, 3 * n21 - n03
    return np.array(
        [
            n20 + n02,
            (n20 - n02) ** 2 + 4 * n11**2,
            a**2 + b**2,
            p**2 + q**2,
            a * p * (p**2 - 3 * q**2) + b * q * (3 * p**2 - q**2),
            (n20 - n02) * (p**2 - q**2) + 4 * n11 * p * q,
            b * p * (p**2 - 3 * q**2) - a * q * (3 * p**2 - q**2),
        ]
    )


def hu_distances(a: NDArray[np.float64], b: NDArray[np.float64], kind: HuDistance = "I2") -> NDArray[np.float64]:
    """Distance of every vector of `a` to every one of `b`, as OpenCV's ``matchShapes`` defines it.

    With ``m = sign(h) · log10 |h|``, and moments left out that are negligible in either image: I1 is
    Σ |1/m_a − 1/m_b|, I2 is Σ |m_a − m_b|, I3 is max |m_a − m_b| / |m_a|.

    Parameters
    ----------
    a, b : (n, 7) and (m, 7)
        Hu moments, as `hu_moments` returns them.

    Returns
    -------
    ndarray of shape (n, m)
    """
    small = (np.abs(a) <= _NEGLIGIBLE)[:, None] | (np.abs(b) <= _NEGLIGIBLE)[None]
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (np.sign(h) * np.log10(np.abs(h)) for h in (a, b))
        if kind == "I1":
            parts = np.abs(1 / second[None] - 1 / first[:, None])
        else:
            parts = np.abs(second[None] - first[:, None])
            if kind == "I3":
                parts = parts / np.abs(first[:, None])
    parts = np.where(small, 0.0, parts)
    return parts.max(2) if kind == "I3" else parts.sum(2)


def minimum_hu_distance(a: NDArray[np.float64], b: NDArray[np.float64], kind: HuDistance = "I2") -> float:
    """m-HuM: the distance of each image of `a` to the nearest of `b`, averaged over `a`; 0 is identical, no upper end.

    Parameters
    ----------
    a, b : (n, 7) and (m, 7)
        Hu moments, as `hu_moments` returns them.
    kind
        The paper does not name its distance; I2 here unless told otherwise.
    """
    nearest = [hu_distances(a[start : start + 256], b, kind).min(1) for start in range(0, len(a), 256)]
    return float(np.concatenate(nearest).mean())
