"""The canopy: a layer of leaves over soil, seen from above (4SAIL)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from terraficta.synth.scene.material.leaf_angle import CENTRES_DEG

HOT_SPOT_STEPS = 20
"""of the integral along the two correlated paths, as in 4SAIL"""


@dataclass(frozen=True)
class Stand:
    """How leaves stand and how they are seen; every field (S,) or, where it is the same for all stands, (1,).

    Parameters
    ----------
    lai : Tensor
        leaf area index [m2 m-2]
    lidf : Tensor
        (S, 18) or (1, 18) shares of leaf area in the inclination classes of `leaf_angle`
    hotspot : Tensor
        leaf size over canopy height [-]
    sza_deg, vza_deg, raa_deg : Tensor
        sun zenith, view zenith, relative azimuth (0 = hot spot side) [deg]
    """

    lai: Tensor
    lidf: Tensor
    hotspot: Tensor
    sza_deg: Tensor
    vza_deg: Tensor
    raa_deg: Tensor


@dataclass(frozen=True)
class Sight:
    """What geometry alone decides of a canopy; every field (S, 1).

    Parameters
    ----------
    lai : Tensor
        leaf area index
    ks, ko, flat : Tensor
        extinction of sunlight and of the line of sight; mean squared cosine of the leaf angles
    tss, too, z : Tensor
        direct transmittance of both; their joint integral over the layer
    front, through : Tensor
        single scattering towards the observer, for light reflected and transmitted by leaves
    both_seen : Tensor
        share of the soil that is both lit and seen
    """

    lai: Tensor
    ks: Tensor
    ko: Tensor
    flat: Tensor
    tss: Tensor
    too: Tensor
    z: Tensor
    front: Tensor
    through: Tensor
    both_seen: Tensor

    def rows(self, which: Tensor | slice) -> Sight:
        """Some of the canopies."""
        return Sight(*(part[which] for part in self.parts()))

    def parts(self) -> tuple[Tensor, ...]:
        """The fields, in order."""
        return tuple(getattr(self, part.name) for part in fields(self))


def canopy_reflectance(leaf_r: Tensor, leaf_t: Tensor, soil: Tensor, see: Sight) -> Tensor:
    """Bidirectional reflectance of a canopy over a Lambertian soil (`rsdf` of the SAIL family).

    Parameters
    ----------
    leaf_r, leaf_t : Tensor
        (S, L) hemispherical reflectance and transmittance of its leaves
    soil : Tensor
        (S, L) reflectance of the ground below
    see : Sight
        `sight_of` the S stands, in the dtype of the rest

    Returns
    -------
    Tensor
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
    lai, ks, ko, tss, too = see.lai, see.ks, see.ko, see.tss, see.too
    # what a thin layer does to diffuse light: half of what it scatters, the surplus that goes back, the loss
    half = (leaf_r + leaf_t).mul_(0.5)
    excess = (leaf_r - leaf_t).mul_(see.flat / 2)
    loss = (1 - 2 * half).clamp_(min=1e-6)
    back = half + excess
    m = torch.add(loss, back, alpha=2).mul_(loss).sqrt_()
    # an endless layer, and this one
    total = loss.add_(back).add_(m)
    rinf = back.div_(total)
    one_less_rinf2 = total.reciprocal_().mul_(m).mul_(2)
    fade = (m * -lai).exp_()
    # sunlight (s) and the line of sight (o) feed the two streams down and up
    both = half.mul_(rinf + 1)
    turned = excess.mul_(1 - rinf)
    s_up, o_up = torch.addcmul(turned, ks, both), torch.addcmul(turned, ko, both)
    turned.neg_()
    s_down, o_down = torch.addcmul(turned, ks, both), torch.addcmul(turned, ko, both)
    j1_s, j1_o = _meet(ks, m, lai, fade), _meet(ko, m, lai, fade)
    sum_s, sum_o = m + ks, m.add_(ko)
    ps, qs = s_down * j1_s, (1 - tss * fade).div_(sum_s).mul_(s_up)
    po, qo = o_down * j1_o, (1 - too * fade).div_(sum_o).mul_(o_up)
    # light that goes the one way and comes back the other; z: both lines straight
    many = torch.addcmul(see.z, j1_s, -too, out=j1_s).div_(sum_o).mul_(o_up).mul_(s_down)
    many.add_(torch.addcmul(see.z, j1_o, -tss, out=j1_o).div_(sum_s).mul_(s_up).mul_(o_down))
    re = rinf * fade
    share = torch.addcmul(one_less_rinf2, rinf * rinf, fade.mul_(fade).neg_().add_(1)).reciprocal_()
    rdd = fade.mul_(rinf).mul_(share)
    tsd = torch.addcmul(ps, re, qs, value=-1).mul_(share)
    tdo = torch.addcmul(po, re, qo, value=-1).mul_(share)
    rdo = qo.addcmul_(re, po, value=-1).mul_(share)
    twice = rdo.mul_(qs).addcmul_(tdo, ps).mul_(rinf)
    canopy = many.sub_(twice).div_(one_less_rinf2)
    canopy.addcmul_(leaf_r, see.front).addcmul_(leaf_t, see.through)
    # and the soil below
    seen = rdd.mul_(soil)
    bounce = soil / (1 - seen)
    around = seen.mul_(tss).add_(tsd).mul_(too).addcmul_(tsd.add_(tss), tdo)
    return canopy.addcmul_(around, bounce).addcmul_(soil, see.both_seen)


def _meet(k: Tensor, m: Tensor, lai: Tensor, fade: Tensor) -> Tensor:
    """(exp(-m lai) - exp(-k lai)) / (k - m), sound where k = m; `fade` = exp(-m lai)."""
    gap = (m - k).mul_(lai).add_(1e-20)
    return torch.expm1(gap).div_(gap).mul_(fade).mul_(lai)


def sight_of(stand: Stand, dtype: torch.dtype = torch.float32) -> Sight:
    """Geometry of S stands, worked out in float64."""
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
    once = turn * both_lit * lai
    parts = torch.broadcast_tensors(
        lai, ks, ko, flat, (-ks * lai).exp(), (-ko * lai).exp(), -torch.expm1(-(ks + ko) * lai) / (ks + ko),
        (lidf * front).sum(1) * once, (lidf * through).sum(1) * once, both_seen,
    )  # fmt: skip
    return Sight(*(part.to(dtype)[:, None] for part in parts))


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
    decay = 2 * apart / stand.hotspot.double().clamp(min=1e-9) / (ks + ko)
    decay = torch.where(stand.hotspot > 0, decay, 1e8).clamp(1e-6, 1e8)[:, None]
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
