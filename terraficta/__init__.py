"""Pretrain on land that never was; map land that is.

The face of the library. What is named here is loaded when it is first asked for, so that `import terraficta` costs
nothing and the generator needs nothing of what training needs.

Examples
--------
>>> import terraficta as tf
>>> tile = tf.render(tf.recipe("tier3", ["size_px=32"]), tf.SceneKey(7, 0))[0]
>>> tile.image.shape[-2:]
torch.Size([32, 32])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terraficta.eval.mapping import map_image as map_image
    from terraficta.finetune.map_model import read_map_model as read_map_model
    from terraficta.finetune.tileset.draft import Said as Said
    from terraficta.finetune.tileset.tileset import read_tileset as read_tileset
    from terraficta.pretrain.pyramid import load_encoder as load_encoder
    from terraficta.pretrain.weights import read_weights as load_weights
    from terraficta.synth.corpus.corpus import read_corpus as read_corpus
    from terraficta.synth.corpus.corpus import write_corpus as write_corpus
    from terraficta.synth.render import render as render
    from terraficta.synth.render import render_dates as render_dates
    from terraficta.synth.stream import stream_tiles as stream_tiles
    from terraficta.synth.types.key import SceneKey as SceneKey
    from terraficta.synth.types.legend import TERRAFICTA as LEGEND
    from terraficta.synth.types.legend import Legend as Legend
    from terraficta.synth.types.refusal import Refusal as Refusal
    from terraficta.synth.types.scene_recipe import read_scene_recipe as recipe
    from terraficta.synth.types.sensor import Band as Band
    from terraficta.synth.types.sensor import Sensor as Sensor
    from terraficta.synth.types.sensor import read_sensor as sensor
    from terraficta.synth.types.tile import Tile as Tile

    __version__: str

FACE = {
    "LEGEND": ("synth.types.legend", "TERRAFICTA"),
    "Band": ("synth.types.sensor", "Band"),
    "Legend": ("synth.types.legend", "Legend"),
    "Refusal": ("synth.types.refusal", "Refusal"),
    "Said": ("finetune.tileset.draft", "Said"),
    "SceneKey": ("synth.types.key", "SceneKey"),
    "Sensor": ("synth.types.sensor", "Sensor"),
    "Tile": ("synth.types.tile", "Tile"),
    "load_encoder": ("pretrain.pyramid", "load_encoder"),
    "load_weights": ("pretrain.weights", "read_weights"),
    "map_image": ("eval.mapping", "map_image"),
    "read_corpus": ("synth.corpus.corpus", "read_corpus"),
    "read_map_model": ("finetune.map_model", "read_map_model"),
    "read_tileset": ("finetune.tileset.tileset", "read_tileset"),
    "recipe": ("synth.types.scene_recipe", "read_scene_recipe"),
    "render": ("synth.render", "render"),
    "render_dates": ("synth.render", "render_dates"),
    "sensor": ("synth.types.sensor", "read_sensor"),
    "stream_tiles": ("synth.stream", "stream_tiles"),
    "write_corpus": ("synth.corpus.corpus", "write_corpus"),
}
"""name -> where it lives"""
ROOMS = ("synth", "pretrain", "finetune", "eval")
"""packages that are entered as attributes: `tf.synth`"""
__all__ = [
    "__version__",
    "Band",
    "LEGEND",
    "Legend",
    "Refusal",
    "Said",
    "SceneKey",
    "Sensor",
    "Tile",
    "load_encoder",
    "load_weights",
    "map_image",
    "read_corpus",
    "read_map_model",
    "read_tileset",
    "recipe",
    "render",
    "render_dates",
    "sensor",
    "stream_tiles",
    "write_corpus",
]


def __getattr__(name: str) -> Any:
    """Load a name, or enter a room, when it is first asked for."""
    if name in ROOMS:
        return importlib.import_module(f"terraficta.{name}")
    if name == "__version__":
        value: Any = _version()
    elif name in FACE:
        module, its = FACE[name]
        value = getattr(importlib.import_module(f"terraficta.{module}"), its)
    else:
        raise AttributeError(f"module 'terraficta' has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    """The version that is installed."""
    from importlib.metadata import PackageNotFoundError, version  # here, for it takes most of the time of an import

    try:
        return version("terraficta")
    except PackageNotFoundError:  # a checkout that was not installed
        return "0+unknown"


def __dir__() -> list[str]:
    """What completion shows."""
    return sorted([*__all__, *ROOMS])
