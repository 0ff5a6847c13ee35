"""Variants: the pretraining recipe with one thing taken out, or with one tier of the light and camera alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from terraficta.pretrain.recipe import PretrainRecipe
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.scene_recipe import SceneRecipe, read_scene_recipe

Group = Literal["reference", "tier", "generator", "land", "objective"]
NO_AIR: Mapping[str, Any] = {
    "aot550": (0.0, 0.0), "water_vapour_cm": (0.0, 0.0), "ozone_cm": (0.0, 0.0), "rayleigh": 0.0, "adjacency": 0.0,
    "haze": (0.0, 0.0), "clouds": (0.0, 0.0),
}  # fmt: skip
"""identity, exactly"""
FLAT: Mapping[str, Any] = {"sza_deg": (0.0, 0.0), "relief": 0.0, "brdf": 0.0}
PERFECT_CAMERA: Mapping[str, Any] = {
    "psf": 0.0, "noise": 0.0, "striping": 0.0, "misregistration_px": 0.0, "quantise": False
}  # fmt: skip

Parts = Mapping[str, Mapping[str, Any]]
"""part of a scene recipe -> fields that change"""
OF_THE_SCENE: Mapping[str, tuple[Group, Parts]] = {
    "tier0": ("tier", {"material": {"variability": 0.0}, "light": FLAT, "air": NO_AIR, "instrument": PERFECT_CAMERA}),
    "tier1": ("tier", {"air": NO_AIR, "instrument": PERFECT_CAMERA}),
    "tier2": ("tier", {"instrument": PERFECT_CAMERA}),
    "mean spectra": ("generator", {"material": {"variability": 0.0}}),
    "flat light": ("generator", {"light": {"relief": 0.0}}),
    "Lambertian": ("generator", {"light": {"brdf": 0.0}}),
    "no air": ("generator", {"air": NO_AIR}),
    "perfect correction": ("generator", {"air": {"correction": "perfect"}}),
    "no adjacency": ("generator", {"air": {"adjacency": 0.0}}),
    "no point spread": ("generator", {"instrument": {"psf": 0.0}}),
    "no noise": ("generator", {"instrument": {"noise": 0.0, "striping": 0.0}}),
    "no misregistration": ("generator", {"instrument": {"misregistration_px": 0.0}}),
    "one camera": ("generator", {"instrument": {"sensors": ("sentinel2a",)}}),
    "one climate": ("land", {"cover": {"climates": ("temperate",)}}),
    "one season": ("land", {"cover": {"season": (0.5, 0.5)}}),
    "no people": ("land", {"cover": {"farmland": (0.0, 0.0), "settlement": (0.0, 0.0), "plantation": (0.0, 0.0)}}),
}
"""tiers on the land of the recipe, and one thing out of the generator at a time"""
OF_THE_TASK: Mapping[str, Mapping[str, Any]] = {
    "no episodes": {"rehearsal": 0.0, "dense": 1.0},
    "no names": {"dense": 0.0},
    "physical looks alone": {"episode": {"lottery": 0.0}},
    "lottery looks alone": {"episode": {"lottery": 1.0}},
    "true radiometry": {"episode": {"radiometry": 0.0}},
    "all bands": {"episode": {"drop_bands": 0.0}},
    "always calibrated": {"episode": {"relative": 0.0}},
    "one scene a task": {"episode": {"together": 0.0}},
}
"""one thing out of the objective at a time"""
WHOLE, UNLEARNED, SEQUENCE = "whole", "unlearned", "tiers in sequence"
AS_SHIPPED = "as shipped"
"""the weights that ship, whose pretraining was longer: what the others might become"""


@dataclass(frozen=True)
class Variant:
    """One pretraining of a comparison.

    Parameters
    ----------
    name, group : str
        what is otherwise, and of what kind that is
    recipe : PretrainRecipe
        of the pretraining; for the sequence, of its last stage
    stages : tuple[PretrainRecipe, ...]
        trained one after the other, each from the weights of the one before; none: random weights, or those that ship
    """

    name: str
    group: Group
    recipe: PretrainRecipe
    stages: tuple[PretrainRecipe, ...]


def make_variants(recipe: PretrainRecipe, folder: Path) -> list[Variant]:
    """All variants of a recipe; their land recipes are written into a folder, for pretraining to read.

    Tiers 0 to 2 are the lands of the recipe under simpler light and cameras, so grounds are the same and comparisons
    paired; tier 3 is the recipe itself. In sequence each tier gets a quarter of the steps.
    """
    lands = {name: _on(recipe, folder, name, parts) for name, (_, parts) in OF_THE_SCENE.items()}
    scenes = [Variant(name, group, lands[name], (lands[name],)) for name, (group, _) in OF_THE_SCENE.items()]
    tasks = {name: _with(recipe, change) for name, change in OF_THE_TASK.items()}
    ladder = [lands["tier0"], lands["tier1"], lands["tier2"], recipe]
    parts = tuple(r.model_copy(update={"steps": max(1, recipe.steps // len(ladder))}) for r in ladder)
    return [
        Variant(WHOLE, "reference", recipe, (recipe,)),
        Variant(UNLEARNED, "reference", recipe, ()),
        Variant(AS_SHIPPED, "reference", recipe, ()),
        *[v for v in scenes if v.group == "tier"],
        Variant(SEQUENCE, "tier", recipe, parts),
        *[Variant(name, "objective", r, (r,)) for name, r in tasks.items()],
        *[v for v in scenes if v.group != "tier"],
    ]


def _with(recipe: PretrainRecipe, change: Mapping[str, Any]) -> PretrainRecipe:
    """A pretraining recipe with some fields changed, those of its episodes among them."""
    own = dict(change)
    if "episode" in own:
        own["episode"] = recipe.episode.model_copy(update=own["episode"])
    return recipe.model_copy(update=own)


def _on(recipe: PretrainRecipe, folder: Path, name: str, parts: Parts) -> PretrainRecipe:
    """The pretraining recipe on changed lands."""
    lands = {}
    for land, share in recipe.lands.items():
        path = folder / f"{name.replace(' ', '-')}-{Path(land).stem}.yaml"
        scene = change_scene(read_scene_recipe(land), parts)
        with whole_file(path) as partial:
            partial.write_text(yaml.safe_dump(scene.model_dump(mode="json"), sort_keys=False))
        lands[str(path)] = share
    return recipe.model_copy(update={"lands": lands})


def change_scene(scene: SceneRecipe, parts: Parts) -> SceneRecipe:
    """A scene recipe with fields of some of its parts changed; checked as a file would be."""
    content = scene.model_dump(mode="json")
    for part, change in parts.items():
        content[part] = content[part] | {name: _plain(value) for name, value in change.items()}
    return SceneRecipe.model_validate(content)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


Tell = Callable[[str], None]
"""called with a line about what is under way"""
