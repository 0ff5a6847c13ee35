"""The study of realism: fiction beside real tiles, tier by tier and by sampling distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from terraficta.eval.experiment import Experiment
from terraficta.eval.fidelity.variants import OF_THE_SCENE, change_scene
from terraficta.eval.realism.figure import draw_statistics
from terraficta.eval.realism.patch import SIDE_PX, Patches, cut_patches, figures_of
from terraficta.eval.realism.statistics import Statistics, distances, measure
from terraficta.eval.realism.twosample import LEAST, drift_limit, frechet, given_away, tell_apart
from terraficta.eval.table import Table
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.scaling import Scaling
from terraficta.pretrain.weights import SHIPPED, read_weights, weights_digest
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Tile

KIND = "realism"
TIERS = ("tier0", "tier1", "tier2", "tier3")
REAL = "real, other half"
PIXELS, DIRECTIONS = 120, 24
"""pixels of a tile whose features are looked at; directions in which those of real land vary most"""
MOST_TILES = 64
COARSEST_STEP, FINE_STEP = 1e-3, 1e-4
"""steps of stored reflectance: above the first a scale is none of a camera, and the second is taken"""
EIGHT_BIT_STEP = 1e-3
"""of uncalibrated products: 8 bits over the 0 to .25 that land mostly reflects"""
COSMETIC = 0.005
"""fall of the AUC from one tier to the next below which the tier is called cosmetic here"""


def camera_of(real: Tile) -> Sensor:
    """The sensor of a real tile with steps of stored numbers as fine as its own, in reflectance.

    A tileset's scale says how files are stored, and is 1 where they hold reflectance as floats or plain counts: a
    camera that recorded whole reflectances would see fiction as a uniform grey.
    """
    calibrated = real.level in ("BOA", "TOA")
    step = real.sensor.dn_scale if calibrated and real.sensor.dn_scale <= COARSEST_STEP else FINE_STEP
    return replace(real.sensor, dn_scale=step if calibrated else EIGHT_BIT_STEP, dn_offset=0.0)


def fictional(real: Tile, tier: str, scenes: int, seed: int) -> list[Tile]:
    """Fiction of all climates and seasons as the camera of a real tile sees it; grounds are the same in all tiers."""
    toa = real.level == "TOA"
    changes = [f"size_px={2 * SIDE_PX}", f"gsd_m=[{real.grid.gsd_m},{real.grid.gsd_m}]"]
    whole = read_scene_recipe("atlas_toa" if toa else "atlas", changes)
    recipe: SceneRecipe = whole if tier == "tier3" else change_scene(whole, OF_THE_SCENE[tier][1])
    return [tile for n in range(scenes) for tile in render(recipe, [SceneKey(seed, n)], camera_of(real))]


def halves(tiles: Sequence[Tile]) -> tuple[list[Tile], list[Tile]]:
    """Real tiles in two: other regions where there are several, else other scenes, else two sides of one place."""
    regions = sorted({str(tile.region) for tile in tiles})
    if len(regions) > 1:
        order = sorted(regions, key=lambda r: -sum(str(t.region) == r for t in tiles))
        sides: list[list[Tile]] = [[], []]
        for region in order:
            min(sides, key=len).extend(t for t in tiles if str(t.region) == region)
        return sides[0], sides[1]
    same_place = len({str(tile.grid.transform) for tile in tiles}) == 1 and tiles[0].grid.transform is not None
    if len(tiles) > 1 and not same_place:
        return list(tiles[::2]), list(tiles[1::2])
    left, right = [], []
    for tile in tiles:
        height, width = tile.grid.shape
        left.append(tile.crop(0, 0, height, width // 2))
        right.append(tile.crop(0, width // 2, height, width - width // 2))
    return left, right


@torch.no_grad()
def features_of(tiles: Sequence[Tile], mapper: Mapper) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(P, D) features of some pixels of tiles, each scaled by itself, and the tile of each."""
    found, of = [], []
    for number, tile in enumerate(tiles):
        side = min(*tile.grid.shape, 256)
        tile = tile.crop(0, 0, min(side, tile.grid.height_px), min(side, tile.grid.width_px))
        usable = torch.nonzero(tile.valid.flatten())[:, 0].numpy()
        if len(usable) == 0:
            continue
        at = SceneKey(0, number).at("features").rng().choice(usable, min(PIXELS, len(usable)), replace=False)
        views = Scaling.of_image(tile.image, tile.level)(tile.image)[None]
        reading = mapper.read(views, tile.sensor.centre_nm, tile.sensor.fwhm_nm, torch.from_numpy(np.sort(at)))
        found.append(reading.features.double().numpy())
        of.append(np.full(len(at), number, dtype=np.int64))
    return np.concatenate(found), np.concatenate(of)


def whitened(real: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """To the directions in which features (P, D) of real land vary most, in their deviations."""
    mean, (variance, axes) = real.mean(0), np.linalg.eigh(np.cov(real.T))
    turn = axes[:, -DIRECTIONS:] / np.sqrt(np.maximum(variance[-DIRECTIONS:], 1e-9))
    return lambda x: (x - mean) @ turn


def compare(
    folder: Path, tiers: Sequence[str], scenes: int, seed: int, mapper: Mapper, drawing: Path
) -> dict[str, Any]:
    """All comparisons of one tileset with fiction: a row a tier, and a row of its own two halves."""
    tileset = read_tileset(folder, verify=False)
    if tileset.dates > 1:
        raise Refusal(folder, "dates", 2, "tiles of one date", "leave this tileset out")
    every = [tileset[int(n)] for n in np.linspace(0, len(tileset) - 1, min(len(tileset), MOST_TILES)).round()]
    left, right = halves(every)
    one, two, real = cut_patches(left), cut_patches(right), cut_patches(every)
    features, of_tile = features_of(every, mapper)
    turn = whitened(features)
    limit = drift_limit(turn(features), of_tile)
    sides = [turn(features_of(side, mapper)[0]) for side in (left, right)]
    known = measure(real)
    x_real, names = figures_of(real)
    rows = {REAL: _apart(two, one) | {"frechet": frechet(*sides), "distances": distances(measure(two), measure(one)),
                                      "slope": measure(two).slope, "said": []}}  # fmt: skip
    drawn: dict[str, Statistics] = {"real": known}
    for tier in tiers:
        tiles = fictional(every[0], tier, scenes, seed)
        made = cut_patches(tiles)
        x, _ = figures_of(made)
        test = tell_apart(x, made.tile, x_real, real.tile)
        drawn[tier] = measure(made)
        rows[tier] = {
            "auc": test.auc, "frechet": frechet(turn(features_of(tiles, mapper)[0]), turn(features)),
            "distances": distances(drawn[tier], known), "slope": drawn[tier].slope,
            "said": given_away(names, x, x_real, test.weight),
        }  # fmt: skip
        if tier == tiers[-1]:
            rows[f"{tier}, pixels of twice the size"] = _pooled(tiles, every)
    draw_statistics(drawn, list(real.bands), drawing, f"{tileset.name}, {tileset.gsd_m:g} m")
    return {"gsd_m": tileset.gsd_m, "level": tileset.level, "limit": limit, "patches": len(real), "rows": rows,
            "real_slope": known.slope}  # fmt: skip


def _apart(a: Patches, b: Patches) -> dict[str, Any]:
    """Of parts of what there is, which may be too few to ask."""
    if min(len(a), len(b)) < LEAST:
        return {"auc": float("nan")}
    x, y = figures_of(a)[0], figures_of(b)[0]
    return {"auc": tell_apart(x, a.tile, y, b.tile).auc}


def _pooled(tiles: Sequence[Tile], real: Sequence[Tile]) -> dict[str, Any]:
    """Both at twice the sampling distance, by averaging: whether it is the finest scale that gives fiction away."""
    a, b = cut_patches(tiles, pooled=2), cut_patches(real, pooled=2)
    far = distances(measure(a), measure(b))
    return _apart(a, b) | {"frechet": float("nan"), "distances": far, "slope": measure(a).slope, "said": []}


def study_realism(
    tilesets: Sequence[Path],
    out: Path,
    *,
    tiers: Sequence[str] = TIERS,
    scenes: int = 24,
    seed: int = 5,
    weights: Path | None = None,
    tell: Callable[[str], None] = print,
) -> list[Table]:
    """Compare fiction with every tileset; a figure and a cell each."""
    mapper, _ = read_weights(weights)
    digest = weights_digest(weights or SHIPPED)
    plan = {"tiers": list(tiers), "scenes": scenes, "weights": digest}
    experiment = Experiment(out, KIND, plan, seed, {"weights": digest})
    found: dict[str, dict[str, Any]] = {}
    for folder in tilesets:
        drawing = out / f"{folder.name}.png"
        found[folder.name] = experiment.cell(
            plan | {"tileset": folder.name, "seed": seed},
            lambda f=folder, d=drawing: compare(f, tiers, scenes, seed, mapper, d),  # type: ignore[misc]
        )
        rows = found[folder.name]["rows"]
        tell(f"{folder.name}: " + ", ".join(f"{name} {row['auc']:.3f}" for name, row in rows.items()))
        tables = realism_tables(found, tiers)
        experiment.write(tables, [f"{name}.png" for name in found], sentences(found, tiers), tilesets=len(found))
    return tables


def realism_tables(found: dict[str, dict[str, Any]], tiers: Sequence[str]) -> list[Table]:
    """Told apart; statistics; what gives fiction away."""
    apart: list[list[Any]] = []
    statistics: list[list[Any]] = []
    away: list[list[Any]] = []
    for name, one in found.items():
        for label, row in one["rows"].items():
            drift = row["frechet"] is not None and row["frechet"] > one["limit"]
            alarm = "" if row["frechet"] is None or np.isnan(row["frechet"]) else "drift" if drift else "quiet"
            apart.append([name, one["gsd_m"], label, row["auc"], row["frechet"], one["limit"], alarm])
            far = row["distances"]
            statistics.append([name, label, *[far[key] for key in ("bands", "NDVI", "correlation", "variogram")],
                               row["slope"], one["real_slope"]])  # fmt: skip
        away += [[name, said] for said in one["rows"][tiers[-1]]["said"]]
    note_apart = (
        "AUC of a forest on levels, spreads, roughness, tails and correlations of patches of 32 px, cross-validated "
        "over tiles: .5 cannot be told apart. Beside it two halves of the real tiles (other regions, scenes, or sides "
        "of one). Frechet distance of the network's features in deviations of the real ones; drift: beyond what halves "
        "of the real tiles reach in 1 case of 20. Fiction is of all climates and seasons, a tileset of few places."
    )
    note = (
        "Distances to the real tiles: of quantiles of bands in units of their 5..95 % span (Wasserstein 1), of NDVI, "
        "of correlations (root mean square), of the logarithm of variograms; exponent of the power spectrum."
    )
    return [
        Table("Told apart", note_apart,
              ["tileset", "GSD [m]", "beside real", "AUC", "Frechet", "limit", "alarm"], apart),
        Table("Statistics", note, ["tileset", "beside real", "bands", "NDVI", "correlation", "variogram", "slope",
                                   "real slope"], statistics),
        Table("What gives fiction away", "Figures that the forest of the last tier looks at most, one of each kind.",
              ["tileset", "in words"], away),
    ]  # fmt: skip


def sentences(found: dict[str, dict[str, Any]], tiers: Sequence[str]) -> list[str]:
    """Whether tiers bring fiction nearer, or are cosmetic by this measure."""
    said = []
    for name, one in found.items():
        aucs = [one["rows"][tier]["auc"] for tier in tiers]
        mine, halves_apart = one["rows"][tiers[-1]]["distances"], one["rows"][REAL]["distances"]
        nearer = [key for key in ("bands", "NDVI", "correlation", "variogram") if mine[key] < halves_apart[key]]
        which = f"nearer to it than its two halves to each other in {', '.join(nearer)}" if nearer else "farther in all"
        said.append(f"{name}: fiction as a whole is {which}")
        for before, after, a, b in zip(tiers[:-1], tiers[1:], aucs[:-1], aucs[1:], strict=True):
            word = "brings it nearer" if a - b > COSMETIC else "is cosmetic by this measure"
            said.append(f"{name}: {after} {word}: AUC {a:.3f} to {b:.3f} (from {before})")
    return said
