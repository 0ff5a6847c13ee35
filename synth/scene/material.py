"""The material: what every class of a scene is made of, and the reflectance of the ground that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from synth.scene.fractal import hashed, uniform, words
from synth.scene.matter import VARIANTS, draw_matter
from synth.spec.key import SceneKey
from synth.spec.legend import TERRAFICTA
from synth.spec.recipe import MaterialRecipe
from synth.spec.sensor import Sensor

WAVELENGTH_NM = torch.arange(400.0, 2501.0, 10.0, dtype=torch.float64)
"""(211,) [nm]"""
MEAN_OF_SCENES = 48
"""a class mean is taken over so many scenes of a seed of its own"""
MEAN_SEED = 20_170_304
GRAIN = {
    "needleleaf_forest": 0.08, "evergreen_forest": 0.06, "deciduous_forest": 0.06, "mangrove": 0.04, "plantation": 0.05,
    "shrubland": 0.06, "grassland": 0.04, "moss_lichen": 0.05, "pasture": 0.03, "wetland": 0.05, "cropland": 0.03,
    "paddy": 0.02, "fallow": 0.04, "orchard": 0.06, "park": 0.04, "bare_soil": 0.04, "sand": 0.03, "rock": 0.08,
    "burnt": 0.06, "quarry": 0.05, "snow": 0.015, "water": 0.01, "building": 0.03, "road": 0.05,
}  # fmt: skip
"""standard deviation of the fine texture, relative to reflectance; chosen, not measured"""
OF_ONE_PIECE = ("building", "road")
"""classes whose objects are of one material: no drift towards the neighbouring variant within a parcel"""


class Cover(Protocol):
    """What is asked of a land cover: class, object and condition of each fine cell, all (N, H', W')."""

    @property
    def cover(self) -> Tensor: ...
    @property
    def parcel(self) -> Tensor: ...
    @property
    def vigour(self) -> Tensor: ...


@dataclass(frozen=True)
class PaletteBands:
    """A palette as a sensor sees it.

    Parameters
    ----------
    reflectance : (N, K, V, B)
    word : (N,) int64, seed of each scene's texture
    variability : 0..1
    """

    reflectance: Tensor
    word: Tensor
    variability: float


@dataclass(frozen=True)
class Palette:
    """The spectra of N scenes.

    Parameters
    ----------
    spectra : (N, K, V, L) reflectance of V variants of the K classes of TERRAFICTA; natural classes from poor to lush
    wavelength_nm : (L,) [nm]
    word : (N,) int64, seed of each scene's texture
    variability : 0..1
    """

    spectra: Tensor
    wavelength_nm: Tensor
    word: Tensor
    variability: float

    def seen_by(self, sensor: Sensor) -> PaletteBands:
        """Averaged over the bands of a sensor; reflectance (N, K, V, B)."""
        weights = sensor.band_weights(self.wavelength_nm).to(self.spectra.device, torch.float64)
        reflectance = (self.spectra.double() @ weights.T).float()
        return PaletteBands(reflectance, self.word, self.variability)


def draw_palette(
    recipe: MaterialRecipe,
    keys: Sequence[SceneKey],
    facts: Sequence[Mapping[str, Any]] | None = None,
    device: torch.device | str = "cpu",
) -> Palette:
    """The spectra of every class in N scenes: first what a scene shares, then the spread within it.

    Parameters
    ----------
    recipe : variability 0 gives every variant of a class its mean spectrum, exactly
    keys : of the N scenes
    facts : of the N scenes; `season`, `warmth` and `moisture` (0..1) are used where present, drawn where not
    device : to compute on; in float64, so that a scene is the same alone, in a batch and on any device

    Examples
    --------
    >>> palette = draw_palette(MaterialRecipe(), [SceneKey(7, 0)], [{"season": 0.5}])
    >>> tuple(palette.spectra.shape)
    (1, 24, 16, 211)
    """
    wavelength = WAVELENGTH_NM.to(device)
    facts = facts if facts is not None else [{}] * len(keys)
    spectra = _class_means().to(device)[None, :, None].expand(len(keys), -1, VARIANTS, -1)
    if recipe.variability > 0:
        drawn = draw_matter(list(keys), list(facts), wavelength).spectra
        spectra = spectra + recipe.variability * (drawn - spectra)
    word = words([key.at("material", "texture").word() for key in keys], device)
    return Palette(spectra.float(), wavelength.float(), word, recipe.variability)


@lru_cache
def _class_means() -> Tensor:
    """(K, L) float64: mean over scenes of every season, warmth and moisture."""
    keys = [SceneKey(MEAN_SEED, index) for index in range(MEAN_OF_SCENES)]
    return draw_matter(keys, [{}] * len(keys), WAVELENGTH_NM).spectra.mean((0, 2))


def boa_reflectance(cover: Cover, bands: PaletteBands) -> Tensor:
    """Reflectance of the ground (N, B, H', W').

    Natural ground blends two neighbouring variants along its vigour. An object takes the variant that its identity
    hashes to, and drifts a little towards the next with vigour, unless it is of one piece. Fine texture lies over both.
    """
    scenes, classes, variants, count = bands.reflectance.shape
    device = bands.reflectance.device
    kind = cover.cover.long()
    scene = torch.arange(scenes, device=device)[:, None, None]
    place = _variant_place(cover, kind, bands.word[:, None, None], variants)
    first = place.floor().clamp(0, variants - 2)
    weight = (place - first).to(bands.reflectance.dtype)
    row = ((scene * classes + kind) * variants + first.long()).flatten()
    table = bands.reflectance.reshape(-1, count).T.contiguous()
    shape = (count, *kind.shape)
    low = table.index_select(1, row).view(shape)
    high = table.index_select(1, row + 1).view(shape)
    out = low.add_((high.sub_(low)).mul_(weight))
    if bands.variability > 0:
        out = out.mul_(1 + bands.variability * _texture(kind, bands.word))
    return out.transpose(0, 1).contiguous()


def _variant_place(cover: Cover, kind: Tensor, word: Tensor, variants: int) -> Tensor:
    """Where each cell lies along the variants, 0..V-1, (N, H', W') float32."""
    along = cover.vigour.clamp(0, 1) * (variants - 1)
    own = _own_variant(cover, word, variants)
    whole = torch.tensor([name in OF_ONE_PIECE for name in TERRAFICTA.classes], device=kind.device)[kind]
    drift = torch.where(whole, 0.0, 1.2 * (cover.vigour - 0.5))
    return torch.where(cover.parcel == 0, along, (own + drift).clamp(0, variants - 1))


def _own_variant(cover: Cover, word: Tensor, variants: int) -> Tensor:
    """The variant that the identity of each cell's object hashes to, (N, H', W') float32."""
    identity = hashed(word, cover.parcel & 0xFFFFFFFF, cover.parcel >> 32)
    return (uniform(identity) * variants).floor()


def material_code(cover: Cover, bands: PaletteBands) -> Tensor:
    """What each object is made of (N, H', W') int64: 1 + class * V + variant, and 0 on natural ground.

    Codes mean the same throughout a scene, and another thing in the next.
    """
    variants = bands.reflectance.shape[2]
    code = 1 + cover.cover.long() * variants + _own_variant(cover, bands.word[:, None, None], variants).long()
    return torch.where(cover.parcel == 0, 0, code)


def _texture(kind: Tensor, word: Tensor) -> Tensor:
    """Relative deviations (N, H', W'): what is finer than a few cells."""
    y = (torch.arange(kind.shape[1], device=kind.device) - kind.shape[1] // 2)[None, :, None]
    x = (torch.arange(kind.shape[2], device=kind.device) - kind.shape[2] // 2)[None, None]
    speck = uniform(hashed(word[:, None, None], y, x)) - 0.5
    row = speck + speck.roll(1, 1) + speck.roll(-1, 1)
    patch = row + row.roll(1, 2) + row.roll(-1, 2)
    grain = torch.tensor([GRAIN[name] for name in TERRAFICTA.classes], device=kind.device)[kind]
    # a uniform number has the variance 1/12, the sum of nine 9/12: half of the variance each
    return grain * (speck * 6**0.5 + patch * (6**0.5 / 3))
