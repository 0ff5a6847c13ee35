"""The label degrader: from the perfect labels of fiction to labels as people have them, with the damage on record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from torch import Tensor

from terraficta.synth.labels.recipe import Confused, LabelRecipe, Merged, Translated
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.tile import Tile


@dataclass(frozen=True)
class Damage:
    """What a label map lost, held against the truth in the same legend.

    Parameters
    ----------
    labelled : float
        share of the truly labelled pixels that still carry a label
    wrong : float
        share of those whose heaviest class is not the true one
    distance : float
        mean total variation between given and true class fractions, 0 equal .. 1 disjoint
    """

    labelled: float
    wrong: float
    distance: float


def degrade(tile: Tile, recipe: LabelRecipe, key: SceneKey) -> Tile:
    """The tile with damaged labels; `facts["label_damage"]` says how much, `facts["labels"]` by what.

    The layer `truth` keeps the perfect label map, in the legend that the labels end up in.

    Parameters
    ----------
    tile : Tile
        with perfect labels
    recipe : LabelRecipe
        steps, in order
    key : SceneKey
        address of the scene; every step draws at its own
    """
    mass, truth, legend = tile.mass, tile.mass, tile.legend
    for number, step in enumerate(recipe.steps):
        own = key.at("labels", number)
        if isinstance(step, Merged | Translated):
            walk = step.crosswalk(legend)
            mass, truth, legend = walk(mass), walk(truth), walk.target
        elif isinstance(step, Confused):
            mass = step(mass, tile.grid.gsd_m, own, legend)
        else:
            mass = step(mass, tile.grid.gsd_m, own)
    facts = dict(tile.facts) | {"labels": recipe.name, "label_damage": asdict(damage_of(mass, truth))}
    perfect = replace(tile, mass=truth, legend=legend).label()
    return replace(tile, mass=mass, legend=legend, facts=facts, layers={**tile.layers, "truth": perfect})


def damage_of(given: Tensor, truth: Tensor) -> Damage:
    """Hold class mass (K, H, W) against the truth."""
    has, had = given.sum(0) > 0, truth.sum(0) > 0
    both = has & had
    count = int(both.sum())
    if count == 0:
        return Damage(0.0, 0.0, 0.0)
    p, q = given[:, both], truth[:, both]
    apart = 0.5 * (p / p.sum(0) - q / q.sum(0)).abs().sum(0)
    wrong = q.gather(0, p.argmax(0, keepdim=True))[0] < q.amax(0)
    return Damage(count / int(had.sum()), float(wrong.float().mean()), float(apart.mean()))
