"""The mixture: the spectra of what scenes are made of, variant by variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.scene.material.inland_water import WaterBody, water_reflectance
from terraficta.synth.scene.material.plan import POOL_RUNS, MaterialPlan
from terraficta.synth.scene.material.plants import DEAD_VARIANTS, ROWED, VARIANTS, WOODED
from terraficta.synth.scene.material.snow import snow_reflectance
from terraficta.synth.scene.material.solid import absorber_shapes, solid_reflectance, wetted
from terraficta.synth.scene.material.vegetation import VEGETATED, leaf_area, plant_cover, vegetation_reflectance
from terraficta.synth.types.legend import TERRAFICTA


@dataclass(frozen=True)
class Mixture:
    """What N scenes are made of, in V variants of each of the K classes of TERRAFICTA.

    Parameters
    ----------
    spectra : Tensor
        (N, K, V, L) float64 reflectance
    below : Tensor
        (N, R, V, L) float64 reflectance of the ground between the plants of the R classes `ROWED`
    lai : Tensor
        (N, K, V) green leaf area index, 0 where nothing grows [m2 m-2]
    closure : Tensor
        (N, R, V) share of the ground that plants hide from above
    spacing_m : Tensor
        (N, R, V, 2) between rows, and along them [m]; 0: not seen
    runs : Tensor
        (N, K, G, 2) int64, first and last variant of each group of plants of a class, without dying ones, or of each
        pool of built objects
    groups : Tensor
        (N, K) int64, how many groups it has
    group_of : Tensor
        (N, C + 1) int64, group that each crop of the scene's list is, by its number in `LandCover.crop`
    """

    spectra: Tensor
    below: Tensor
    lai: Tensor
    closure: Tensor
    spacing_m: Tensor
    runs: Tensor
    groups: Tensor
    group_of: Tensor


def mix(plans: Sequence[MaterialPlan], wavelength_nm: Tensor) -> Mixture:
    """The mixture of N scenes, on the device of `wavelength_nm` (L,) float64 [nm]."""
    solids = _solids(plans, wavelength_nm)
    water = _water(plans, solids["soil"], wavelength_nm)
    spectra, below, lai, closure = _light_plants(plans, solids, water, wavelength_nm)
    spectra |= {name: solids[name] for name in ("sand", "rock", "quarry", "building", "road")}
    spectra |= {"bare_soil": solids["soil"], "water": water, "snow": _snow(plans, solids["rock"], wavelength_nm)}
    nothing = torch.zeros_like(water[..., 0])
    spacing = [[plan.plants[name].spacing_m for name in ROWED] for plan in plans]
    return Mixture(
        torch.stack([spectra[name] for name in TERRAFICTA.classes], 1),
        torch.stack([below[name] for name in ROWED], 1),
        torch.stack([lai.get(name, nothing) for name in TERRAFICTA.classes], 1),
        torch.stack([closure[name] for name in ROWED], 1),
        torch.as_tensor(np.array(spacing)).to(wavelength_nm),
        *(part.to(wavelength_nm.device) for part in _share_out(plans)),
    )


def unlit(plans: Sequence[MaterialPlan], spectra: Tensor, lai: Tensor) -> Mixture:
    """What N scenes are made of where every variant of a class is its mean (K, L), of leaf area `lai` (K,): no light is
    followed through leaves for spectra that nobody sees, and no plants are drawn together into rows."""
    scenes, (classes, wide), device = len(plans), spectra.shape, spectra.device
    rows = (scenes, len(ROWED), VARIANTS)
    return Mixture(
        spectra[None, :, None].expand(scenes, classes, VARIANTS, wide),
        spectra.new_zeros(1).expand(*rows, wide),
        lai[None, :, None].expand(scenes, classes, VARIANTS),
        spectra.new_ones(1).expand(rows),
        spectra.new_zeros(1).expand(*rows, 2),
        *(part.to(device) for part in _share_out(plans)),
    )


def _share_out(plans: Sequence[MaterialPlan]) -> tuple[Tensor, Tensor, Tensor]:
    """`runs`, `groups` and `group_of` of a `Mixture`."""
    most = max(len(stand.runs) for plan in plans for stand in plan.plants.values())
    most = max(most, *(len(runs) for runs in POOL_RUNS.values()))
    runs = np.tile([0, VARIANTS - 1], (len(plans), len(TERRAFICTA), most, 1))
    groups = np.ones((len(plans), len(TERRAFICTA)), dtype=np.int64)
    last = max(number for plan in plans for own in plan.crops.values() for number, _ in own)
    group_of = np.zeros((len(plans), 1 + last), dtype=np.int64)
    for scene, plan in enumerate(plans):
        for name, stand in plan.plants.items():
            groups[scene, TERRAFICTA.index(name)] = len(stand.runs)
            runs[scene, TERRAFICTA.index(name), : len(stand.runs)] = stand.runs
        for own in plan.crops.values():
            for group, (number, _) in enumerate(own):
                group_of[scene, number] = group
    for name, own_runs in POOL_RUNS.items():
        groups[:, TERRAFICTA.index(name)] = len(own_runs)
        runs[:, TERRAFICTA.index(name), : len(own_runs)] = own_runs
    runs[:, [TERRAFICTA.index(name) for name in WOODED], :, 0] += DEAD_VARIANTS
    return torch.as_tensor(runs), torch.as_tensor(groups), torch.as_tensor(group_of)


def _stacked(rows: Sequence[Mapping[str, np.ndarray]], like: Tensor) -> dict[str, Tensor]:
    """[{name: (V,)}] of N scenes to {name: (N * V,)}."""
    return {name: torch.as_tensor(np.concatenate([row[name] for row in rows])).to(like) for name in rows[0]}


def _solids(plans: Sequence[MaterialPlan], wavelength_nm: Tensor) -> dict[str, Tensor]:
    """{what: (N, V, L)}: natural solids, moist soils, roofs and roads."""
    shapes = absorber_shapes(wavelength_nm)
    shape = (len(plans), VARIANTS, -1)
    abundance = _stacked([plan.solids for plan in plans], shapes)
    out = {name: solid_reflectance(amount, shapes).view(shape) for name, amount in abundance.items()}
    film_cm, share = (
        torch.as_tensor(np.concatenate(rows)).to(shapes)
        for rows in ([plan.film_cm for plan in plans], [plan.wet_share for plan in plans])
    )
    rough = torch.as_tensor(np.concatenate([plan.rough for plan in plans])).to(shapes)
    out["soil"] = (1 - rough[:, None]).view(*out["soil"].shape[:2], 1) * out["soil"]
    dry = out["soil"].flatten(0, 1)
    for name, damp in (("soil", 1.0), ("sand", 0.5)):
        out[name] = wetted(out[name].flatten(0, 1), film_cm, damp * share, wavelength_nm).view(shape)
    out["mud"] = wetted(dry, film_cm + 0.05, torch.full_like(share, 0.95), wavelength_nm).view(shape)
    return out


def _water(plans: Sequence[MaterialPlan], soil: Tensor, wavelength_nm: Tensor) -> Tensor:
    body = WaterBody(**_stacked([plan.water for plan in plans], soil))
    return water_reflectance(body, soil.flatten(0, 1), wavelength_nm).view(soil.shape)


def _snow(plans: Sequence[MaterialPlan], rock: Tensor, wavelength_nm: Tensor) -> Tensor:
    drawn = _stacked([plan.snow for plan in plans], rock)
    cover = drawn.pop("cover")[:, None]
    snow = snow_reflectance(drawn["grain_um"].clamp(30, 4000), drawn["soot_ppmv"], wavelength_nm)
    ground = rock.flatten(0, 1)
    return (ground + cover * (snow - ground)).view(rock.shape)


# --- vegetation -----------------------------------------------------------------------------------------------------


def _light_plants(
    plans: Sequence[MaterialPlan], solids: Mapping[str, Tensor], water: Tensor, wavelength_nm: Tensor
) -> tuple[dict[str, Tensor], ...]:
    """{class: (N, V, L)} reflectance of plants and of what lies below, {class: (N, V)} leaf area and closure."""
    ash = torch.tensor([plan.ash_share for plan in plans]).to(water)[:, None, None]
    solids = {
        **solids,
        "scorched": solids["char"] + 0.2 * ash**2 * (solids["ash"] - solids["char"]),
        "charred": 0.35 * solids["bark"],
    }
    traits = _stacked([plan.plants[name].traits for name in VEGETATED for plan in plans], water)

    def parts(others: Mapping[str, str], usual: str) -> Tensor:
        return torch.stack([solids[others.get(name, usual)] for name in VEGETATED]).flatten(0, 2)

    soil = parts(dict.fromkeys(("mangrove", "wetland", "paddy"), "mud"), "soil")
    litter, bark = parts({"moss_lichen": "lichen", "burnt": "scorched"}, "litter"), parts({"burnt": "charred"}, "bark")
    flood = water.repeat(len(VEGETATED), 1, 1).flatten(0, 1)
    seen, below = vegetation_reflectance(traits, soil, litter, bark, flood, wavelength_nm)
    # plants drawn together to their closure must not be darker than black
    least = 1.1 * (1 - (seen / below).amin(1))
    closure = torch.maximum(plant_cover(traits), least).clamp(0.02, 0.98)
    shape = (len(VEGETATED), len(plans), VARIANTS)
    whole = (seen.view(*shape, -1), below.view(*shape, -1), leaf_area(traits).view(shape),
             closure.view(shape))  # fmt: skip
    return tuple(dict(zip(VEGETATED, part, strict=True)) for part in whole)
