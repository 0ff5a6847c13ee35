"""The commands of cards: `terraficta synth card` and `terraficta synth review`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from terraficta.synth.types.run import require_new_folder
from terraficta.synth.types.scene_recipe import read_scene_recipe

screen = Console(stderr=True)


def card(
    out: Annotated[Path, typer.Option(help="New or empty folder: NAME.html, NAME.json, and one review.csv.")],
    recipe: Annotated[str | None, typer.Option(help="Name of a recipe, or a YAML file; or else --corpus.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Folder that `synth make` wrote.")] = None,
    seed: Annotated[int, typer.Option(help="Of the world.")] = 7,
    index: Annotated[int, typer.Option(min=0, help="The first scene.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many scenes, a card each.")] = 1,
    sensor: Annotated[str | None, typer.Option(help="One sensor for all, or 'invented'.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of a tile in pixels, in place of the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    change: Annotated[list[str] | None, typer.Option("--set", help="field=value of the recipe")] = None,
) -> None:
    """Explain scenes, a page each: areas, patches, borders, relief, waters, settlements, and all that was drawn."""
    from terraficta.synth.card.scene import card_recipe, require_one_source, write_cards
    from terraficta.synth.corpus.corpus import read_corpus
    from terraficta.synth.corpus.order import asked_recipe
    from terraficta.synth.stream import stream_tiles
    from terraficta.synth.types.device import pick_device

    require_new_folder(out)
    require_one_source("synth card", recipe, corpus, "tier3")
    if corpus is not None:
        tiles = islice(read_corpus(corpus), index, index + count)
    else:
        asked = card_recipe(asked_recipe(read_scene_recipe(str(recipe), change), sensor, size))
        tiles = islice(stream_tiles(asked, seed, start=index, batch=1, device=pick_device(device)), count)
    for path in write_cards(tiles, out):
        screen.print(str(path), highlight=False)


def review(
    sheets: Annotated[list[Path], typer.Argument(help="CSV files that reviewers saved from cards, or filled in.")],
    out: Annotated[Path | None, typer.Option(help="CSV: all that was said, in one table.")] = None,
) -> None:
    """Read reviewers' sheets back: how often each aspect of fiction is called plausible, and why not."""
    from rich.table import Table

    from terraficta.synth.card.review import read_reviews, summarise_reviews
    from terraficta.synth.types.run import require_no_input, whole_file

    if out is not None:
        require_no_input([out], list(sheets))
    said = read_reviews(sheets)
    table = Table("source", "aspect", "judged", "plausible", "share", box=None)
    for row in summarise_reviews(said).to_dict("records"):
        table.add_row(row["source"], row["aspect"], str(row["judged"]), str(row["plausible"]), f"{row['share']:.2f}")
    Console().print(table)
    for row in said[(said["verdict"] == "not") & (said["why"] != "")].to_dict("records"):
        Console().print(f"{row['card']}, {row['aspect']}: {row['why']}", highlight=False, markup=False)
    if out is not None:
        with whole_file(out) as partial:
            said.to_csv(partial, index=False)


def context(
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="JSON lines: id, text, neighbours; one a tile of `synth make`.")],
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the world.")] = 7,
    index: Annotated[int, typer.Option(min=0, help="The first scene.")] = 0,
    sensor: Annotated[str | None, typer.Option(help="One sensor for all, or 'invented'.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of a tile in pixels, in place of the recipe's.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="field=value of the recipe")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that stands at --out.")] = False,
) -> None:
    """Tell what lies around tiles: settlements and waters by name, distance and bearing."""
    import json

    from terraficta.synth.card.surroundings import surroundings_of
    from terraficta.synth.corpus.order import asked_recipe
    from terraficta.synth.types.key import SceneKey
    from terraficta.synth.types.run import require_new_file, whole_file

    require_new_file(out, overwrite)
    asked = asked_recipe(read_scene_recipe(recipe, change), sensor, size)
    with whole_file(out) as partial, partial.open("w") as file:
        for number in range(index, index + count):
            for record in surroundings_of(asked, [SceneKey(seed, number)]):
                file.write(json.dumps(record) + "\n")
    screen.print(f"{count} tiles: {out}", highlight=False)
