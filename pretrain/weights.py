"""Weights on disk: a mapper, the recipe that made it, and its run record, in one file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file

FORMAT = 1


def write_weights(path: Path, mapper: Mapper, record: dict[str, Any]) -> None:
    """Write weights whole or not at all."""
    legend = mapper.legend
    content = {
        "terraficta": FORMAT,
        "model": mapper.recipe.model_dump(mode="json"),
        "legend": [legend.name, list(legend.classes), list(legend.colours)],
        "record": record,
        "weights": {name: value.detach().cpu() for name, value in mapper.state_dict().items()},
    }
    with whole_file(path) as partial:
        torch.save(content, partial)


def read_weights(path: str | Path) -> tuple[Mapper, dict[str, Any]]:
    """Read weights written by `write_weights`: the mapper, in evaluation mode, and its run record.

    Raises
    ------
    Refusal : for a missing or damaged file, or one that is something else
    """
    path = Path(path)
    if not path.is_file():
        raise Refusal(path, "weights", "no such file", "a weights.pt of `terraficta pretrain run`", "check the path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise Refusal(path, "weights", type(error).__name__, "a whole weights.pt", "copy it again") from error
    if not isinstance(content, dict) or content.get("terraficta") != FORMAT:
        raise Refusal(path, "format", "another kind of file", f"Terraficta weights, format {FORMAT}",
                      "use a weights.pt of `terraficta pretrain run`")  # fmt: skip
    name, classes, colours = content["legend"]
    recipe = ModelRecipe.from_dict({**content["model"], "pretrained": False}, where=path)
    mapper = Mapper(recipe, Legend(name, tuple(classes), tuple(colours)))
    try:
        mapper.load_state_dict(content["weights"])
    except RuntimeError as error:
        mend = "pretrain again with this version, or use the version that its record names"
        raise Refusal(path, "weights", "a network of another shape", "that of this version", mend) from error
    return mapper.eval(), content["record"]


def weights_digest(path: str | Path) -> str:
    """12 hex digits of a weights file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=6)).hexdigest()
