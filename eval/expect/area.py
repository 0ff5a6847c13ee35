"""Areas and accuracies of a map from a sample of labels, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

EM_STEPS = 200
"""of the search for shares; the likelihood is concave, and later steps move shares by less than 1e-4"""
LEAST_SHARE = 1e-3
"""share that a class starts from which the map does not show: it may be there all the same"""


@dataclass(frozen=True)
class AreaEstimate:
    """Accuracies of a map and shares of the land, each with its standard error; NaN where nothing can be said.

    Parameters
    ----------
    overall, overall_se : float
        share of the land that is mapped right
    user, user_se : NDArray[np.float64]
        (K,) of what is mapped as a class, the share that is it
    producer, producer_se : NDArray[np.float64]
        (K,) of what is a class, the share that is mapped as it
    share, share_se : NDArray[np.float64]
        (K,) of the land that is a class
    """

    overall: float
    overall_se: float
    user: Numbers
    user_se: Numbers
    producer: Numbers
    producer_se: Numbers
    share: Numbers
    share_se: Numbers


def estimate_areas(counts: Numbers, mapped: Numbers) -> AreaEstimate:
    """Unbiased shares of the land and accuracies, from labels that were drawn by mapped class.

    Parameters
    ----------
    counts : NDArray[np.float64]
        (K, K) labels that are mapped as class i (row) and are class j (column); numbers, or effective numbers
    mapped : NDArray[np.float64]
        (K,) share of the map that is class i; sums to 1

    Returns
    -------
    AreaEstimate
        exact for a stratified random sample; a class that is mapped but has fewer than two labels there adds no error

    Source
    ------
    Olofsson et al. 2014, Good practices for estimating area and assessing accuracy of land change, equations 1 to 11,
    doi 10.1016/j.rse.2014.02.015
    """
    n = counts.sum(1)
    seen = n > 0
    within = np.divide(counts, n[:, None], out=np.zeros_like(counts, dtype=float), where=seen[:, None])
    p = mapped[:, None] * within
    user = np.where(seen, within.diagonal(), np.nan)
    total = p.sum(0)
    producer = np.divide(p.diagonal(), total, out=np.full(len(total), np.nan), where=total > 0)
    left = np.where(n > 1, n - 1, np.inf)
    spread = within * (1 - within) / left[:, None]
    own = spread.diagonal()
    user_se = np.where(seen & (n > 1), np.sqrt(own), np.nan)
    overall_se = float(np.sqrt((mapped**2 * own).sum()))
    share_se = np.sqrt((mapped[:, None] ** 2 * spread).sum(0))
    # equation 7, in shares of the land
    of_class = mapped**2 * np.nan_to_num((1 - producer) ** 2) * own
    off = mapped[:, None] ** 2 * spread
    np.fill_diagonal(off, 0.0)
    variance = of_class + np.nan_to_num(producer**2) * off.sum(0)
    producer_se = np.divide(np.sqrt(variance), total, out=np.full(len(total), np.nan), where=total > 0)
    return AreaEstimate(float(p.trace()), overall_se, user, user_se, producer, producer_se, total, share_se)


def shares_of_land(rates: Numbers, mapped: Numbers, belief: float = 0.0) -> Numbers:
    """(..., K) shares of the land whose map would hold classes in shares `mapped`, by what the map makes of classes.

    The shares p that make mapped_i = sum_j p_j rates_ji most likely. Labels that were picked class by class say
    nothing of areas; how a class is mapped they do say, and the map says the rest.

    Parameters
    ----------
    rates : NDArray[np.float64]
        (..., K, K) of what is class j (row), the share that is mapped as class i (column)
    mapped : NDArray[np.float64]
        (K,) share of the map that is class i

    Source
    ------
    Saerens et al. 2002, Adjusting the outputs of a classifier to new a priori probabilities, doi
    10.1162/089976602753284446, on counts in place of probabilities
    """
    known = rates.sum(-1) > 0
    shares = np.where(known, mapped + LEAST_SHARE, 0.0)
    shares = shares / np.maximum(shares.sum(-1, keepdims=True), 1e-12)
    first = belief * shares
    for _ in range(EM_STEPS):
        expected = np.einsum("...j,...ji->...i", shares, rates)
        ratio = np.divide(mapped, expected, out=np.zeros_like(expected), where=expected > 1e-12)
        shares = shares * np.einsum("...i,...ji->...j", ratio, rates) + first
        shares = shares / np.maximum(shares.sum(-1, keepdims=True), 1e-12)
    return shares
