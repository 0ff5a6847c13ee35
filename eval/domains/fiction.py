"""Fictional domains: climates and seasons whose truth is known, and labels of 500 m that are often wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from terraficta.synth.labels.mass import blocks, confuse
from terraficta.synth.render import render
from terraficta.synth.types.biome import BIOMES
from terraficta.synth.types.crosswalk import crosswalk_to
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

SEASONS = {"winter": 0.0, "spring": 0.25, "summer": 0.5, "autumn": 0.75}
"""as shares of the growing cycle"""
MODIS_M = 500.0
"""side of a pixel of the labels of SEN12MS [m]"""
MODIS_ACCURACY = 0.81
"""share of its land use labels that are right. Source: Schmitt et al. 2019,
doi:10.5194/isprs-annals-IV-2-W7-153-2019"""


@dataclass(frozen=True)
class FictionAmounts:
    """How much fictional land stands for a domain.

    Parameters
    ----------
    scenes : int
        of each
    size_px, gsd_m : float
        of a scene; 100 px of 20 m hold 16 blocks of 500 m
    seed : int
        of the world; not one that the weights were pretrained on
    """

    scenes: int = 12
    size_px: int = 100
    gsd_m: float = 20.0
    seed: int = 20_480


def recipe_of(amounts: FictionAmounts, climate: str, season: float | None = None) -> SceneRecipe:
    """Land of one climate seen by Sentinel-2 through clear air, as `atlas` has it; in one season, or in all."""
    changes = [
        f"size_px={amounts.size_px}", f"gsd_m=[{amounts.gsd_m},{amounts.gsd_m}]", f"cover.climates=[{climate}]",
        "instrument.sensors=[sentinel2a]",
    ]  # fmt: skip
    return read_scene_recipe("atlas", changes + ([] if season is None else [f"cover.season=[{season},{season}]"]))


def climate_tiles(amounts: FictionAmounts, climates: Sequence[str] = tuple(BIOMES)) -> Iterator[Tile]:
    """Scenes of each climate, `region` its name, in the classes of SEN12MS."""
    for number, climate in enumerate(climates):
        keys = [SceneKey(amounts.seed, 1000 * number + i) for i in range(amounts.scenes)]
        for tile in render(recipe_of(amounts, climate), keys, read_sensor("sentinel2a")):
            yield replace(translated(tile), region=climate)


def season_tiles(amounts: FictionAmounts, climate: str = "temperate") -> Iterator[Tile]:
    """The same scenes of one climate in each season, `date` its name, in the classes of SEN12MS."""
    keys = [SceneKey(amounts.seed, i) for i in range(amounts.scenes)]
    for season, share in SEASONS.items():
        for tile in render(recipe_of(amounts, climate, share), keys, read_sensor("sentinel2a")):
            yield replace(translated(tile), id=f"{tile.id}-{season}", date=season)


def translated(tile: Tile) -> Tile:
    """A fictional tile in the classes of SEN12MS."""
    walk = crosswalk_to("sen12ms_lccs")
    return tile.with_mass(walk(tile.mass), walk.target)


def coarse_labels(tile: Tile, accuracy: float = MODIS_ACCURACY, side_m: float = MODIS_M) -> Tile:
    """The tile with labels as SEN12MS has them: one class a block of 500 m, and in 19 % of the blocks a wrong one.

    The right class of a block is what covers most of it; a wrong one is any other class, all alike.
    """
    side_px = max(1, round(side_m / tile.grid.gsd_m))
    shares = blocks(tile.mass, side_px)
    hard = torch.nn.functional.one_hot(shares.argmax(0), len(tile.legend)).permute(2, 0, 1).float()
    hard = hard * (shares.sum(0) > 0)
    height, width = tile.grid.shape
    rows, columns = -(-height // side_px), -(-width // side_px)
    chance = torch.from_numpy(SceneKey(0, 0).at("coarse", tile.id).rng().random((rows, columns)))
    chance = chance.repeat_interleave(side_px, 0).repeat_interleave(side_px, 1)[:height, :width]
    return tile.with_mass(confuse(hard, even_confusion(len(tile.legend), accuracy), chance.to(hard)))


def even_confusion(classes: int, accuracy: float) -> Tensor:
    """(K, K) chance that a true class (row) is given as another."""
    wrong = (1 - accuracy) / max(classes - 1, 1)
    return torch.full((classes, classes), wrong).fill_diagonal_(accuracy)
