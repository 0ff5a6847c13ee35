"""Cards of fiction: scenes with all the truth that a card reads, and their pages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from terraficta.synth.card.card import make_card, write_card_data
from terraficta.synth.card.page import Picture, write_card_page
from terraficta.synth.card.review import write_review
from terraficta.synth.card.sheet import LAYERS, sheet_of_tile
from terraficta.synth.corpus.contact_sheet import class_colours, hillshade, true_colour
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_folder
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.tile import Tile

REVIEW = "review.csv"
CLASSES = "what it is"
"""caption of the picture on which places are named"""
CLEAR_SLOPE = 0.2
"""mean slope at which shading shows the ground well; flatter ground is raised to it, and the caption says so"""
MOST_TIMES = 20
"""by which it is raised at most: more would show the last bits of a float"""


def card_recipe(recipe: SceneRecipe) -> SceneRecipe:
    """The recipe with the layers of truth that a card reads; the scenes stay what they are."""
    content = recipe.model_dump(mode="json")
    content["truth"]["layers"] = list(dict.fromkeys([*recipe.truth.layers, *LAYERS]))
    return SceneRecipe.from_dict(content, where=recipe.name)


def require_one_source(where: str, recipe: str | None, corpus: Path | None, example: str) -> None:
    """Refuse both a recipe and a corpus, and neither."""
    if (recipe is None) == (corpus is None):
        found = "both" if recipe else "neither"
        raise Refusal(where, "--recipe or --corpus", found, "one of them", f"write --recipe {example}")


def write_cards(tiles: Iterable[Tile], out: Path) -> list[Path]:
    """Write a page and a JSON a tile, and one reviewer's sheet for all; the pages' names.

    Raises
    ------
    Refusal
        where there is no tile
    """
    cards, pages = [], []
    with whole_folder(out) as partial:
        for tile in tiles:
            card = make_card(sheet_of_tile(tile))
            write_card_data(card, partial / f"{tile.id}.json")
            write_card_page(card, pictures_of(tile), CLASSES, partial / f"{tile.id}.html")
            cards.append(card)
            pages.append(out / f"{tile.id}.html")
        if not cards:
            raise Refusal("synth card", "tiles", 0, "at least one", "name scenes that the corpus has")
        write_review(cards, partial / REVIEW)
    return pages


def pictures_of(tile: Tile) -> dict[str, Picture]:
    """What a card shows of a tile: the image, its classes, its relief where heights are known."""
    seen = f"{tile.sensor.name}, {tile.grid.gsd_m:g} m, {tile.level}" + (f", {tile.date}" if tile.date else "")
    shown: dict[str, Picture] = {f"as {seen} sees it": true_colour(tile), CLASSES: class_colours(tile)}
    ground = tile.layers.get("elevation_m")
    if ground is None:
        return shown
    return shown | shaded_relief(ground.cpu().numpy(), tile.grid.gsd_m)


def shaded_relief(elevation_m: NDArray[np.float32], gsd_m: float) -> dict[str, Picture]:
    """Heights (H, W) [m] shaded, by a caption that says how often they were raised."""
    ground = torch.from_numpy(elevation_m).double()
    down, right = torch.gradient(ground, spacing=gsd_m)
    slope = float(torch.hypot(down, right).mean())
    times = max(1, round(CLEAR_SLOPE / max(slope, CLEAR_SLOPE / MOST_TIMES)))
    caption = "relief, lit from the north-west" + (f", heights × {times}" if times > 1 else "")
    return {caption: hillshade(ground * times, gsd_m)}
