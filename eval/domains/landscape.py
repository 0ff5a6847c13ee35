"""Landscapes: clusters of patches by colour or by features, and which domains each of them is at home in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from terraficta.eval.domains.domain import By, domain_name
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.scaling import Scaling
from terraficta.synth.types.tile import Tile

CLUSTERS = 16
"""as in the study of SEN12MS"""
SIDE_PX = 32
"""of a patch"""
DIRECTIONS = 24
"""of the features, those in which they vary most"""


@dataclass(frozen=True)
class Landscapes:
    """Patches of tiles, what they are like, and the domain of each.

    Parameters
    ----------
    place : list[tuple[int, int, int]]
        P of tile, row and column of the patch's corner
    domain : list[str]
        P names
    colour : NDArray[np.float64]
        (P, B) mean of each band, in deviations over all patches
    feature : NDArray[np.float64]
        (P, D) mean features, in the directions in which they vary most
    familiar : NDArray[np.float64]
        (P,) mean familiarity to fiction; NaN where the weights do not know it
    """

    place: list[tuple[int, int, int]]
    domain: list[str]
    colour: NDArray[np.float64]
    feature: NDArray[np.float64]
    familiar: NDArray[np.float64]


@torch.no_grad()
def see_landscapes(tiles: Sequence[Tile], by: By, mapper: Mapper) -> Landscapes:
    """Cut tiles that name a domain into patches without missing pixels, and ask the network about them.

    Every tile is scaled by itself for the network; colours are compared as they are stored.
    """
    place, domain, colour, feature, familiar = [], [], [], [], []
    for number, tile in enumerate(tiles):
        name = domain_name(tile, by)
        if name is None or min(tile.grid.shape) < SIDE_PX:
            continue
        views = Scaling.of_image(tile.image, tile.level)(tile.image)[None]
        features = mapper.read(views, tile.sensor.centre_nm, tile.sensor.fwhm_nm).features[0]
        known = mapper.familiarity
        scores = torch.full(tile.grid.shape, torch.nan) if known is None else (
            known(features.flatten(1).T).view(tile.grid.shape)
        )  # fmt: skip
        for y in range(0, tile.grid.height_px - SIDE_PX + 1, SIDE_PX):
            for x in range(0, tile.grid.width_px - SIDE_PX + 1, SIDE_PX):
                part = (slice(y, y + SIDE_PX), slice(x, x + SIDE_PX))
                if bool(tile.valid[part].all()):
                    place.append((number, y, x))
                    domain.append(name)
                    colour.append(tile.image[(slice(None), *part)].mean((1, 2)).double().numpy())
                    feature.append(features[(slice(None), *part)].mean((1, 2)).double().numpy())
                    familiar.append(float(scores[part].mean()))
    c, f = np.array(colour), np.array(feature)
    c = (c - c.mean(0)) / np.maximum(c.std(0), 1e-9)
    few = min(DIRECTIONS, len(f) - 1, f.shape[1])
    return Landscapes(place, domain, c, PCA(few, random_state=0).fit_transform(f), np.array(familiar))


def cluster(x: NDArray[np.float64], count: int = CLUSTERS) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cluster of each row (P,), largest cluster first, and the row nearest to each centre (k,)."""
    count = min(count, len(np.unique(x, axis=0)))
    found = KMeans(count, n_init=4, random_state=0).fit(x)
    order = np.argsort(-np.bincount(found.labels_, minlength=count), kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    nearest = np.argmin(((x[:, None] - found.cluster_centers_[order]) ** 2).sum(-1), axis=0)
    return rank[found.labels_], nearest


def at_home(clusters: NDArray[np.int64], domain: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
    """(k, D) P(domain | cluster) / P(domain): 1 where a cluster is as frequent in a domain as anywhere.

    Examples
    --------
    >>> at_home(np.array([0, 0, 1, 1]), ["a", "a", "b", "b"], ["a", "b"]).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    of = np.array(domain)
    table = np.array([[np.mean(of[clusters == k] == n) for n in names] for k in range(clusters.max() + 1)])
    return table / np.array([np.mean(of == n) for n in names])


def distinctness(clusters: NDArray[np.int64], domain: Sequence[str]) -> float:
    """Mutual information of cluster and domain by the domain's entropy: 0 alike everywhere, 1 all its own."""
    names, of = np.unique(np.array(domain), return_inverse=True)
    joint = np.zeros((clusters.max() + 1, len(names)))
    np.add.at(joint, (clusters, of), 1.0)
    joint /= joint.sum()
    p, q = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    some = joint > 0
    shared = float((joint[some] * np.log((joint / (p * q))[some])).sum())
    return shared / max(float(-(q[q > 0] * np.log(q[q > 0])).sum()), 1e-12)
