"""Commands that write a corpus in forms that other tools read: `terraficta synth cube` and `terraficta synth boxes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

screen = Console(stderr=True)
Corpus = Annotated[Path, typer.Option(help="Folder that `synth make` wrote.")]
Out = Annotated[Path, typer.Option(help="New or empty folder.")]


def cube(corpus: Corpus, out: Out) -> None:
    """Write every scene of a corpus with dates as a Zarr cube: time, band, y, x, with masks, weather and CRS."""
    from terraficta.synth.corpus.cube import write_cubes

    names = write_cubes(corpus, out)
    screen.print(f"{len(names)} cubes: {out}", highlight=False)


def boxes(corpus: Corpus, out: Out) -> None:
    """Write pictures and the boxes of buildings as COCO and YOLO have them, for any detector."""
    from terraficta.synth.corpus.boxes import write_detection

    made = write_detection(corpus, out)
    screen.print(f"{made['images']} pictures with {made['boxes']} buildings: {out}", highlight=False)
