"""The lottery look: every class is given a spectrum at random; relief, shadow, texture and optics stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.scene.material.palette import BANK_SIZE, WAVELENGTH_NM, reference
from terraficta.synth.scene.material.plants import VARIANTS
from terraficta.synth.scene.world.chance import hashed, uniform
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA

KINDS = 3
"""kinds of farm parcels within a class, beside its ground elsewhere"""
FARMED = ("cropland", "paddy", "fallow", "pasture", "orchard", "plantation")
"""classes whose parcels are of different kinds; roads and roofs have the spectrum of their class"""
MOST_PARTS = 3
"""spectra that are mixed to one"""
CURVES = 0.4
"""chance that one of them is a random curve and not one of our materials"""
HUMPS = 4
"""of a random curve"""
ANEW = 0.12
"""share of the spectra of a group that a scene draws for itself"""
DARKEST, BRIGHTEST = 0.005, 0.9
"""reflectance between which all spectra lie"""
TEXTURE = (0.25, 4.0)
"""how much darker and brighter than its classes a pixel may be"""
COLOUR_KEPT = 0.8
"""of what texture has of its own in single bands: the old materials shine through there"""
LEAST_MEAN = 1e-3
"""reflectance below which a class has no texture of its own, only noise"""
SPILL = 0.125
"""share of a pixel's light that comes from each neighbour, along and across: a spread of half a pixel"""
CEILING = 1.5
"""reflectance that not even a sunlit slope of snow exceeds"""


@dataclass(frozen=True)
class Lottery:
    """Spectra of K classes and their kinds of farm parcels in N scenes of one group; S spectra in all.

    Parameters
    ----------
    kind_seed : int
        31 bits, which kind a parcel is
    bank : np.ndarray
        (S, 3) int64, materials by their number in the bank
    weight : np.ndarray
        (S, 4) of those and of the random curve, which sum to 1
    curve : np.ndarray
        (S, 1 + 3 * HUMPS) logarithm of its level; height, middle and width of its humps [-, um, um]
    gain : np.ndarray
        (S,)
    entry : np.ndarray
        (N, K, 1 + KINDS) int64, the spectrum of a class, and of each kind of farm parcel in it
    own_gain, own_slope : np.ndarray
        (N, K, 1 + KINDS) of the spectrum in the scene [-, um-1]
    scene_gain, scene_slope, haze : np.ndarray
        (N,) of all that is seen [-, um-1, reflectance at 500 nm]
    """

    kind_seed: int
    bank: np.ndarray
    weight: np.ndarray
    curve: np.ndarray
    gain: np.ndarray
    entry: np.ndarray
    own_gain: np.ndarray
    own_slope: np.ndarray
    scene_gain: np.ndarray
    scene_slope: np.ndarray
    haze: np.ndarray


def draw_lottery(key: SceneKey, scenes: int, classes: int) -> Lottery:
    """Draw the spectra of a group of scenes.

    Parameters
    ----------
    key : SceneKey
        of the group
    scenes, classes : int
        N and K

    Examples
    --------
    >>> draw_lottery(SceneKey(7, 0), scenes=4, classes=24).entry.shape
    (4, 24, 4)
    """
    rng = key.at("lottery").rng()
    slots = (scenes, classes, 1 + KINDS)
    entry = np.tile(np.arange(classes * (1 + KINDS)).reshape(1, classes, 1 + KINDS), (scenes, 1, 1))
    anew = rng.random(slots) < ANEW
    count = classes * (1 + KINDS) + int(anew.sum())
    entry[anew] = np.arange(classes * (1 + KINDS), count)
    parts = rng.integers(1, MOST_PARTS + 1, count)[:, None]
    with_curve = rng.random((count, 1)) < CURVES
    taken = np.arange(MOST_PARTS) < parts - with_curve
    weight = rng.exponential(size=(count, MOST_PARTS + 1)) * np.concatenate([taken, with_curve], 1)
    humps = [
        rng.normal(0.0, 0.7, (count, HUMPS)),
        rng.uniform(0.35, 2.5, (count, HUMPS)),
        np.exp(rng.uniform(np.log(0.06), np.log(0.6), (count, HUMPS))),
    ]
    return Lottery(
        kind_seed=key.at("lottery", "kind").field_seed(),
        bank=rng.integers(0, BANK_SIZE, (count, MOST_PARTS)),
        weight=weight / weight.sum(1, keepdims=True),
        curve=np.concatenate([rng.normal(np.log(0.15), 0.7, (count, 1)), *humps], 1),
        gain=np.exp(0.25 * rng.standard_normal(count)),
        entry=entry,
        own_gain=np.exp(0.12 * rng.standard_normal(slots)),
        own_slope=0.15 * rng.standard_normal(slots),
        scene_gain=np.exp(0.08 * rng.standard_normal(scenes)),
        scene_slope=0.1 * rng.standard_normal(scenes),
        haze=np.abs(0.015 * rng.standard_normal(scenes)),
    )


def lottery_reflectance(image: Tensor, mass: Tensor, material: Tensor, centre_nm: Tensor, lottery: Lottery) -> Tensor:
    """The image (N, B, H, W) with the spectra of the lottery in place of its own.

    What a pixel has over the mean of its classes in its scene (relief, shadow, texture) is laid over the new spectra.
    Where class mass is less than 1 (clouds) the old image stays in proportion.

    Parameters
    ----------
    image : Tensor
        (N, B, H, W) reflectance, or what is like it
    mass : Tensor
        (N, K, H, W) class mass
    material : Tensor
        (N, H, W) int64, `material_code`: farm parcels of one code are of one kind; 0: no parcel
    centre_nm : Tensor
        (B,) [nm]; beyond 400..2500 nm materials are as at the end of that span
    lottery : Lottery
        of N scenes and K classes
    """
    spectra = lottery_spectra(lottery, centre_nm.to(image.device)).to(image.dtype)  # (N, K, 1 + KINDS, B)
    kind = _kind_of(material, lottery.kind_seed)
    haze = torch.as_tensor(lottery.haze).to(image)[:, None] * (centre_nm.to(image) / 500.0) ** -1.5
    return torch.stack([
        _repainted(seen, share.to(seen.dtype), *rest)
        for seen, share, *rest in zip(image, mass, kind, spectra, haze, strict=True)
    ])  # fmt: skip


def _kind_of(material: Tensor, seed: int) -> Tensor:
    """(N, H, W) int64: 1 + the kind of each farm parcel, 0 elsewhere."""
    farmed = torch.tensor([name in FARMED for name in TERRAFICTA.classes], device=material.device)
    drawn = uniform(hashed(torch.tensor(seed, dtype=torch.int64, device=material.device), material))
    own_class = (material - 1).clamp(min=0) // VARIANTS
    return torch.where((material > 0) & farmed[own_class], 1 + (drawn * KINDS).long(), 0)


def _repainted(image: Tensor, mass: Tensor, kind: Tensor, spectra: Tensor, haze: Tensor) -> Tensor:
    """One image (B, H, W) of class mass (K, H, W) in new spectra (K, 1 + KINDS, B), under a haze (B,)."""
    seen, share = image.flatten(1), mass.flatten(1)
    here = torch.nonzero(share.sum(1) > 0).flatten()
    share, spectra = share.index_select(0, here), spectra.index_select(0, here)
    whole = share.sum(0).clamp(0, 1)
    both = seen.new_zeros(2 * len(seen) + 1, seen.shape[1])
    expected, painted, _ = both.split([len(seen), len(seen), 1])  # in the old spectra, in the new ones
    both[-1] = whole
    for number in range(1 + KINDS):
        cells = torch.nonzero(kind.flatten() == number).flatten()
        part = share.index_select(1, cells)
        mean = (seen.index_select(1, cells) @ part.T) / part.sum(1).clamp(min=1e-6)
        expected.index_copy_(1, cells, mean @ part)
        painted.index_copy_(1, cells, spectra[:, number].T @ part)
    both = _blurred(both.view(-1, *image.shape[1:])).flatten(1)
    both = both[:-1] / both[-1].clamp(min=1e-6)
    expected, painted = both.chunk(2)
    texture = (seen / expected.clamp_(min=LEAST_MEAN)).clamp_(*TEXTURE)
    grey = texture.mean(0)
    texture = texture.sub_(grey).mul_(COLOUR_KEPT).add_(grey)
    new = painted.mul_(texture).add_(haze[:, None]).clamp_(max=CEILING)
    return (seen + whole * (new - seen)).view_as(image)


def _blurred(planes: Tensor) -> Tensor:
    """Planes (C, H, W) as optics would see them: class mass has sharper edges than the image has."""
    for axis in (1, 2):
        size = planes.shape[axis]
        first, last = planes.narrow(axis, 0, 1), planes.narrow(axis, size - 1, 1)
        before = torch.cat([first, planes.narrow(axis, 0, size - 1)], axis)
        after = torch.cat([planes.narrow(axis, 1, size - 1), last], axis)
        planes = planes * (1 - 2 * SPILL) + SPILL * (before + after)
    return planes


def lottery_spectra(lottery: Lottery, centre_nm: Tensor) -> Tensor:
    """(N, K, 1 + KINDS, B) float64 reflectance of every class and kind of parcel in every scene, without haze."""
    device, centre_um = centre_nm.device, centre_nm.double() / 1000.0

    def of(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, device=device)[..., None]

    bank = _at(centre_nm, reference().bank[torch.as_tensor(lottery.bank)].to(device).double())  # (S, 3, B)
    level, height, middle, width = torch.as_tensor(lottery.curve, device=device).split([1, HUMPS, HUMPS, HUMPS], 1)
    bend = (centre_um - middle[..., None]) / width[..., None]
    curve = torch.exp(level + (height[..., None] * torch.exp(-0.5 * bend**2)).sum(1)).clamp(DARKEST, BRIGHTEST)
    mixed = (torch.cat([bank, curve[:, None]], 1) * of(lottery.weight)).sum(1)
    mixed = (mixed * of(lottery.gain))[torch.as_tensor(lottery.entry, device=device)]
    slope = of(lottery.own_slope + lottery.scene_slope[:, None, None])
    gain = of(lottery.own_gain * lottery.scene_gain[:, None, None])
    return (mixed * gain * torch.exp(slope * (centre_um - 1.0))).clamp(DARKEST, BRIGHTEST)


def _at(centre_nm: Tensor, spectra: Tensor) -> Tensor:
    """Spectra (..., L) at wavelengths (B,), between two of their own in proportion."""
    own = WAVELENGTH_NM.to(spectra.device)
    place = ((centre_nm.double() - own[0]) / (own[1] - own[0])).clamp(0, len(own) - 1)
    first = place.floor().clamp(max=len(own) - 2).long()
    return torch.lerp(spectra[..., first], spectra[..., first + 1], place - first)
