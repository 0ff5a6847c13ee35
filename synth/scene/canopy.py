"""The canopy: a layer of leaves over soil, seen from above (4SAIL)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.scene.leaf_angle import CENTRES_DEG

HOT_SPOT_STEPS = 20
"""of the integral along the two correlated paths, as in 4SAIL"""


@dataclass(frozen=True)
class Stand:
    """How leaves stand and how they are seen; every field but `lidf` is a tensor of one shape (S,).

    Parameters
    ----------
    lai : leaf area index [m2 m-2]
    lidf : (S, 18) shares of leaf area in the inclination classes of `leaf_angle`
    hotspot : leaf size over canopy height [-]
    sza_deg, vza_deg, raa_deg : sun zenith, view zenith, relative azimuth (0 = hot spot side) [deg]
    """

    lai: Tensor
    lidf: Tensor
    hotspot: Tensor
    sza_deg: Tensor
    vza_deg: Tensor
    raa_deg: Tensor


def canopy_reflectance(leaf_r: Tensor, leaf_t: Tensor, soil: Tensor, stand: Stand) -> Tensor:
    """Bidirectional reflectance of a canopy over a Lambertian soil (`rsdf` of the SAIL family).

    Parameters
    ----------
    leaf_r, leaf_t : (S, L) hemispherical reflectance and transmittance of its leaves
    soil : (S, L) reflectance of the ground below
    stand : of S canopies

    Returns
    -------
    (S, L)

    Error
    -----
    2e-5 against prosail 2.0.5 over 120 canopies in float32 (tests/physics/test_canopy.py). A homogeneous layer: crowns,
    rows and clumps are not in it.

    Source
    ------
    Verhoef 1984 doi 10.1016/0034-4257(84)90057-9; Verhoef et al. 2007 doi 10.1109/TGRS.2006.895844 (4SAIL). Departure:
    infinite reflectance, 1 - rinf^2 and the J functions are written without cancelling differences, so that leaves
    which absorb nothing or everything need no special case.
    """
    see = _sight(stand, leaf_r)
    lai, ks, ko, tss, too = stand.lai.to(leaf_r)[:, None], see["ks"], see["ko"], see["tss"], see["too"]
    # what a thin layer does to diffuse light (b back, f on), sunlight (s) and the light to the observer (v)
    back = see["ddb"] * leaf_r + see["ddf"] * leaf_t
    loss = (1 - leaf_r - leaf_t).clamp(min=1e-6)
    m = (loss * (loss + 2 * back)).sqrt()
    sb, sf = see["sdb"] * leaf_r + see["sdf"] * leaf_t, see["sdf"] * leaf_r + see["sdb"] * leaf_t
    vb, vf = see["dob"] * leaf_r + see["dof"] * leaf_t, see["dof"] * leaf_r + see["dob"] * leaf_t
    w = see["sob"] * leaf_r + see["sof"] * leaf_t
    # an endless layer, and this one
    total = loss + back + m
    rinf = back / total
    one_less_rinf2 = 2 * m / total
    fade = torch.exp(-m * lai)
    one_less_fade2 = -torch.expm1(-2 * m * lai)
    share = 1 / (one_less_rinf2 + rinf**2 * one_less_fade2)
    s_down, s_up, v_down, v_up = sf + sb * rinf, sf * rinf + sb, vf + vb * rinf, vf * rinf + vb
    j1_s, j1_o = _meet(ks, m, lai, tss, fade), _meet(ko, m, lai, too, fade)
    j2_s, j2_o = (1 - tss * fade) / (ks + m), (1 - too * fade) / (ko + m)
    ps, qs, pv, qv = s_down * j1_s, s_up * j2_s, v_down * j1_o, v_up * j2_o
    re = rinf * fade
    rdd = rinf * one_less_fade2 * share
    tsd, tdo, rdo = (ps - re * qs) * share, (pv - re * qv) * share, (qv - re * pv) * share
    up = v_up * s_down * (see["z"] - j1_s * too) / (ko + m)
    down = v_down * s_up * (see["z"] - j1_o * tss) / (ks + m)
    many = (up + down - (rdo * qs + tdo * ps) * rinf) / one_less_rinf2
    once = w * lai * see["both_lit"]
    # and the soil below
    around = (tss + tsd) * tdo + (tsd + tss * soil * rdd) * too
    return once + many + see["both_seen"] * soil + around * soil / (1 - soil * rdd)


def _meet(k: Tensor, m: Tensor, lai: Tensor, straight: Tensor, fade: Tensor) -> Tensor:
    """(exp(-m lai) - exp(-k lai)) / (k - m), sound where k = m."""
    gap = ((k - m).abs() * lai).clamp(min=1e-12)
    return lai * torch.maximum(straight, fade) * (-torch.expm1(-gap) / gap)


def _sight(stand: Stand, like: Tensor) -> dict[str, Tensor]:
    """What geometry alone decides, each (S, 1): extinction k, scattering d.. and s.., direct paths. In float64."""
    lai = stand.lai.double()
    lidf = stand.lidf.double()
    sun, view = torch.deg2rad(stand.sza_deg.double()), torch.deg2rad(stand.vza_deg.double())
    psi = torch.deg2rad((stand.raa_deg.double() + 180) % 360 - 180).abs()
    leaf = torch.deg2rad(CENTRES_DEG).to(lidf.device)
    chi_s, chi_o, front, through = _facets(sun[:, None], view[:, None], psi[:, None], leaf)
    ks, ko = (lidf * chi_s).sum(1) / sun.cos(), (lidf * chi_o).sum(1) / view.cos()
    flat = (lidf * leaf.cos() ** 2).sum(1)
    turn = math.pi / (sun.cos() * view.cos())
    both_seen, both_lit = _hot_spot(stand, ks, ko, sun, view, psi)
    parts = {
        "ks": ks, "ko": ko, "tss": (-ks * lai).exp(), "too": (-ko * lai).exp(),
        "sdb": (ks + flat) / 2, "sdf": (ks - flat) / 2, "dob": (ko + flat) / 2, "dof": (ko - flat) / 2,
        "ddb": (1 + flat) / 2, "ddf": (1 - flat) / 2,
        "sob": (lidf * front).sum(1) * turn, "sof": (lidf * through).sum(1) * turn,
        "z": -torch.expm1(-(ks + ko) * lai) / (ks + ko), "both_seen": both_seen, "both_lit": both_lit,
    }  # fmt: skip
    return {name: value.to(like)[:, None] for name, value in parts.items()}


def _facets(sun: Tensor, view: Tensor, psi: Tensor, leaf: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Leaves of one inclination and every azimuth: interception of sun and view; reflection and transmission (S, A).

    Source
    ------
    Verhoef 1984, volume scattering function.
    """
    cs, co = leaf.cos() * sun.cos(), leaf.cos() * view.cos()
    ss, so = leaf.sin() * sun.sin(), leaf.sin() * view.sin()
    # azimuth at which a leaf turns its other face; pi: never
    turn_s = torch.acos((-cs / ss.clamp(min=1e-9)).clamp(min=-1))
    turn_o = torch.acos((-co / so.clamp(min=1e-9)).clamp(min=-1))
    chi_s = 2 / math.pi * ((turn_s - math.pi / 2) * cs + turn_s.sin() * ss)
    chi_o = 2 / math.pi * ((turn_o - math.pi / 2) * co + turn_o.sin() * so)
    ds, do = torch.where(cs < ss, ss, cs), torch.where(co < so, so, co)
    low, high = (turn_s - turn_o).abs(), math.pi - (turn_s + turn_o - math.pi).abs()
    b1, b2, b3 = torch.stack([psi.expand_as(low), low, high]).sort(0).values
    t1 = 2 * cs * co + ss * so * psi.cos()
    t2 = b2.sin() * (2 * ds * do + ss * so * b1.cos() * b3.cos())
    front = ((math.pi - b2) * t1 + t2) / (2 * math.pi**2)
    through = (t2 - b2 * t1) / (2 * math.pi**2)
    return chi_s, chi_o, front.clamp(min=0), through.clamp(min=0)


def _hot_spot(stand: Stand, ks: Tensor, ko: Tensor, sun: Tensor, view: Tensor, psi: Tensor) -> tuple[Tensor, Tensor]:
    """Share of the soil (S,) that is both lit and seen, and the mean of that share over the depth of the layer (S,).

    Source
    ------
    Kuusk 1985, as in Verhoef et al. 2007: overlap of the two paths decays with depth at the rate `decay`.
    """
    lai = stand.lai.double()
    tan_s, tan_o = sun.tan(), view.tan()
    apart = (tan_s**2 + tan_o**2 - 2 * tan_s * tan_o * psi.cos()).clamp(min=0).sqrt()
    decay = (2 * apart / stand.hotspot.double().clamp(min=1e-9) / (ks + ko)).clamp(1e-6, 200.0)[:, None]
    # depths at which equal shares of the overlap are spent
    spent = torch.arange(HOT_SPOT_STEPS + 1, device=lai.device) / HOT_SPOT_STEPS
    depth = -torch.log1p(torch.expm1(-decay) * spent) / decay
    depth[:, -1] = 1.0
    overlap = -torch.expm1(-decay * depth) / decay
    path = lai[:, None] * ((ks * ko).sqrt()[:, None] * overlap - (ks + ko)[:, None] * depth)
    seen = path.exp()
    rise = path.diff(dim=1)
    rise = torch.where(rise.abs() < 1e-9, torch.full_like(rise, 1e-9), rise)
    mean = (seen[:, :-1] * torch.expm1(rise) / rise * depth.diff(dim=1)).sum(1)
    return seen[:, -1], mean
