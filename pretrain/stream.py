"""Batches: scenes of one sensor, stacked, and the endless supply of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.synth.corpus.corpus import read_corpus
from terraficta.synth.instrument.invented import draw_sensor
from terraficta.synth.labels.use import uses_of
from terraficta.synth.look import draw_look, frame_of, gsd_of
from terraficta.synth.render import see
from terraficta.synth.scene.ground import Ground
from terraficta.synth.store import GroundStore
from terraficta.synth.types.device import one_thread
from terraficta.synth.types.frame import SIDE_MULTIPLE, Frame
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Level, Tile


@dataclass(frozen=True)
class Batch:
    """Scenes of one sensor and one size.

    Parameters
    ----------
    image : Tensor
        (N, B, H, W) product units
    valid : Tensor
        (N, H, W) bool
    mass : Tensor
        (N, K, H, W) class mass
    material : Tensor
        (N, H, W) int64; tells kinds within a class apart, e.g. crops; 0 where unknown
    uses : Tensor
        (N, U, H, W) what each area is used for, 0 or 1
    sensor : Sensor
        its B bands
    level : Level
        what the numbers are
    """

    image: Tensor
    valid: Tensor
    mass: Tensor
    material: Tensor
    uses: Tensor
    sensor: Sensor
    level: Level

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        return Batch(
            self.image.to(device), self.valid.to(device), self.mass.to(device), self.material.to(device),
            self.uses.to(device), self.sensor, self.level,
        )  # fmt: skip


def stack_tiles(tiles: Sequence[Tile]) -> Batch:
    """Stack tiles of one sensor and one size."""
    first = tiles[0]
    for tile in tiles:
        if tile.sensor != first.sensor or tile.grid.shape != first.grid.shape:
            kind = f"{first.sensor.name} {first.grid.shape} like {first.id}"
            found = (tile.sensor.name, tile.grid.shape)
            raise Refusal(tile.id, "sensor, shape", found, kind, "batch tiles of one kind")
    unknown = torch.zeros(first.grid.shape, dtype=torch.int64, device=first.image.device)
    return Batch(
        image=torch.stack([t.image for t in tiles]),
        valid=torch.stack([t.valid for t in tiles]),
        mass=torch.stack([t.mass for t in tiles]),
        material=torch.stack([t.layers.get("material", unknown).long() for t in tiles]),
        uses=torch.stack([uses_of(t.mass, t.grid.gsd_m) for t in tiles]),
        sensor=first.sensor,
        level=first.level,
    )


class FictionStream(IterableDataset[Batch]):
    """Groups of scenes straight from the generator; group g is the same whoever renders it.

    Growing a ground costs most of a tile, and seeing it little: `recipe.pool` grounds are grown, wider than a tile, and
    each is seen `recipe.looks` times, through another camera under another sky, in another part. The first looks at all
    grounds of a pool come before the second ones, so that neighbouring groups are of different land.

    Parameters
    ----------
    recipe : PretrainRecipe
        its lands, sizes, scenes a group, grounds a pool and looks a ground
    seed : int
        of the world
    start : int
        first group
    device : str
        where to render
    folder : Path | None
        where grounds are kept for later runs; None: only as long as they are needed
    stride : int
        from group to group: of several processes that train together, each renders its own
    """

    def __init__(
        self, recipe: PretrainRecipe, seed: int, start: int, device: str, folder: Path | None = None, stride: int = 1
    ) -> None:
        self.recipe, self.seed, self.start, self.device, self.stride = recipe, seed, start, device, stride
        size = {"size_px": recipe.size_px}
        self.lands: list[SceneRecipe] = [read_scene_recipe(n).model_copy(update=size) for n in recipe.lands]
        shares = np.array(list(recipe.lands.values()))
        self.shares = shares / shares.sum()
        self.store = GroundStore(folder, most=recipe.pool * recipe.episode.scenes)

    @torch.no_grad()
    def group(self, number: int) -> Batch:
        """One look at one group of grounds, which are grown if they are not at hand."""
        recipe = self.recipe
        block, within = divmod(number, recipe.pool * recipe.looks)
        look, place = divmod(within, recipe.pool)
        ground = block * recipe.pool + place
        key = SceneKey(self.seed, ground).at("group")
        land = self.lands[key.at("land").rng().choice(len(self.lands), p=self.shares)]
        first = draw_sensor(land.instrument, key.at("sensor"))
        sensor = first if look == 0 else draw_sensor(land.instrument, key.at("look", look).at("sensor"))
        keys = [SceneKey(self.seed, ground * recipe.episode.scenes + i) for i in range(recipe.episode.scenes)]
        need = frame_of(land, first).margin
        frame = Frame.around(recipe.ground_px, land.oversampling, need)
        with one_thread():
            wide = self.store.grounds(land, keys, frame, [gsd_of(land, k, first) for k in keys]).to(self.device)
            part = self._part(wide, key.at("look", look), need)
            looks = [draw_look(land, own, k, look, sensor=sensor) for own, k in zip(part.lands, keys, strict=True)]
            return stack_tiles(see(land, part, looks))

    def first_looks(self, count: int) -> list[int]:
        """Numbers of groups that show ground which no other of them shows."""
        pool, looks = self.recipe.pool, self.recipe.looks
        return [n // pool * pool * looks + n % pool for n in range(count)]

    def _part(self, ground: Ground, key: SceneKey, margin: int) -> Ground:
        """As large a part of a ground as a tile, anywhere in it."""
        spare = ground.frame.size - self.recipe.size_px
        y, x = (int(v) for v in key.at("part").rng().integers(spare + 1, size=2))
        return ground.window(y, x, self.recipe.size_px, max(margin - SIDE_MULTIPLE // 2, 0))

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        if worker is not None:
            torch.set_num_threads(1)
        number = self.start + first * self.stride
        while True:
            yield self.group(number)
            number += workers * self.stride


class CorpusStream(IterableDataset[Batch]):
    """Groups of tiles from a corpus on disk, over and over, in a new order each time.

    Parameters
    ----------
    folder : Path
        of the corpus
    recipe : PretrainRecipe
        scenes a group and their size; larger tiles are cropped
    seed, start : int
        of the order, and the first group
    stride : int
        from group to group
    """

    def __init__(self, folder: Path, recipe: PretrainRecipe, seed: int, start: int, stride: int = 1) -> None:
        self.recipe, self.seed, self.start, self.stride = recipe, seed, start, stride
        self.kinds: dict[Sensor, list[Tile]] = {}
        for tile in read_corpus(folder):
            if min(tile.grid.shape) < recipe.size_px:
                raise Refusal(folder, "size_px", tile.grid.shape, f"tiles of {recipe.size_px} px or more",
                              "make a corpus of larger tiles, or use a recipe with a smaller size_px")  # fmt: skip
            self.kinds.setdefault(tile.sensor, []).append(tile)
        if not self.kinds:
            raise Refusal(folder, "tiles", 0, "at least one tile", "make the corpus first: terraficta synth make")

    def group(self, number: int) -> Batch:
        """Draw one group."""
        rng = SceneKey(self.seed, number).at("group").rng()
        kinds = list(self.kinds.values())
        kind = kinds[rng.choice(len(kinds), p=np.array([len(k) for k in kinds]) / sum(len(k) for k in kinds))]
        size, tiles = self.recipe.size_px, []
        for i in rng.choice(len(kind), self.recipe.episode.scenes, replace=len(kind) < self.recipe.episode.scenes):
            height, width = kind[i].grid.shape
            y, x = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
            tiles.append(kind[i].crop(y, x, size, size))
        return stack_tiles(tiles)

    def __iter__(self) -> Iterator[Batch]:
        number = self.start
        while True:
            yield self.group(number)
            number += self.stride


def group_loader(stream: IterableDataset[Batch], workers: int) -> DataLoader[Batch]:
    """Groups in order, made by `workers` processes ahead of time (0: by this one, when asked)."""
    ahead = {"prefetch_factor": 4, "multiprocessing_context": "spawn"} if workers else {}
    return DataLoader(stream, batch_size=None, num_workers=workers, **ahead)  # type: ignore[arg-type]
