"""What a cube is worth learning from: forecasts of the NDVI of later dates by simple rules and by a small ConvLSTM.

Run: python tests/bench/forecast.py --cubes DIR [--minutes 3]

    terraficta synth make --recipe tier2 --sensor landsat5 --count 36 --size 32 --dates 16 --out out/series \
        --cubes out/cubes --set time.years=2 --set oversampling=1 --set air.clouds=[0,0.4] --set time.rain=[0,1]

The first half of the dates is known, with clouds; the weather and season of the others too, as a forecast of it would
be. Every third scene is for testing. Errors are of clear pixels.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xarray
from torch import Tensor, nn

DRIVERS = ("rain", "rise_m", "tide", "aot550")
NEAR = 0.08
"""width of the season within which dates count as the same time of the year, as a share of it"""
CROP_PX, BATCH, RATE, EVERY = 16, 10, 4e-3, 20
"""of a step of training: parts of scenes, for a core has minutes; steps between two looks at the scenes held out"""


@dataclass
class Series:
    """N scenes: ndvi (N, T, H, W), clear (N, T, H, W), weather (N, T, D), years (N, T) since the first midwinter."""

    ndvi: Tensor
    clear: Tensor
    weather: Tensor
    years: Tensor

    def some(self, at: list[int]) -> Series:
        return Series(self.ndvi[at], self.clear[at], self.weather[at], self.years[at])


def read(folder: Path) -> Series:
    """Every cube of a folder."""
    planes: list[list[Tensor]] = [[], [], [], []]
    for path in sorted(folder.glob("*.zarr")):
        with xarray.open_zarr(path) as cube:
            nm = cube["centre_nm"].values
            red, infrared = (cube["image"][:, int(np.abs(nm - want).argmin())].values for want in (660, 850))
            ndvi = (infrared - red) / np.maximum(infrared + red, 1e-3)
            season = cube["season"].values
            years = season + np.cumsum(np.diff(season, prepend=season[0]) < -1e-9)
            turn = 2 * np.pi * season
            weather = np.stack([np.sin(turn), np.cos(turn), *(cube[name].values for name in DRIVERS)], 1)
            for plane, value in zip(planes, (ndvi.clip(-1, 1), cube["clear"].values, weather, years), strict=True):
                plane.append(torch.from_numpy(np.ascontiguousarray(value)).float())
    return Series(*(torch.stack(plane) for plane in planes))


def persistence(data: Series, known: int) -> Tensor:
    """(N, T - known, H, W): the last clear value of each pixel, else the mean of the clear ones of its scene."""
    clear, ndvi = data.clear[:, :known], data.ndvi[:, :known]
    last = (ndvi * clear).sum((1, 2, 3), keepdim=True) / clear.sum((1, 2, 3), keepdim=True).clamp(min=1)
    last = last[:, 0].expand_as(ndvi[:, 0])
    for when in range(known):
        last = torch.where(clear[:, when] > 0, ndvi[:, when], last)
    return last[:, None].expand(-1, data.ndvi.shape[1] - known, -1, -1)


def climatology(data: Series, known: int) -> Tensor:
    """(N, T - known, H, W): clear values of each pixel weighed by how near in the year they lie; else persistence."""
    way = data.years[:, known:, None] - data.years[:, None, :known]
    way = (way + 0.5) % 1.0 - 0.5
    weight = torch.exp(-0.5 * (way / NEAR) ** 2)[..., None, None] * data.clear[:, None, :known]
    total = weight.sum(2)
    mean = (weight * data.ndvi[:, None, :known]).sum(2) / total.clamp(min=1e-9)
    return torch.where(total > 1e-4, mean, persistence(data, known))


class ConvLstm(nn.Module):
    """One layer of convolutional LSTM, which says by how much a date departs from the climatology.

    Source: X. Shi et al. 2015, arXiv:1506.04214, without peepholes.
    """

    def __init__(self, inputs: int, hidden: int = 20) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(inputs + hidden, 4 * hidden, 3, padding=1)
        self.out = nn.Conv2d(hidden, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, data: Series, usual: Tensor, known: int) -> Tensor:
        n, dates, height, width = data.ndvi.shape
        state = data.ndvi.new_zeros(n, self.hidden, height, width)
        cell, said = state, []
        for when in range(dates):
            weather = data.weather[:, when, :, None, None].expand(-1, -1, height, width)
            if when < known:
                clear = data.clear[:, when]
                seen, guide = data.ndvi[:, when] * clear, torch.zeros_like(clear)
            else:
                clear = torch.zeros_like(data.clear[:, when])
                seen, guide = usual[:, 0], usual[:, when - known]
            x = torch.cat([torch.stack([seen, clear, guide], 1), weather, state], 1)
            into, keep, show, new = self.gates(x).chunk(4, 1)
            cell = torch.sigmoid(keep) * cell + torch.sigmoid(into) * torch.tanh(new)
            state = torch.sigmoid(show) * torch.tanh(cell)
            if when >= known:
                said.append(usual[:, when - known] + self.out(state)[:, 0])
        return torch.stack(said, 1)


def error(said: Tensor, data: Series, known: int) -> Tensor:
    """Mean absolute error over clear pixels."""
    clear = data.clear[:, known:]
    return ((said - data.ndvi[:, known:]).abs() * clear).sum() / clear.sum().clamp(min=1)


def train(data: Series, known: int, minutes: float) -> tuple[ConvLstm, int]:
    """A network after so many minutes of one core's own time: as it was when it did best on every fifth scene."""
    torch.manual_seed(0)
    every = range(len(data.ndvi))
    held, data = data.some([n for n in every if n % 5 == 4]), data.some([n for n in every if n % 5 != 4])
    held_usual, best, kept = climatology(held, known), float("inf"), {}
    net = ConvLstm(3 + data.weather.shape[2])
    usual = climatology(data, known)
    optimiser, steps, start = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.05), 0, time.process_time()
    while (spent := (time.process_time() - start) / (60 * minutes)) < 1:
        optimiser.param_groups[0]["lr"] = RATE * (1 - 0.95 * spent)
        at = torch.randperm(len(data.ndvi))[:BATCH].tolist()
        y, x = (int(torch.randint(0, side - CROP_PX + 1, ())) for side in data.ndvi.shape[2:])
        part = (slice(None), slice(None), slice(y, y + CROP_PX), slice(x, x + CROP_PX))
        batch, guide = data.some(at), usual[at][part]
        batch = Series(batch.ndvi[part], batch.clear[part], batch.weather, batch.years)
        for axis in (2, 3):
            if torch.rand(()) < 0.5:
                batch = Series(batch.ndvi.flip(axis), batch.clear.flip(axis), batch.weather, batch.years)
                guide = guide.flip(axis)
        loss = error(net(batch, guide, known), batch, known)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if steps % EVERY == 0:
            with torch.no_grad():
                now = float(error(net(held, held_usual, known), held, known))
            if now < best:
                best, kept = now, {name: value.clone() for name, value in net.state_dict().items()}
        steps += 1
    net.load_state_dict(kept)
    return net, steps


def main(folder: Path, minutes: float) -> None:
    """Print a row a way."""
    data = read(folder)
    known = data.ndvi.shape[1] // 2
    every = range(len(data.ndvi))
    test, rest = data.some([n for n in every if n % 3 == 2]), data.some([n for n in every if n % 3 != 2])
    mean, spread = rest.weather.mean((0, 1)), rest.weather.std((0, 1))
    for part in (rest, test):  # what never changes says nothing
        part.weather = torch.where(spread > 1e-6, (part.weather - mean) / spread.clamp(min=1e-6), 0.0)
    net, steps = train(rest, known, minutes)
    with torch.no_grad():
        ways = {
            "persistence": persistence(test, known),
            "climatology": climatology(test, known),
            f"ConvLSTM, {steps} steps": net(test, climatology(test, known), known),
        }
    clear = test.clear[:, known:] > 0
    truth = test.ndvi[:, known:]
    told = truth.shape[1]
    print(f"{len(rest.ndvi)} scenes to learn from, {len(test.ndvi)} to test; {known} dates known, {told} to tell")
    print(f"{'way':24} {'MAE':>7} {'RMSE':>7} {'r2':>7}")
    for name, said in ways.items():
        off = (said - truth)[clear]
        r2 = float(torch.corrcoef(torch.stack([said[clear], truth[clear]]))[0, 1] ** 2)
        print(
            f"{name:24} {float(off.abs().mean()):7.4f} {float(off.square().mean().sqrt()):7.4f} {r2:7.3f}", flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cubes", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3.0)
    said = parser.parse_args()
    main(said.cubes, said.minutes)
