"""The command `terraficta synth narrow`: it reads real tiles, and so lives above the room that it is entered by."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

app = typer.Typer()
screen = Console(stderr=True)


@app.callback()
def room() -> None:
    """Commands of synth that read real tiles."""


@app.command("narrow")
def narrow_command(
    tileset: Annotated[Path, typer.Option(help="Folder with tileset.yaml; labels are not looked at.")],
    out: Annotated[Path, typer.Option(help="The narrowed recipe, a YAML file; report and picture stand beside it.")],
    recipe: Annotated[str, typer.Option(help="The wide recipe: a name, or a YAML file.")] = "atlas",
    scenes: Annotated[int, typer.Option(min=24, help="Scenes to draw and weigh in each round.")] = 240,
    rounds: Annotated[int, typer.Option(min=1, help="Times that the recipe is narrowed.")] = 2,
    window: Annotated[int, typer.Option(min=16, help="Side of the windows that are compared, in pixels.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the worlds.")] = 77,
    change: Annotated[list[str] | None, typer.Option("--set", help="field=value of the wide recipe.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands at --out.")] = False,
) -> None:
    """Narrow a recipe to real tiles without labels, and tell what could not be matched."""
    from terraficta.finetune.narrow.narrow import narrow
    from terraficta.finetune.narrow.report import (
        COLUMNS,
        alarm_line,
        real_windows,
        report_text,
        write_picture,
        write_recipe,
    )
    from terraficta.finetune.tileset.tileset import read_tileset
    from terraficta.synth.stream import stream_tiles
    from terraficta.synth.types.run import require_new_file, require_no_input, whole_file
    from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe

    report, picture = out.with_suffix(".md"), out.with_suffix(".png")
    for path in (out, report, picture):
        require_new_file(path, overwrite)
    require_no_input([out, report, picture], [recipe, tileset / "tileset.yaml"])
    tiles, wide = read_tileset(tileset), read_scene_recipe(recipe, change)
    with Progress(console=screen) as progress:
        task = progress.add_task("synth narrow", total=(rounds + 1) * scenes)
        found = narrow(wide, tiles, out.stem, scenes, window, seed, rounds, lambda n: progress.advance(task, n))
    write_recipe(found, out)
    with whole_file(report) as partial:
        partial.write_text(report_text(found))

    rows = [("real", real_windows(tiles, found.window_px))]
    for title, one in (("narrowed", found.recipe), ("wide", wide)):
        content = one.model_dump(mode="json") | {"size_px": found.window_px}
        drawn = stream_tiles(SceneRecipe.from_dict(content, where=one.name), seed + 2, batch=2, sensor=tiles.sensor)
        rows.append((title, list(islice(drawn, COLUMNS))))
    write_picture(rows, picture)
    said = alarm_line(found)
    if said is not None:
        screen.print(said)
    distance = found.distance
    screen.print(f"energy distance {distance['wide']:.3f} to {distance['narrowed']:.3f}: {out}, {report}, {picture}")
