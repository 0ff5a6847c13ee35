"""Significance of paired differences: sign flips, and Holm's correction for many of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terraficta.synth.types.key import SceneKey

EXACT = 14
"""differences up to which every assignment of signs is looked at: 16,384"""
FLIPS = 19_999
"""random assignments beyond that: the least p is 1 in 20,000"""


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of a mean difference of 0, by flipping the signs of paired differences.

    Exact for few differences, so n of them can give no p below 2 / 2^n: 6 units are needed for .05.

    Parameters
    ----------
    differences : Sequence[float]
        (n,) one a unit (scene or block); units are taken for independent
    seed : int
        of the random flips

    Source
    ------
    Fisher 1935, The design of experiments, section 21

    Examples
    --------
    >>> sign_flip_p([1.0, 1.0, 1.0, 1.0])
    0.125
    >>> sign_flip_p([1.0, -1.0])
    1.0
    """
    d = np.asarray([v for v in differences if not np.isnan(v)], dtype=np.float64)
    if len(d) == 0:
        return 1.0
    if len(d) <= EXACT:
        signs = 1.0 - 2.0 * ((np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1)
        means = signs @ d
        return float((np.abs(means) >= abs(d.sum()) - 1e-12).mean())
    rng = SceneKey(seed, 0).at("flips", len(d)).rng()
    signs = rng.integers(0, 2, (FLIPS, len(d)), dtype=np.int8) * 2.0 - 1.0
    as_far = (np.abs(signs @ d) >= abs(d.sum()) - 1e-12).sum()
    return float((1 + as_far) / (FLIPS + 1))


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """p values corrected for their number, in their order: the chance of any false alarm stays below the level.

    Source
    ------
    Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    found = np.empty_like(values)
    found[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return found
