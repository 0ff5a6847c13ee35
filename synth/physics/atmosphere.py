"""The atmosphere of a scene: from surface reflectance to what reaches the aperture, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from terraficta.synth.physics.adjacency import surroundings
from terraficta.synth.physics.aerosol import AEROSOLS
from terraficta.synth.physics.air_terms import RANGES, AirTerms, air_terms
from terraficta.synth.physics.cloud import Clouds, dimming, grow_clouds
from terraficta.synth.physics.sun import Sun
from terraficta.synth.physics.terrain_light import TerrainLight
from terraficta.synth.scene.world.lattice import fbm
from terraficta.synth.scene.world.window import Window
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import AirRecipe
from terraficta.synth.types.sensor import Sensor

AEROSOL_ODDS = (0.5, 0.15, 0.1, 0.15, 0.1)
"""how often each of AEROSOLS is drawn: most land lies under continental air"""
WHOLE = {"aerosol", "seed"}
"""fields of an atmosphere that are whole numbers"""
ITERATIONS = 4
"""of the inversion with adjacency; each leaves about a tenth of the error"""
HAZE_M, HAZE_SPREAD = 3000.0, 0.6
"""size of its blobs [m], and standard deviation of the logarithm of its optical thickness"""
CLEAR_AOT550 = 0.1
"""of the clear sky that lights land where no air is drawn: usual of clean continental air, Holben et al. 2001,
doi:10.1029/2001JD900014"""
CLOUD_SKYLIGHT = 0.3
"""what a cloud takes from the beam comes down, in this part, as skylight; chosen"""
COARSE, COARSE_M = 8, 40.0
"""the air is smooth: its terms are computed on cells up to this many times coarser and interpolated; and the coarsest
such cell, from the sensor's sampling distance [m], so that the inner part of the adjacency effect is resolved"""
LOWEST_HIGHEST_M = (-300.0, 8000.0)
"""between these heights the air is known; what lies beyond is lit as if it lay there"""


@dataclass(frozen=True)
class Atmosphere:
    """The air over N scenes; every field but `adjacency` is (N,).

    Parameters
    ----------
    aot550 : Tensor
        aerosol optical thickness at 550 nm above the ground, without haze
    water_vapour_cm, ozone_cm : Tensor
        columns above the ground
    rayleigh : Tensor
        share of a whole atmosphere of molecules, 0..1
    aerosol : Tensor
        index into AEROSOLS
    haze : Tensor
        mean of the extra aerosol optical thickness that varies over the scene
    cloud_share, cloud_size_m, cloud_base_m : Tensor
        of the clouds
    adjacency : float
        0: neighbours do not shine into each other's view; 1: they do
    aot550_guess, water_vapour_guess_cm : Tensor
        what an imperfect correction believes
    seed : Tensor
        seed of the fields of haze and clouds
    """

    aot550: Tensor
    water_vapour_cm: Tensor
    ozone_cm: Tensor
    rayleigh: Tensor
    aerosol: Tensor
    haze: Tensor
    cloud_share: Tensor
    cloud_size_m: Tensor
    cloud_base_m: Tensor
    adjacency: float
    aot550_guess: Tensor
    water_vapour_guess_cm: Tensor
    seed: Tensor

    @classmethod
    def none(cls, scenes: int = 1) -> Atmosphere:
        """No air at all: the identity."""
        zero, whole = torch.zeros(scenes), torch.zeros(scenes, dtype=torch.int64)
        numbers = {f.name: whole if f.name in WHOLE else zero for f in fields(cls) if f.name != "adjacency"}
        return cls(adjacency=0.0, **numbers)

    @property
    def absent(self) -> Tensor:
        """(N,) bool: no molecules, no aerosol, no gas."""
        amounts = torch.stack([self.aot550, self.haze, self.water_vapour_cm, self.ozone_cm, self.rayleigh])
        return (amounts == 0).all(0)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """One record a scene."""
        numbers = [f.name for f in fields(self) if f.name not in WHOLE | {"adjacency"}]
        return [
            {"aerosol": AEROSOLS[int(self.aerosol[i])], "adjacency": self.adjacency}
            | {n: float(getattr(self, n)[i]) for n in numbers}
            for i in range(len(self.aot550))
        ]

    def to(self, device: torch.device | str) -> Atmosphere:
        """The same on a device."""
        there = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "adjacency"}
        return Atmosphere(adjacency=self.adjacency, **there)


class TopOfAtmosphere(NamedTuple):
    """What reaches the aperture, and the truth of the sky."""

    toa_reflectance: Tensor
    """(N, B, H, W)"""
    cloud_opacity: Tensor
    """(N, H, W) 0..1, exactly 0 in the clear"""
    cloud_shadow: Tensor
    """(N, H, W) share of the direct sun that clouds take, exactly 0 where none does"""
    aot550: Tensor
    """(N, H, W) haze included"""


def draw_atmosphere(recipe: AirRecipe, keys: Sequence[SceneKey]) -> Atmosphere:
    """The air of each scene, and what a product would believe of it."""
    rows: dict[str, list[float]] = {f.name: [] for f in fields(Atmosphere) if f.name != "adjacency"}
    for key in keys:
        rng = key.at("air").rng()
        aot, water, ozone, haze, clouds = (
            float(rng.uniform(*span))
            for span in (recipe.aot550, recipe.water_vapour_cm, recipe.ozone_cm, recipe.haze, recipe.clouds)
        )
        drawn = {
            "aot550": aot, "water_vapour_cm": water, "ozone_cm": ozone, "rayleigh": recipe.rayleigh,
            "aerosol": int(rng.choice(len(AEROSOLS), p=AEROSOL_ODDS)), "haze": haze, "cloud_share": clouds,
            "cloud_size_m": float(10 ** rng.uniform(2.7, 3.8)), "cloud_base_m": float(10 ** rng.uniform(2.7, 3.5)),
            # products are off by about 0.05 + 0.15 aot (one sigma): ACIX-II, Doxani 2023, doi:10.1016/j.rse.2022.113412
            "aot550_guess": _within("aot550", aot + haze + float(rng.normal()) * (0.05 + 0.15 * (aot + haze))),
            "water_vapour_guess_cm": _within("water_vapour_cm", water * (1 + 0.1 * float(rng.normal()))),
            "seed": key.at("air", "fields").field_seed(),
        }  # fmt: skip
        for name, value in drawn.items():
            rows[name].append(value)
    columns = {n: torch.tensor(v, dtype=torch.int64 if n in WHOLE else torch.float32) for n, v in rows.items()}
    return Atmosphere(adjacency=recipe.adjacency, **columns)


def _within(name: str, guess: float) -> float:
    low, high = RANGES[name]
    return min(max(guess, low), high)


def toa_reflectance(
    boa_reflectance: Tensor,
    elevation_m: Tensor,
    cell_m: Tensor,
    sun: Sun,
    air: Atmosphere,
    sensor: Sensor,
    light: TerrainLight | None = None,
) -> TopOfAtmosphere:
    """Light the ground, send it up through the air, and put clouds between.

    Parameters
    ----------
    boa_reflectance : Tensor
        (N, B, H, W)
    elevation_m : Tensor
        (N, H, W) [m]
    cell_m : Tensor
        (N,) [m]
    light : TerrainLight | None
        of the relief; None: level ground. Where there is no air, land is lit as under the clear sky of `sky_shares`, so
        that shadows are dim and blue; level open ground keeps its reflectance exactly

    Source
    ------
    Of light on relief: direct, diffuse by sky view but for what comes from `around_the_sun`, and what the land that
    hides the sky reflects, (1 - sky view) x total x mean reflectance around: Sandmeier & Itten 1997,
    doi:10.1109/36.581991.
    """
    n, _, height, width = boa_reflectance.shape
    clouds = None
    if bool((air.cloud_share > 0).any()):
        clouds = grow_clouds(air.seed, air.cloud_share, air.cloud_size_m, air.cloud_base_m, sun, height, width, cell_m)
    aot = haze_field(air, height, width, cell_m)
    toa = _through_the_air(boa_reflectance, elevation_m, cell_m, aot, sun, air, sensor, light, clouds)
    if clouds is None:
        clear = boa_reflectance.new_zeros(n, height, width)
        return TopOfAtmosphere(toa, clear, clear, aot)
    return TopOfAtmosphere(toa, clouds.opacity, clouds.shadow, aot)


def haze_field(air: Atmosphere, height: int, width: int, cell_m: Tensor) -> Tensor:
    """Aerosol optical thickness at 550 nm (N, H, W): even air plus log-normal haze."""
    aot = air.aot550[:, None, None].expand(-1, height, width)
    if not bool((air.haze > 0).any()):
        return aot
    f = next(f for f in (COARSE, 4, 2, 1) if height % f == 0 and width % f == 0)
    window = Window.over(height // f, width // f, cell_m.double() * f)
    field = fbm(window, torch.full_like(cell_m, HAZE_M).double(), air.seed + 1, 3)
    haze = air.haze[:, None, None] * torch.exp(HAZE_SPREAD * field.double() - HAZE_SPREAD**2 / 2).float()
    thick = (air.aot550[:, None, None] + haze).clamp(max=RANGES["aot550"][1])
    return _fine(thick[:, None], (height, width))[:, 0]


def _pool_factor(height: int, width: int, sensor: Sensor) -> int:
    wanted = min(COARSE, COARSE_M / sensor.gsd_m)  # not from the scene's own cell: a batch shares it
    return next(f for f in (COARSE, 4, 2, 1) if f == 1 or (f <= wanted and height % f == 0 and width % f == 0))


def _coarse(plane: Tensor, factor: int) -> Tensor:
    """Means of factor x factor cells: rows first, which fill SIMD lanes, then the few columns. One cell stays one."""
    if factor == 1 or plane.shape[-2:] == (1, 1):
        return plane
    rows = reduce(torch.add, plane.unflatten(-2, (-1, factor)).unbind(-2))
    return reduce(torch.add, rows.unflatten(-1, (-1, factor)).unbind(-1)) / factor**2


def _fine(plane: Tensor, size: tuple[int, int]) -> Tensor:
    if plane.shape[-2:] in {size, (1, 1)}:
        return plane
    return F.interpolate(plane, size=size, mode="bilinear", align_corners=False)


def _on_rows(maps: Tensor, factor: int, row: int) -> Tensor:
    """Every `factor`-th fine row, from `row` on, of bilinear maps: (N, M, h + 2, W) to (N, M, h, W).

    Maps are those of `_on_columns`. Row by row, so that nothing is formed that leaves the cache.
    """
    if factor == 1:
        return maps[:, :, 1:-1]
    place = (row + 0.5) / factor + 0.5
    first, height = int(place), maps.shape[2] - 2
    return torch.lerp(maps[:, :, first : first + height], maps[:, :, first + 1 : first + 1 + height], place - first)


def _on_columns(maps: Sequence[Tensor], width: int) -> Tensor:
    """Coarse maps (N, h, w) with fine columns, and first and last row repeated: (N, M, h + 2, W)."""
    wide = torch.stack(list(maps), 1)
    if wide.shape[-1] != width:
        wide = F.interpolate(wide.flatten(1, 2), size=width, mode="linear", align_corners=False).view(
            *wide.shape[:3], width
        )
    return torch.cat([wide[:, :, :1], wide, wide[:, :, -1:]], 2)


def terms_over(aot: Tensor, elevation_km: Tensor, sun: Sun, air: Atmosphere, sensor: Sensor) -> AirTerms:
    """Terms of the air (N, B, h, w) over maps of aerosol and elevation (N, h, w).

    Solved at 3 x 3 nodes of the scene's own range of aerosol and elevation, between them by parabolas.
    """
    nodes_a, weights_a = _nodes(aot, 0.05)
    nodes_z, weights_z = _nodes(elevation_km, 0.1)
    per_scene = [
        v[:, None, None]
        for v in (sun.sza_deg, sun.vza_deg, sun.raa_deg, air.aerosol, air.water_vapour_cm, air.ozone_cm, air.rayleigh)
    ]
    sza, vza, raa, aerosol, water, ozone, rayleigh = per_scene
    at_nodes = air_terms(
        sensor, sza, vza, raa, nodes_a[:, :, None], aerosol, water, ozone, nodes_z[:, None, :], rayleigh
    )  # each (N, 3, 3, B)
    together = torch.cat(at_nodes, -1)[..., None, None]  # (N, 3, 3, 8 B, 1, 1)
    total = together.new_zeros(len(aot), together.shape[3], *aot.shape[1:])
    for i in range(3):
        for j in range(3):
            total.addcmul_(together[:, i, j], (weights_a[i] * weights_z[j])[:, None])
    return AirTerms(*total.chunk(len(at_nodes), 1))


def _nodes(field: Tensor, least_range: float) -> tuple[Tensor, list[Tensor]]:
    """Three nodes (N, 3) that span a field (N, h, w), and the field's quadratic Lagrange weights on them."""
    low, high = field.amin((1, 2)), field.amax((1, 2))
    high = torch.maximum(high, low + least_range)
    nodes = torch.stack([low, (low + high) / 2, high], 1)
    t = (field - low[:, None, None]) / (high - low)[:, None, None]
    return nodes, [(1 - t) * (1 - 2 * t), 4 * t * (1 - t), t * (2 * t - 1)]


def _through_the_air(
    boa: Tensor, elevation_m: Tensor, cell_m: Tensor, aot: Tensor, sun: Sun, air: Atmosphere, sensor: Sensor,
    light: TerrainLight | None, clouds: Clouds | None,
) -> Tensor:  # fmt: skip
    size = (boa.shape[2], boa.shape[3])
    direct = _direct(light, clouds, boa)
    airless = air.absent
    if bool(airless.all()):
        return _without_air(boa, direct, light, clouds, sun, sensor)
    factor = _pool_factor(*size, sensor)
    around = _coarse(boa, factor)
    terms = terms_over(_coarse(aot[:, None], factor)[:, 0], _coarse(elevation_m[:, None], factor)[:, 0] / 1000,
                       sun, air, sensor)  # fmt: skip
    mixes, near = air.adjacency, around
    if mixes > 0:
        near = torch.lerp(around, surroundings(around, cell_m * factor, terms.rayleigh_share.mean((2, 3))), mixes)
    total = terms.down_direct + terms.down_diffuse
    beam, sky = terms.down_direct, terms.down_diffuse
    if light is not None:
        circumsolar = around_the_sun(terms)
        beam = terms.down_direct + circumsolar
        view = _coarse(light.sky_view[:, None], factor)
        sky = (terms.down_diffuse - circumsolar) * view + (1 - view) * total * near
    if clouds is not None:
        shade = _coarse(clouds.shadow[:, None], factor)
        sky = sky + CLOUD_SKYLIGHT * shade * beam
    up_near = terms.up_diffuse * mixes
    scale = terms.gas * (terms.up_direct + terms.up_diffuse - up_near)
    veil = terms.path
    if mixes > 0:  # what the surroundings trap and send is even over a coarse cell
        trapped = 1 / (1 - terms.spherical_albedo * near)
        arriving = (beam if direct is None else beam * _coarse(direct[:, None], factor)) + sky
        veil, scale = veil + terms.gas * trapped * up_near * near * arriving, scale * trapped
    sky, beam = scale * sky, scale * beam
    toa = torch.empty_like(boa)
    # a cloud shines through the gases above it: water vapour and most else lie below exp(-base / 2 km)
    above = torch.exp(-air.cloud_base_m.double() / 2000)[:, None]
    dim = dimming(sensor.centre_nm).to(boa) * (terms.gas.mean((2, 3)).double() ** above).to(boa)
    rho, out = (x.unflatten(-2, (-1, factor)) for x in (boa, toa))
    lit = None if direct is None else direct.unflatten(-2, (-1, factor))
    for b in range(boa.shape[1]):  # band by band, so that the planes stay in the cache
        maps = [m[:, b] for m in (veil, sky, beam)]
        wide = _on_columns(maps if mixes > 0 else [*maps, terms.spherical_albedo[:, b]], size[1])
        for row in range(factor):
            veil_b, sky_b, beam_b, *albedo_b = _on_rows(wide, factor, row).unbind(1)
            ground = rho[:, b, :, row]
            if albedo_b:
                ground = ground / (1 - albedo_b[0] * ground)
            gain = sky_b + beam_b if lit is None else torch.addcmul(sky_b, beam_b, lit[:, :, row])
            torch.addcmul(veil_b, gain, ground, out=out[:, b, :, row])
        if clouds is not None:
            toa[:, b].lerp_(clouds.brightness * dim[:, b, None, None], clouds.opacity)
    if bool(airless.any()):
        bare = _without_air(boa, direct, light, clouds, sun, sensor)
        toa = torch.where(airless[:, None, None, None], bare, toa)
    return toa


def _without_air(
    boa: Tensor, direct: Tensor | None, light: TerrainLight | None, clouds: Clouds | None, sun: Sun, sensor: Sensor
) -> Tensor:
    """What is seen where no air is drawn: the ground under the light of a clear sky, and clouds over it."""
    if direct is None:
        return boa
    beam, sky = sky_shares(sun, sensor)
    toa = torch.empty_like(boa)
    lost = 1 - direct if clouds is None else 1 - direct - CLOUD_SKYLIGHT * clouds.shadow
    hidden = None if light is None else 1 - light.sky_view
    white = None if clouds is None else dimming(sensor.centre_nm).to(boa)
    for b in range(boa.shape[1]):
        rho, dark = boa[:, b], beam[:, b, None, None] * lost
        if hidden is not None:  # land that hides the sky shines in its place; Sandmeier & Itten 1997, as with air
            around = rho.mean((1, 2), keepdim=True)
            dark = torch.addcmul(dark, hidden, sky[:, b, None, None] - around)
        torch.mul(rho, 1 - dark, out=toa[:, b])
        if clouds is not None and white is not None:
            toa[:, b].lerp_(clouds.brightness * white[b], clouds.opacity)
    return toa


def sky_shares(sun: Sun, sensor: Sensor) -> tuple[Tensor, Tensor]:
    """Of the light on level ground under a clear sky, what comes from the sun and around it, and from the rest: (N, B).

    The sky is that of molecules and CLEAR_AOT550 of continental aerosol at sea level.
    """
    zero = torch.zeros_like(sun.sza_deg)
    sza_deg = sun.sza_deg.clamp(*RANGES["sza_deg"])
    terms = air_terms(sensor, sza_deg, zero, zero, zero + CLEAR_AOT550, zero.long(), zero, zero, zero, zero + 1)
    sky = (terms.down_diffuse - around_the_sun(terms)) / (terms.down_direct + terms.down_diffuse)
    return 1 - sky, sky


def around_the_sun(terms: AirTerms) -> Tensor:
    """Part of the diffuse light that comes from around the sun, and is shaded as the sun is.

    Source
    ------
    Hay 1979: the share T_direct of the diffuse light. Departure: of what aerosol scatters only; molecules have no
    aureole, and their light reaches every shadow that sees the sky.
    """
    return terms.down_diffuse * terms.down_direct * (1 - terms.rayleigh_share)


def _direct(light: TerrainLight | None, clouds: Clouds | None, like: Tensor) -> Tensor | None:
    """Direct light relative to level ground under a clear sky (N, H, W); None where it is 1 everywhere."""
    if light is None and clouds is None:
        return None
    direct = torch.ones_like(like[:, 0]) if light is None else light.direct
    return direct if clouds is None else direct * (1 - clouds.shadow)


def boa_correction(
    toa: Tensor,
    sun: Sun,
    air: Atmosphere,
    sensor: Sensor,
    recipe: AirRecipe,
    gsd_m: Tensor,
    elevation_m: Tensor | None = None,
    aot550: Tensor | None = None,
) -> Tensor:
    """Surface reflectance as a product would give it: level ground, no clouds, a guess of the air.

    Parameters
    ----------
    toa : Tensor
        (N, B, H, W)
    recipe : AirRecipe
        its `correction`: "none" returns `toa`; "perfect" knows the air; "imperfect" has a wrong, even guess
    gsd_m : Tensor
        (N,) [m]
    elevation_m, aot550 : Tensor | None
        (N, H, W) what "perfect" knows on this grid; absent: sea level, the scene's mean

    Error
    -----
    "perfect" inverts level, cloudless scenes exactly; with adjacency by fixed-point iteration, to about 1e-3.
    """
    airless = air.absent
    if recipe.correction == "none" or bool(airless.all()):
        return toa
    n, _, height, width = toa.shape
    if elevation_m is None:
        elevation_m = toa.new_zeros(n, height, width)
    if recipe.correction == "imperfect":
        air = replace(air, water_vapour_cm=air.water_vapour_guess_cm)
        aot550, elevation_m = air.aot550_guess[:, None, None], elevation_m.mean((1, 2), keepdim=True)
    elif aot550 is None:
        aot550 = (air.aot550 + air.haze)[:, None, None].expand(n, height, width)
    factor = _pool_factor(height, width, sensor)
    size = (height, width)
    terms = terms_over(_coarse(aot550[:, None], factor)[:, 0], _coarse(elevation_m[:, None], factor)[:, 0] / 1000,
                       sun, air, sensor)  # fmt: skip
    up, down = terms.up_direct + terms.up_diffuse, terms.down_direct + terms.down_diffuse
    if air.adjacency == 0:
        path, gain, albedo = (_fine(m, size) for m in (terms.path, terms.gas * down * up, terms.spherical_albedo))
        y = (toa - path) / gain
        return torch.where(airless[:, None, None, None], toa, y / (1 + albedo * y))
    seen, share, up_near = _coarse(toa, factor), terms.rayleigh_share.mean((2, 3)), terms.up_diffuse * air.adjacency
    y = (seen - terms.path) / (terms.gas * down * up)
    near = y / (1 + terms.spherical_albedo * y)
    for _ in range(ITERATIONS):  # on the coarse cells, where the surroundings live
        around = torch.lerp(near, surroundings(near, gsd_m * factor, share), air.adjacency)
        trapped = terms.gas * down / (1 - terms.spherical_albedo * around)
        veil, gain = terms.path + trapped * up_near * around, trapped * (up - up_near)
        near = (seen - veil) / gain
    rho = (toa - _fine(veil, size)) / _fine(gain, size)
    return torch.where(airless[:, None, None, None], toa, rho)
