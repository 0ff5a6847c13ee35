"""The palette: what every class of a scene is made of, and the reflectance of the ground that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.scene.material.mixture import Mixture, mix, unlit
from terraficta.synth.scene.material.plan import MaterialPlan, draw_material_plan
from terraficta.synth.scene.material.plants import DEAD_VARIANTS, ROWED, SOWN, VARIANTS, WOODED
from terraficta.synth.scene.material.texture import ROWS_SEEN_M, grain, planted
from terraficta.synth.scene.world import salt
from terraficta.synth.scene.world.chance import MASK, hashed, seeds_of, uniform
from terraficta.synth.scene.world.places import Places
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import MaterialRecipe
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.within import MORE, POOLS, pool_of, unpacked

WAVELENGTH_NM = torch.arange(400.0, 2501.0, 10.0, dtype=torch.float64)
"""(211,) [nm]"""
MEAN_OF_SCENES = 48
"""a class mean is taken over so many scenes of a seed of its own"""
MEAN_SEED = 20_170_304
BANK_STEP = 4
"""every fourth variant of every class of those scenes is kept as a spectrum of its own"""
BANK_SIZE = MEAN_OF_SCENES * len(TERRAFICTA) * (VARIANTS // BANK_STEP)
RED_NM, NEAR_INFRARED_NM = 665.0, 842.0
"""nominal bands of the NDVI: Sentinel-2's B04 and B08"""
GRAIN = {
    "needleleaf_forest": 0.08, "evergreen_forest": 0.06, "deciduous_forest": 0.06, "mangrove": 0.04, "plantation": 0.05,
    "shrubland": 0.06, "grassland": 0.04, "moss_lichen": 0.05, "pasture": 0.03, "wetland": 0.05, "cropland": 0.03,
    "paddy": 0.02, "fallow": 0.04, "orchard": 0.06, "park": 0.04, "bare_soil": 0.04, "sand": 0.03, "rock": 0.08,
    "burnt": 0.06, "quarry": 0.05, "snow": 0.015, "water": 0.01, "building": 0.03, "road": 0.05,
}  # fmt: skip
"""standard deviation of the fine texture, relative to reflectance; chosen, not measured"""
OF_ONE_PIECE = ("building", "road")
"""classes whose objects are of one material: no drift towards the neighbouring variant within a parcel"""
POOLED = tuple(POOLS)
"""classes whose objects say themselves of which group of materials they are"""
DRIFT = 1.2
"""variants that vigour 0 and 1 lie apart within one object"""
DYING = 0.1
"""vigour below which the trees of an object die too; 0: all dead"""


class Cover(Protocol):
    """What is asked of a land cover, all (N, H', W'): class, object, condition, crop, rows, what else is in a cell."""

    @property
    def cover(self) -> Tensor: ...
    @property
    def parcel(self) -> Tensor: ...
    @property
    def vigour(self) -> Tensor: ...
    @property
    def crop(self) -> Tensor: ...
    @property
    def row(self) -> Tensor: ...
    @property
    def within(self) -> Tensor: ...
    @property
    def window(self) -> Window: ...


@dataclass(frozen=True)
class PaletteBands:
    """A palette as a sensor sees it.

    Parameters
    ----------
    reflectance : Tensor
        (N, K, V, B)
    below : Tensor
        (N, R, V, B) of the ground between the plants of the classes `ROWED`
    mixture : Mixture
        the rest of what N scenes are made of
    seed : Tensor
        (N,) int64, of each scene's texture
    variability : float
        0..1
    """

    reflectance: Tensor
    below: Tensor
    mixture: Mixture
    seed: Tensor
    variability: float


@dataclass(frozen=True)
class Palette:
    """What N scenes are made of, and how it looks.

    Parameters
    ----------
    spectra : Tensor
        (N, K, V, L) reflectance of V variants of the K classes of TERRAFICTA; natural classes from poor to lush
    lai : Tensor
        (N, K, V) green leaf area index of each variant, 0 where nothing grows [m2 m-2]
    mixture : Mixture
        as it was drawn, with the full spread; without variability, of means alone
    wavelength_nm : Tensor
        (L,) [nm]
    seed : Tensor
        (N,) int64, of each scene's texture
    variability : float
        0..1
    """

    spectra: Tensor
    lai: Tensor
    mixture: Mixture
    wavelength_nm: Tensor
    seed: Tensor
    variability: float

    def seen_by(self, sensor: Sensor) -> PaletteBands:
        """Averaged over the bands of a sensor."""
        return self._through(sensor.band_weights(self.wavelength_nm))

    def at_nm(self, *wavelength_nm: float) -> PaletteBands:
        """At single wavelengths [nm], between two of its own in proportion."""
        own = self.wavelength_nm.cpu().double().numpy()
        rows = [[np.interp(wanted, own, unit) for unit in np.eye(len(own))] for wanted in wavelength_nm]
        return self._through(torch.as_tensor(np.array(rows)))

    def _through(self, weights: Tensor) -> PaletteBands:
        weights = weights.to(self.spectra.device, torch.float64).T
        seen, below = ((part.double() @ weights).float() for part in (self.spectra, self.mixture.below))
        return PaletteBands(seen, below, self.mixture, self.seed, self.variability)


def palette_of(recipe: MaterialRecipe, plans: Sequence[MaterialPlan], device: torch.device | str = "cpu") -> Palette:
    """What every class is made of in N scenes: first what a scene shares, then the spread within it.

    Parameters
    ----------
    recipe : MaterialRecipe
        variability 0 gives every variant of a class its mean spectrum, exactly
    plans : Sequence[MaterialPlan]
        of the N scenes
    device : torch.device | str
        to compute on; in float64, so that a scene is the same alone, in a batch and on any device

    Examples
    --------
    >>> palette = palette_of(MaterialRecipe(), [draw_material_plan(SceneKey(7, 0), {"season": 0.5})])
    >>> tuple(palette.spectra.shape)
    (1, 24, 16, 211)
    """
    wavelength = WAVELENGTH_NM.to(device)
    seed = seeds_of([plan.texture_seed for plan in plans], device)
    means = [mean.to(device) for mean in (reference().spectra, reference().lai)]
    if recipe.variability == 0:
        mixture = unlit(plans, *means)
        return Palette(mixture.spectra.float(), mixture.lai.float(), mixture, wavelength.float(), seed, 0.0)
    mixture = mix(plans, wavelength)
    spectra, lai = (mean[None, :, None] for mean in means)
    spectra = spectra + recipe.variability * (mixture.spectra - spectra)
    lai = lai + recipe.variability * (mixture.lai - lai)
    return Palette(spectra.float(), lai.float(), mixture, wavelength.float(), seed, recipe.variability)


@dataclass(frozen=True)
class Reference:
    """Scenes of every season, warmth and moisture, whose materials stand for all.

    Parameters
    ----------
    spectra, lai : Tensor
        (K, L) reflectance and (K,) leaf area, float64: means of each class
    bank : Tensor
        (S, L) float32, single spectra of all classes
    """

    spectra: Tensor
    lai: Tensor
    bank: Tensor


@lru_cache
def reference() -> Reference:
    """Computed once in a process."""
    keys = [SceneKey(MEAN_SEED, index) for index in range(MEAN_OF_SCENES)]
    mixture = mix([draw_material_plan(key) for key in keys], WAVELENGTH_NM)
    bank = mixture.spectra[:, :, BANK_STEP // 2 :: BANK_STEP].flatten(0, 2).float()
    return Reference(mixture.spectra.mean((0, 2)), mixture.lai.mean((0, 2)), bank)


# --- what lies where ------------------------------------------------------------------------------------------------


def boa_reflectance(cover: Cover, bands: PaletteBands) -> Tensor:
    """Reflectance of the ground (N, B, H', W').

    Natural ground blends two neighbouring variants along its vigour. An object takes the variant that its identity
    hashes to, a field one of its crop's, and both drift a little with vigour, unless they are of one piece. Rows of
    plants and fine texture lie over that.
    """
    place = _variant_place(cover, bands.mixture, bands.seed)
    out = _averaged(_read(bands.reflectance, cover, place), bands.reflectance, cover, bands.mixture)
    if bands.variability > 0:
        out = _with_rows(out, cover, bands, place)
        roughness = bands.variability * torch.tensor([GRAIN[name] for name in TERRAFICTA.classes], device=out.device)
        spread = roughness.index_select(0, cover.cover.flatten().int()).view_as(place)
        deviation = spread.mul_(grain(cover.window, bands.seed))
        out = out.mul_(1 + deviation[:, None])
    return out


def leaf_area_index(cover: Cover, palette: Palette) -> Tensor:
    """Green leaf area index of the ground (N, H', W') [m2 m-2]; of a field or an orchard its mean, without rows."""
    own = _read(palette.lai[..., None], cover, _variant_place(cover, palette.mixture, palette.seed))
    return _averaged(own, palette.lai[..., None], cover, palette.mixture)[:, 0]


def ndvi(cover: Cover, palette: Palette) -> Tensor:
    """Normalised difference vegetation index of the ground (N, H', W') at its nominal wavelengths, before any light."""
    red, infrared = boa_reflectance(cover, palette.at_nm(RED_NM, NEAR_INFRARED_NM)).unbind(1)
    return (infrared - red) / (infrared + red).clamp(min=1e-6)


def material_code(cover: Cover, bands: PaletteBands) -> Tensor:
    """What each object is made of (N, H', W') int64: 1 + class * V + variant, and 0 on natural ground.

    Codes mean the same throughout a scene, and another thing in the next.
    """
    objects = Places.where(cover.parcel != 0)
    own, _, _ = _own_variant(cover, objects, bands.mixture, bands.seed)
    code = 1 + objects.of(cover.cover).long() * VARIANTS + own.long()
    return objects.onto(code, 0)


def _read(table: Tensor, cover: Cover, place: Tensor) -> Tensor:
    """(N, C, H', W') values of a table (N, K, V, C), between two neighbouring variants in proportion."""
    first = place.floor().clamp(0, VARIANTS - 2)
    row = cover.cover.to(torch.int32) * VARIANTS + first.to(torch.int32)
    weight = (place - first).to(table.dtype)
    out = table.new_empty(len(table), table.shape[-1], *place.shape[1:])
    for scene, columns in enumerate(table.flatten(1, 2).transpose(1, 2).contiguous()):
        steps = torch.cat([columns.diff(dim=1), columns[:, :1]], 1)  # nobody reads beyond the last variant
        flat, at = out[scene].flatten(1), row[scene].flatten()
        torch.index_select(columns, 1, at, out=flat)
        flat.add_(steps.index_select(1, at).mul_(weight[scene].flatten()))
    return out


def _averaged(out: Tensor, table: Tensor, cover: Cover, mixture: Mixture) -> Tensor:
    """The values `out` (N, C, H', W'), in mixed cells averaged with those of what else lies in them."""
    cells = Places.where(cover.within != 0)
    if not len(cells.at):
        return out
    rows, classes = table.flatten(0, 2), cells.scene * len(TERRAFICTA)
    runs, groups = mixture.runs.flatten(0, 1), mixture.runs.shape[2]
    total = torch.zeros(len(cells.at), table.shape[-1], device=out.device, dtype=out.dtype)
    for kind, pool, u01 in unpacked(cells.of(cover.within)):
        run = runs.flatten(0, 1).index_select(0, (classes + kind) * groups + torch.where(_is(POOLED, kind), pool, 0))
        first, last = run.unbind(1)
        variant = first + (u01 * (last - first + 1)).long()
        total += rows.index_select(0, (classes + kind) * VARIANTS + variant)
    planes, cell = out.flatten(2), cells.at % (cells.shape[1] * cells.shape[2])
    planes[cells.scene, :, cell] = (planes[cells.scene, :, cell] + total) / (1 + MORE)
    return planes.view_as(out)


def _variant_place(cover: Cover, mixture: Mixture, seed: Tensor) -> Tensor:
    """Where each cell lies along the variants, 0..V-1, (N, H', W') float32."""
    place = cover.vigour.clamp(0, 1) * (VARIANTS - 1)
    objects = Places.where(cover.parcel != 0)
    own, first, last = _own_variant(cover, objects, mixture, seed)
    kind, vigour = objects.of(cover.cover).long(), objects.of(cover.vigour).clamp(0, 1)
    drift = torch.where(_is(OF_ONE_PIECE, kind), 0.0, DRIFT * (vigour - 0.5))
    alive = torch.minimum(torch.maximum(own + drift, first), last)
    dead = first - DEAD_VARIANTS
    dying = dead + (alive - dead) * (vigour / DYING).clamp(max=1)
    place = place.to(torch.float32).contiguous()
    place.view(-1)[objects.at] = torch.where(_is(WOODED, kind), dying, alive)
    return place


def _is(names: Sequence[str], kind: Tensor) -> Tensor:
    """Whether classes (int64) are among some by name."""
    return torch.tensor([name in names for name in TERRAFICTA.classes], device=kind.device)[kind]


def _own_variant(cover: Cover, objects: Places, mixture: Mixture, seed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The variant (M,) float32 that the identity of each cell's object hashes to; first and last it may drift to.

    Fields take any place between two variants of their crop, all else a whole one.
    """
    scene, kind, crop = objects.scene, objects.of(cover.cover).long(), objects.of(cover.crop).long()
    parcel = objects.of(cover.parcel)
    low, high = parcel & MASK, parcel >> 32
    identity = hashed(seed.index_select(0, scene), low, high)
    at = scene * len(TERRAFICTA) + kind
    any_group = (uniform(identity, salt.Material.GROUP) * mixture.groups.flatten().index_select(0, at)).long()
    any_group = torch.where(_is(POOLED, kind), pool_of(parcel), any_group)
    own_group = mixture.group_of.flatten().index_select(0, scene * mixture.group_of.shape[1] + crop)
    at = at * mixture.runs.shape[2] + torch.where(crop > 0, own_group, any_group)
    first, last = (mixture.runs[..., end].flatten().to(torch.float32).index_select(0, at) for end in (0, 1))
    u01 = uniform(identity, salt.Material.VARIANT)
    own = torch.where(_is(SOWN, kind), first + u01 * (last - first), first + (u01 * (last - first + 1)).floor())
    return torch.minimum(own, last), first, last


def _with_rows(out: Tensor, cover: Cover, bands: PaletteBands, place: Tensor) -> Tensor:
    """Plants drawn together into rows where cells are fine enough: the mean stays, gaps show what lies below."""
    cell_m = cover.window.cell_m
    if not bool((cell_m <= ROWS_SEEN_M).any()):
        return out
    rank = torch.tensor([ROWED.index(n) if n in ROWED else -1 for n in TERRAFICTA.classes], device=out.device)
    kind = rank[cover.cover.long()]
    cells = Places.where((kind >= 0) & (cover.parcel != 0) & (cell_m <= ROWS_SEEN_M)[:, None, None])
    variant = cells.of(place).floor().clamp(max=VARIANTS - 1).long()
    at = (cells.scene * len(ROWED) + cells.of(kind)) * VARIANTS + variant
    closure = bands.mixture.closure.flatten()[at]
    spacing = bands.mixture.spacing_m.flatten(0, 2)[at]
    y_m = cells.of(cover.window.y_m[:, :, None])
    x_m = cells.of(cover.window.x_m[:, None, :])
    hidden, mean = planted(y_m, x_m, cells.of(cover.row), spacing, closure, cell_m[cells.scene])
    surplus = torch.where(spacing[:, 0] > 0, bands.variability * (hidden / mean - 1), 0.0).to(out.dtype)
    planes, cell = out.flatten(2), cells.at % (cells.shape[1] * cells.shape[2])
    seen = planes[cells.scene, :, cell]
    gap = seen - bands.below.flatten(0, 2)[at]
    planes[cells.scene, :, cell] = (seen + gap * surplus[:, None]).clamp_(0, 1)
    return planes.view_as(out)
