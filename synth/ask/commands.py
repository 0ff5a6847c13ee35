"""The command of questions: `terraficta synth ask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from terraficta.synth.types.run import require_new_folder
from terraficta.synth.types.scene_recipe import read_scene_recipe

screen = Console(stderr=True)


def ask(
    out: Annotated[Path, typer.Option(help="New or empty folder: questions.jsonl, sheets/, pictures/.")],
    corpus: Annotated[Path | None, typer.Option(help="Folder that `synth make` wrote, with heights.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Or a recipe: its corpus is made in OUT-corpus first.")] = None,
    scenes: Annotated[int, typer.Option(min=4, help="How many scenes of --recipe; 96 give 1,000 questions.")] = 96,
    count: Annotated[int, typer.Option(min=2, help="How many questions, at most.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the world of --recipe.")] = 7,
    sensor: Annotated[str | None, typer.Option(help="One sensor for all scenes of --recipe.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of a tile in pixels, in place of the recipe's.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make the corpus.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    change: Annotated[list[str] | None, typer.Option("--set", help="field=value of the recipe")] = None,
) -> None:
    """Ask questions with exact answers of fictional land, in five abilities; no answer can be told from the words."""
    from terraficta.synth.ask.questions import write_questions
    from terraficta.synth.card.scene import card_recipe, require_one_source
    from terraficta.synth.corpus.corpus import write_corpus

    require_new_folder(out)
    require_one_source("synth ask", recipe, corpus, "tier1")
    if corpus is None:
        corpus = out.with_name(f"{out.name}-corpus")
        asked = card_recipe(read_scene_recipe(str(recipe), change))
        write_corpus(asked, seed, scenes, corpus, sensor, size, workers, device)
        screen.print(f"{scenes} scenes: {corpus}", highlight=False)
    said = write_questions(corpus, out, count)["metrics"]
    shares = ", ".join(f"{number} {ability}" for ability, number in said["abilities"].items())
    screen.print(f"{said['questions']} questions ({shares}): {out}", highlight=False)
    blind = f"{100 * said['blind_ceiling']:.1f} % of them from the words alone, chance is {100 * said['chance']:.1f} %"
    screen.print(f"The best that knew all answers but no image could get {blind}.", highlight=False)
