"""Location alone: what coordinates explain of a quantity without an image, and whether a split lets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sklearn.linear_model import RidgeCV
from torch.nn import functional

from terraficta.eval.location.harmonics import harmonics
from terraficta.eval.location.siren import make_siren
from terraficta.synth.types.refusal import Refusal

DEGREE = 10
"""of the spherical harmonics, or waves along each side of the plane: 121 functions"""
FREQUENCY = 10.0
"""of the first sines on the plane: patterns of a twentieth of its side and more; chosen"""
STEPS, RATE, DECAY = 300, 3e-3, 0.1
"""of the training of the network: whole batches; more weight decay than usual, for values are noisy; chosen"""
PENALTIES = tuple(10.0**n for n in range(-3, 5))
BLOCKS = 4
"""blocks along a side, of which every other one is for testing, as a chess board"""
LEAK = 0.1
"""by how much coordinates may explain more of the test values than they do of blocks held out; chosen: with 200 test
points the standard error of a correlation's square is about 0.05"""
EARTH_M = 6_371_008.8
"""mean radius. Source: IUGG, Moritz 2000, doi:10.1007/s001900050278"""
COLUMNS = ("x", "y", "value")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Values at places.

    Parameters
    ----------
    xy : NDArray
        (P, 2) x and y [m], or longitude and latitude [deg]
    value : NDArray
        (P,)
    geographic : bool
        whether places are longitudes and latitudes
    test : NDArray | None
        (P,) bool: the split that somebody uses; None where there is none
    """

    xy: Floats
    value: Floats
    geographic: bool = False
    test: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Explained:
    """What coordinates alone explain, as Pearson's r squared on test points.

    Parameters
    ----------
    by : str
        nearest: value of the nearest training point; smooth: ridge on spherical harmonics, or on waves of the plane;
        siren: a network of sines on the same harmonics, or on the plane
    random : float
        a fifth of the points drawn at random
    blocked : float
        every other block of a chess board: what coordinates say of places that are far from all training points
    split : float | None
        the split that somebody uses
    leaks : bool | None
        whether `split` is above `blocked` by more than `LEAK`
    """

    by: str
    random: float
    blocked: float
    split: float | None
    leaks: bool | None


def explain_by_location(points: Points, seed: int = 0) -> list[Explained]:
    """What baselines that see nothing but coordinates explain of a quantity, under three splits.

    Parameters
    ----------
    points : Points
        at least 40
    seed : int
        of the random split

    Raises
    ------
    Refusal
        too few points, or values that are all alike
    """
    if len(points) < 40:
        raise Refusal("location", "points", len(points), "40 or more", "use more places")
    if float(np.ptp(points.value)) == 0:
        raise Refusal("location", "value", f"{points.value[0]:g} everywhere", "values that differ", "choose a quantity")
    chance = np.random.default_rng(seed).random(len(points)) < 0.2
    found = []
    for name, predict in BASELINES.items():
        random, blocked = (r_squared(points, test, predict) for test in (chance, chess_board(points)))
        split = None if points.test is None else r_squared(points, points.test, predict)
        found.append(Explained(name, random, blocked, split, None if split is None else split - blocked > LEAK))
    return found


def r_squared(points: Points, test: NDArray[np.bool_], predict: Callable[[Points, NDArray[np.bool_]], Floats]) -> float:
    """Pearson's r squared between the test values and what is predicted; 0 where either is constant, or r negative."""
    truth, said = points.value[test], predict(points, test)
    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(said) == 0:
        return 0.0
    return float(max(np.corrcoef(truth, said)[0, 1], 0.0) ** 2)


def chess_board(points: Points) -> NDArray[np.bool_]:
    """(P,) bool: every other of `BLOCKS` x `BLOCKS` blocks."""
    low, span = points.xy.min(0), np.ptp(points.xy, axis=0)
    block = ((points.xy - low) / np.maximum(span, 1e-12) * BLOCKS).astype(int).clip(0, BLOCKS - 1)
    return block.sum(1) % 2 == 1


def by_nearest(points: Points, test: NDArray[np.bool_]) -> Floats:
    """The value of the nearest training point, over the sphere where places are on it."""
    places = on_sphere(points.xy) if points.geographic else points.xy
    _, at = cKDTree(places[~test]).query(places[test])
    nearest: Floats = points.value[~test][at]
    return nearest


def by_smooth(points: Points, test: NDArray[np.bool_]) -> Floats:
    """Ridge regression on functions of the place."""
    features = on_harmonics(points.xy) if points.geographic else waves(points.xy)
    spread = features[~test].std(0)
    features = (features - features[~test].mean(0)) / np.where(spread > 0, spread, 1.0)
    said: Floats = RidgeCV(PENALTIES).fit(features[~test], points.value[~test]).predict(features[test])
    return said


def by_siren(points: Points, test: NDArray[np.bool_]) -> Floats:
    """A small network of sines, fed with spherical harmonics, or with the place on the plane in -1..1."""
    low, span = points.xy.min(0), np.maximum(np.ptp(points.xy, axis=0), 1e-12)
    place = on_harmonics(points.xy) if points.geographic else 2 * (points.xy - low) / span - 1
    x, value = torch.from_numpy(place).float(), torch.from_numpy(points.value).float()
    known = torch.from_numpy(~test)
    mean, spread = value[known].mean(), value[known].std().clamp(min=1e-12)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        net = make_siren(x.shape[1], 1, first=1.0 if points.geographic else FREQUENCY)
        mover = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
        falls = torch.optim.lr_scheduler.CosineAnnealingLR(mover, STEPS)
        for _ in range(STEPS):
            mover.zero_grad()
            functional.mse_loss(net(x[known])[:, 0], (value[known] - mean) / spread).backward()
            mover.step()
            falls.step()
    with torch.no_grad():
        said: Floats = net(x[~known])[:, 0].double().numpy()
    return said


BASELINES: dict[str, Callable[[Points, NDArray[np.bool_]], Floats]] = {
    "nearest": by_nearest, "smooth": by_smooth, "siren": by_siren,
}  # fmt: skip


def on_harmonics(longitude_latitude: Floats) -> Floats:
    """(P, (DEGREE + 1)^2) real spherical harmonics of places [deg]."""
    longitude, latitude = torch.from_numpy(longitude_latitude).double().T
    features: Floats = harmonics(longitude, latitude, DEGREE + 1).numpy()
    return features


def on_sphere(longitude_latitude: Floats) -> Floats:
    """(P, 3) places on the earth [m]."""
    longitude, latitude = np.deg2rad(longitude_latitude).T
    flat = np.cos(latitude)
    return EARTH_M * np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], 1)


def waves(xy: Floats) -> Floats:
    """(P, (DEGREE + 1)^2) products of cosines along both sides of the plane."""
    low, span = xy.min(0), np.ptp(xy, axis=0)
    place = (xy - low) / np.maximum(span, 1e-12)
    along = [np.cos(np.pi * np.arange(DEGREE + 1) * place[:, [axis]]) for axis in (0, 1)]
    return (along[0][:, :, None] * along[1][:, None, :]).reshape(len(xy), -1)


def read_points(path: Path, geographic: bool = False) -> Points:
    """A CSV with x, y, value, and if there is a split, a column `split` of train and test.

    Raises
    ------
    Refusal
        a missing column, a cell that is no number, an unknown word in `split`
    """
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise Refusal(path, "file", "nothing", "a table of points", "check the path") from None
    for column in COLUMNS:
        if column not in table:
            raise Refusal(path, column, f"columns {', '.join(map(str, table.columns))}", f"a column {column}", "add it")
        if not pd.api.types.is_numeric_dtype(table[column]) or not np.isfinite(table[column]).all():
            raise Refusal(path, column, "a cell that is no number", "numbers", "correct or drop the row")
    test = None
    if "split" in table:
        if not set(table["split"]) <= {"train", "test"}:
            raise Refusal(path, "split", sorted(set(table["split"]))[:4], "train and test", "use these words")
        test = (table["split"] == "test").to_numpy()
    return Points(table[["x", "y"]].to_numpy(float), table["value"].to_numpy(float), geographic, test)
