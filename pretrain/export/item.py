"""The model item: what STAC says of weights, so that catalogues of models list them with their bands and classes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac

from terraficta.pretrain.model import Mapper
from terraficta.pretrain.weights import SHIPPED, read_weights, weights_digest
from terraficta.synth.types.run import whole_file

SCHEMAS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("mlm/v1.4.0", "classification/v2.0.0", "file/v2.1.0")
)
"""the extensions that an item follows: the model, its classes, its file"""
ANY = -1
"""length of an axis that may have any, as the schema writes it"""
IMAGE_AXES, OUTPUT_AXES = ("batch", "band", "height", "width"), ("batch", "channel", "height", "width")


def model_item(weights: str | Path | None = None) -> pystac.Item:
    """A STAC item of weights by the machine learning model extension.

    It lies nowhere, as the land did that the network was trained on: its geometry is null.

    Parameters
    ----------
    weights : str | Path | None
        of `pretrain`; None: those that ship

    Returns
    -------
    pystac.Item
        with one asset, the file, beside which it is to lie

    Source
    ------
    STAC Machine Learning Model extension 1.4.0, github.com/stac-extensions/mlm.
    """
    path = SHIPPED if weights is None else Path(weights)
    mapper, record = read_weights(path)
    started = record.get("started")
    moment = datetime.fromtimestamp(path.stat().st_mtime, UTC) if started is None else datetime.fromisoformat(started)
    name = f"terraficta-{record['recipe']['name']}"
    item = pystac.Item(f"{name}-{weights_digest(path)}", None, None, moment, _properties(name, mapper, record))
    item.stac_extensions = list(SCHEMAS)
    about = {
        "mlm:artifact_type": "safetensors.torch.save_file",
        "mlm:entrypoint": "terraficta.pretrain.weights:read_weights",
    }
    asset = pystac.Asset(
        f"./{path.name}", "Weights, float16", media_type="application/octet-stream; format=safetensors",
        roles=["mlm:model", "mlm:weights", "data"], extra_fields=about | {"file:size": path.stat().st_size},
    )  # fmt: skip
    item.add_asset("model", asset)
    return item


def write_model_item(out: Path, weights: str | Path | None = None) -> Path:
    """Write the item of `model_item` beside the weights, or wherever they will lie."""
    text = json.dumps(model_item(weights).to_dict(include_self_link=False), indent=1, sort_keys=True)
    with whole_file(out) as partial:
        partial.write_text(text + "\n")
    return out


def _properties(name: str, mapper: Mapper, record: dict[str, Any]) -> dict[str, Any]:
    recipe = record["recipe"]
    parameters = list(mapper.parameters())
    return {
        "title": f"Terraficta mapper: {recipe['name']}",
        "description": "Any bands between 400 and 2500 nm to features and fiction's classes, for every pixel; trained "
        "on fictional land alone.",
        "license": "Apache-2.0",
        "mlm:name": name,
        "mlm:architecture": mapper.recipe.encoder,
        "mlm:framework": "PyTorch",
        "mlm:framework_version": str(record["versions"]["torch"]).partition("+")[0],
        "mlm:tasks": ["semantic-segmentation", "similarity-search"],
        "mlm:total_parameters": sum(p.numel() for p in parameters),
        "mlm:memory_size": sum(4 * p.numel() for p in parameters),
        "mlm:pretrained": True,
        "mlm:pretrained_source": f"fictional land: {', '.join(recipe['lands'])} (run {record['digest']})",
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:hyperparameters": _flat(
            {key: recipe[key] for key in ("learning_rate", "weight_decay", "size_px", "model")}
        )
        | {"seed": record["seed"], "steps": record["metrics"]["steps"]},
        "mlm:input": [_image()],
        "mlm:output": _outputs(mapper),
    }


def _image() -> dict[str, Any]:
    """What is read: any bands, by their wavelengths, so no list of them."""
    return {
        "name": "image",
        "description": "reflectance (BOA, TOA) or relative numbers (DN, RADIANCE), three bands or more, with centre "
        "and full width at half maximum of each [nm]",
        "bands": [],
        "input": {"shape": [ANY] * 4, "dim_order": list(IMAGE_AXES), "data_type": "float32"},
        "pre_processing_function": {"format": "python", "expression": "terraficta.pretrain.catalogue:own_scaling"},
    }


def _outputs(mapper: Mapper) -> list[dict[str, Any]]:
    legend = mapper.legend
    pairs = enumerate(zip(legend.classes, legend.colours, strict=True))
    classes = [
        {"value": k, "name": own, "description": own.replace("_", " "), "color_hint": colour[1:].upper()}
        for k, (own, colour) in pairs
    ]
    rows: tuple[tuple[str, list[str], int, list[dict[str, Any]]], ...] = (
        ("features", ["similarity-search"], mapper.width, []),
        ("logits", ["semantic-segmentation"], len(legend), classes),
    )
    return [
        {
            "name": name,
            "tasks": tasks,
            "result": {"shape": [ANY, channels, ANY, ANY], "dim_order": list(OUTPUT_AXES), "data_type": "float32"},
            "classification:classes": own,
        }
        for name, tasks, channels, own in rows
    ]


def _flat(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    """One level of names with dots, as the schema wants them."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return flat
