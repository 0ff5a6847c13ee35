"""A scene that is read part by part gives the numbers of one that is in memory, and is never in memory as a whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rasterio.windows import Window
from tileset_maker import read_manifest_of, write_manifest, write_tileset

from terraficta.eval.expect.crossvalidation import patches_of
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.encoder import Encoder, labelled_parts
from terraficta.finetune.recipe import read_finetune_recipe
from terraficta.finetune.tileset import tileset as rooms
from terraficta.finetune.tileset import unread
from terraficta.finetune.tileset.labels import draw_labels, draw_pixels
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.types.tile import Tile

SIZE = 80


@pytest.fixture
def land(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tileset:
    """A tileset that passes for one beyond memory; parts are 16 rows, and not as wide as a scene."""
    folder = write_tileset(tmp_path / "made", size=SIZE)
    manifest = read_manifest_of(folder)
    for scene in manifest["scenes"]:
        scene.pop("fold", None)
    write_manifest(folder, manifest)
    monkeypatch.setattr(rooms, "MOST_NUMBERS", 1)
    monkeypatch.setattr(unread, "ROWS", 16)
    monkeypatch.setattr(unread, "MOST_NUMBERS", 16 * 48 * 5)
    return read_tileset(folder)


def test_parts_cover_a_tile_once_and_hold_what_it_holds(land: Tileset) -> None:
    here, far = list(land.tiles()), list(land.tiles(unread=True))
    assert [tile.id for tile in far] == [tile.id for tile in here]
    for one, other in zip(here, far, strict=True):
        assert isinstance(other, unread.UnreadTile)
        seen = torch.zeros(one.grid.shape)
        assert other.grid == one.grid
        for y, x, part in other.parts():
            high, wide = part.grid.shape
            assert high * wide < SIZE * SIZE / 4
            assert part == one.crop(y, x, high, wide)
            seen[y : y + high, x : x + wide] += 1
        assert bool((seen == 1).all())
        assert other.crop(60, 70, 50, 50) == one.crop(60, 70, 20, 10)
        assert torch.equal(other.mass, one.mass)
        assert other == one
        image, valid = other.thinned(3)
        assert image.shape[1:] == valid.shape == one.thinned(3)[1].shape


def test_labels_pixels_and_scaling_are_those_of_tiles_in_memory(land: Tileset) -> None:
    here, far = list(land.tiles("train")), list(land.tiles("train", unread=True))
    for number in (7, "all"):
        one, other = (draw_labels(tiles, number, 3) for tiles in (here, far))  # type: ignore[arg-type]
        assert one.pixels() == other.pixels()
        assert torch.equal(one.mass, other.mass)
    assert draw_pixels(here, 50, 1).pixels() == draw_pixels(far, 50, 1).pixels()
    labels = draw_labels(here, 7, 3)
    for mine, theirs in zip(labelled_parts(here, labels), labelled_parts(far, labels), strict=True):
        assert torch.equal(mine.image, theirs.image)
        assert torch.equal(mine.place, theirs.place)
    mapper = fresh_mapper(read_finetune_recipe("quick"), 0)
    for field in ("centre", "spread", "low", "high"):
        found = []
        for tiles in (here, far):
            encoder = Encoder.fit(mapper, tiles)
            ranges = [encoder.scaling.common, *encoder.by_scene.values()]
            found.append(torch.stack([getattr(one, field).flatten() for one in ranges]))
        # another order of the same pixels, or others of the same spread
        assert torch.allclose(found[0], found[1], rtol=0.05, atol=1e-3)


def test_a_strip_of_the_whole_width_gives_the_very_same_scaling(land: Tileset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "MOST_NUMBERS", 10**6)
    mapper = fresh_mapper(read_finetune_recipe("quick"), 0)
    one, other = (Encoder.fit(mapper, land.tiles("train", unread=far)) for far in (False, True))
    assert torch.equal(one.scaling.common.low, other.scaling.common.low)
    assert torch.equal(one.scaling.common.spread, other.scaling.common.spread)


def test_a_fold_by_blocks_is_the_same_in_parts(land: Tileset) -> None:
    grid = land.scenes[0].images[0].grid(land.gsd_m)
    whole = land.blocks(grid)
    assert set(whole.unique().tolist()) == {0, 1, 2}
    for part in (Window(0, 0, 33, 20), Window(47, 13, 33, 67), Window(10, 10, 1, 1)):
        rows, columns = part.toslices()
        assert torch.equal(land.blocks(grid, part), whole[rows, columns])


def test_fitting_never_asks_for_a_whole_scene(land: Tileset, monkeypatch: pytest.MonkeyPatch) -> None:
    read, asked = Tileset._read, []

    def spied(self: Tileset, scene: Any, part: Window | None = None, step: int = 1) -> Tile:
        asked.append((SIZE, SIZE) if part is None else (part.height, part.width))
        return read(self, scene, part, step)

    monkeypatch.setattr(Tileset, "_read", spied)
    tiles = list(land.tiles("train", unread=True))
    labels = draw_labels(tiles, 5, 0)
    Encoder.fit(fresh_mapper(read_finetune_recipe("quick"), 0), tiles).at(tiles, labels)
    # windows of labels are larger than this small scene; all else is read in parts
    assert sum(size == (SIZE, SIZE) for size in asked) == len(torch.unique(labels.tile))
    assert asked.count((16, 48)) > 10


@pytest.mark.parametrize("seed", range(3))
def test_patches_of_listed_pixels_are_those_of_the_plane(seed: int) -> None:
    from scipy.ndimage import label

    plane = np.random.default_rng(seed).random((13, 17)) < 0.4
    plane[:, [0, -1]] |= plane[:, [-1, 0]]  # patches that must not touch around the edge
    y, x = np.nonzero(plane)
    pixels, patches = patches_of(y, x, 17)
    expected, count = label(plane, np.ones((3, 3)))
    assert np.array_equal(pixels, np.flatnonzero(plane))
    pairs = set(zip(patches.tolist(), expected[plane].tolist(), strict=True))
    assert len(pairs) == count == patches.max() + 1
