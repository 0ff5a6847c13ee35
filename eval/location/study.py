"""The study of locations: encoders of place on a checkerboard over the globe, and at its poles and date line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional

from terraficta.eval.benchmark.summary import Interval
from terraficta.eval.experiment import Experiment
from terraficta.eval.location.harmonics import angles, harmonics, plain
from terraficta.eval.location.siren import make_siren
from terraficta.eval.table import Table
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.run import whole_file

matplotlib.use("Agg")
KIND = "location"
CELLS, CLASSES = 100, 16
"""fields of the checkerboard, alike in area, and the classes that they have in turn"""
POLAR_DEG = 60.0
"""latitude from which on a place counts as polar"""
DEGREES = 16
"""of the harmonics: features 12 degrees wide, fields are 20"""


@dataclass(frozen=True)
class Way:
    """An encoder of place and the network behind it.

    Parameters
    ----------
    name : str
        of both
    encode : Callable[[Tensor, Tensor], Tensor]
        longitude and latitude (P,) [deg] -> (P, F)
    layers : int
        of the network; 0: linear
    first : float
        frequency of its first layer
    """

    name: str
    encode: Callable[[Tensor, Tensor], Tensor]
    layers: int
    first: float = 30.0


def _harmonic(longitude_deg: Tensor, latitude_deg: Tensor) -> Tensor:
    return harmonics(longitude_deg, latitude_deg, DEGREES)


WAYS = (
    Way("harmonics, linear", _harmonic, 0),
    Way("harmonics, SIREN", _harmonic, 2),
    Way("sines of longitude and latitude, linear", angles, 0),
    Way("sines of longitude and latitude, SIREN", angles, 2, 10.0),
    Way("longitude and latitude, SIREN", plain, 2, 10.0),
)
"""frequencies of the first layer: 30 for harmonics as published; 10, chosen, for the others, whose inputs span less"""


def fibonacci(count: int) -> tuple[Tensor, Tensor]:
    """Longitude and latitude (P,) [deg] of points spread evenly over the sphere.

    Source
    ------
    Gonzalez 2010, doi:10.1007/s11004-009-9257-x
    """
    n = torch.arange(count, dtype=torch.float64)
    latitude = torch.rad2deg(torch.asin(2 * (n + 0.5) / count - 1))
    longitude = (360 * n / ((1 + math.sqrt(5)) / 2)) % 360 - 180
    return longitude, latitude


def on_sphere(longitude_deg: Tensor, latitude_deg: Tensor) -> Tensor:
    """(P, 3) unit vectors."""
    turn, up = torch.deg2rad(longitude_deg.double()), torch.deg2rad(latitude_deg.double())
    return torch.stack([torch.cos(up) * torch.cos(turn), torch.cos(up) * torch.sin(turn), torch.sin(up)], 1)


def checkerboard(longitude_deg: Tensor, latitude_deg: Tensor, cells: int = CELLS) -> Tensor:
    """(P,) class of places: that of the nearest of evenly spread points, which have the classes in turn.

    As in Russwurm et al. 2024, section 4.1
    """
    nearest = (on_sphere(longitude_deg, latitude_deg) @ on_sphere(*fibonacci(cells)).T).argmax(1)
    return nearest % CLASSES


def draw_places(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Longitude and latitude (P,) [deg] at random, alike by area."""
    rng = SceneKey(seed, count).at("places").rng()
    return (
        torch.from_numpy(rng.uniform(-180, 180, count)),
        torch.rad2deg(torch.asin(torch.from_numpy(rng.uniform(-1, 1, count)))),
    )


def train(way: Way, places: tuple[Tensor, Tensor], target: Tensor, seed: int, steps: int) -> nn.Module:
    """Fit a way to classes at places: whole batches, Adam, the rate falling to zero."""
    x = way.encode(*places).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make_siren(x.shape[1], CLASSES, layers=way.layers, first=way.first)
    mover = torch.optim.Adam(net.parameters(), 5e-3 if way.layers else 5e-2)
    falls = torch.optim.lr_scheduler.CosineAnnealingLR(mover, steps)
    for _ in range(steps):
        mover.zero_grad()
        functional.cross_entropy(net(x), target).backward()
        mover.step()
        falls.step()
    return net.eval()


@torch.no_grad()
def torn(way: Way, net: nn.Module) -> dict[str, float]:
    """Largest step of a probability across the date line, and among all directions at a pole (metres away)."""

    def said(longitude: Tensor, latitude: Tensor) -> Tensor:
        found: Tensor = torch.softmax(net(way.encode(longitude, latitude).float()), 1)
        return found

    latitude = torch.linspace(-89, 89, 179, dtype=torch.float64)
    edge = torch.full_like(latitude, 180 - 1e-6)
    line = (said(edge, latitude) - said(-edge, latitude)).abs().max()
    round_about = torch.linspace(-180, 180, 73, dtype=torch.float64)
    poles = [said(round_about, torch.full_like(round_about, side * (90 - 1e-5))) for side in (1, -1)]
    return {"line": float(line), "pole": max(float((p.amax(0) - p.amin(0)).max()) for p in poles)}


def ask(way: Way, seed: int, learn: int, steps: int) -> dict[str, Any]:
    """Accuracy of a way on new places, by latitude, and where it is torn."""
    places, others = draw_places(learn, seed), draw_places(5000, 1000 + seed)
    net = train(way, places, checkerboard(*places), seed, steps)
    with torch.no_grad():
        right = net(way.encode(*others).float()).argmax(1) == checkerboard(*others)
    polar = others[1].abs() > POLAR_DEG
    return {
        "accuracy": float(right.float().mean()), "polar": float(right[polar].float().mean()),
        "rest": float(right[~polar].float().mean()), **torn(way, net),
        "parameters": sum(p.numel() for p in net.parameters()),
    }  # fmt: skip


def study_location(
    out: Path, *, seeds: int = 3, learn: int = 5000, steps: int = 400, tell: Callable[[str], None] = print
) -> list[Table]:
    """Every way on the same checkerboards, a cell each."""
    plan = {"learn": learn, "steps": steps, "cells": CELLS, "classes": CLASSES, "degrees": DEGREES}
    experiment = Experiment(out, KIND, plan)
    rows: list[list[Any]] = []
    for way in WAYS:
        kind = {"way": way.name, "layers": way.layers, "first": way.first}
        found = [
            experiment.cell(plan | kind | {"seed": s}, lambda w=way, n=s: ask(w, n, learn, steps))  # type: ignore[misc]
            for s in range(seeds)
        ]
        level = Interval.of(pd.Series([f["accuracy"] for f in found]))
        means = [float(np.mean([f[key] for f in found])) for key in ("polar", "rest", "line", "pole")]
        rows.append([way.name, str(level), *means, found[0]["parameters"]])
        tell(f"{way.name}: {level}")
    note = (
        f"Accuracy on 5,000 new places after {learn} of a checkerboard of {CELLS} fields alike in area, {CLASSES} "
        f"classes; mean of {seeds} draws with the interval of Student's t. Polar: beyond {POLAR_DEG:g} degrees. Torn: "
        "the largest step of a probability across the date line, and among directions a metre from a pole; 0 is whole."
    )
    columns = ["encoder", "accuracy", "polar", "rest", "torn at the date line", "torn at a pole", "parameters"]
    tables = [Table("Where on Earth", note, columns, rows)]
    draw_boards(out / "boards.png", learn, steps)
    experiment.write(tables, ["boards.png"], ways=len(WAYS))
    return tables


def draw_boards(path: Path, learn: int, steps: int) -> None:
    """The north from above: the board itself, and what two ways make of it."""
    side = torch.linspace(-1, 1, 181, dtype=torch.float64)
    y, x = torch.meshgrid(-side, side, indexing="ij")
    radius = (x.square() + y.square()).sqrt()
    latitude, longitude = 90 - 45 * radius.flatten(), torch.rad2deg(torch.atan2(x, -y)).flatten()
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    places = draw_places(learn, 0)
    panels = [("the board", checkerboard(longitude, latitude))]
    for way in (WAYS[1], WAYS[3]):
        net = train(way, places, checkerboard(*places), 0, steps)
        with torch.no_grad():
            panels.append((way.name, net(way.encode(longitude, latitude).float()).argmax(1)))
    for axis, (title, values) in zip(figure.subplots(1, 3), panels, strict=True):
        plane = values.view(radius.shape).double().where(radius <= 1, torch.nan)
        axis.imshow(plane.numpy(), cmap="tab20", vmin=0, vmax=CLASSES - 1, interpolation="nearest")
        axis.set_title(f"{title}, north of 45 degrees" if title == "the board" else title, fontsize=9)
        axis.set_axis_off()
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=90, format="png")
