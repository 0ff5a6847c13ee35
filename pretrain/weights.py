"""Weights on disk: a mapper as safetensors in half precision, with the recipe and the run record that made it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from terraficta.pretrain.familiarity import PREFIX, Familiarity
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file

FORMAT = "terraficta mapper 2"
"""what the file says of itself"""
WEIGHTS = "weights.safetensors"
"""what pretraining calls the file"""
SHIPPED = Path(__file__).parent / "data" / "standard.safetensors"
"""the weights that ship: what every command takes where none are named; data/CARD.md tells of them"""


def write_weights(path: Path, mapper: Mapper, record: dict[str, Any]) -> None:
    """Write weights whole or not at all: float16, which costs a mapper less than its own noise.

    What the mapper knows of the land that it was pretrained on lies in the same file.
    """
    legend = mapper.legend
    content = {
        "format": FORMAT,
        "model": json.dumps(mapper.recipe.model_dump(mode="json")),
        "legend": json.dumps([legend.name, list(legend.classes), list(legend.colours)]),
        "record": json.dumps(record, default=str),
    }
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in mapper.state_dict().items()}
    if mapper.familiarity is not None:
        tensors |= {name: value.cpu().contiguous() for name, value in mapper.familiarity.tensors().items()}
    with whole_file(path) as partial:
        save_file(tensors, partial, metadata=content)


def read_weights(path: str | Path | None = None) -> tuple[Mapper, dict[str, Any]]:
    """Read weights written by `write_weights`: the mapper, in float32 and evaluation mode, and its run record.

    None: those that ship.

    Raises
    ------
    Refusal
        for a missing or damaged file, or one that is something else
    """
    path = SHIPPED if path is None else Path(path)
    if not path.is_file():
        raise Refusal(path, "weights", "no such file", f"a {WEIGHTS} of `terraficta pretrain run`", "check the path")
    try:
        with safe_open(path, "pt") as file:
            content = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        mend = "copy it again, or pretrain with this version"
        raise Refusal(path, "weights", type(error).__name__, f"a whole {WEIGHTS}", mend) from error
    if content.get("format") != FORMAT:
        raise Refusal(path, "format", content.get("format", "another kind of file"), FORMAT,
                      f"use a {WEIGHTS} of `terraficta pretrain run`")  # fmt: skip
    name, classes, colours = json.loads(content["legend"])
    recipe = ModelRecipe.from_dict({**json.loads(content["model"]), "pretrained": False}, where=path)
    mapper = Mapper(recipe, Legend(name, tuple(classes), tuple(colours)))
    mapper.familiarity = Familiarity.of_tensors(weights)
    try:
        mapper.load_state_dict({name: value for name, value in weights.items() if not name.startswith(PREFIX)})
    except RuntimeError as error:
        mend = "pretrain again with this version, or use the version that its record names"
        raise Refusal(path, "weights", "a network of another shape", "that of this version", mend) from error
    return mapper.eval(), json.loads(content["record"])


def weights_digest(path: str | Path) -> str:
    """12 hex digits of a weights file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=6)).hexdigest()
