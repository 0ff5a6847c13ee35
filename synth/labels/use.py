"""Use beside cover: what an area is used for, at the scale at which maps are drawn."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from terraficta.synth.types.legend import TERRAFICTA, USES

REACH_M = 80.0
"""how far around a pixel an area is judged [m]: 2.6 ha, near the minimum mapping unit of land-use maps.
Source: 1 ha of the Urban Atlas, 25 ha of CORINE (Kosztra et al. 2019, CLC2018 technical guidelines)"""
ROOFS = 0.06
"""share of the area under roofs from which on it is settled: loose rows of houses with their gardens; chosen, after the
10 to 30 % built-up of open low-rise zones. Source: Stewart & Oke 2012, doi:10.1175/BAMS-D-11-00019.1, table 3"""
ALONE = 0.5
"""share of paved ground from which on an area is settled without a roof: yards, car parks, quays; chosen"""
TILLED = 0.5
"""share of the area under crops or fallow from which on it is farmed"""
CROPS = ("cropland", "paddy", "fallow")


def uses_of(mass: Tensor, gsd_m: float) -> Tensor:
    """Uses (..., U, H, W) of an area by its cover (..., K, H, W), 0 or 1; water has none, settlement goes first.

    Parameters
    ----------
    mass : Tensor
        class mass in TERRAFICTA
    gsd_m : float
        side of a pixel [m]
    """
    planes = mass if mass.ndim == 4 else mass[None]
    side = 2 * max(1, round(REACH_M / gsd_m)) + 1
    side = min(side, 2 * (min(planes.shape[-2:]) // 2) - 1)

    def around(*names: str) -> Tensor:
        share = planes[:, [TERRAFICTA.index(name) for name in names]].sum(1, keepdim=True)
        rows = functional.avg_pool2d(share, (side, 1), 1, (side // 2, 0), count_include_pad=False)
        return functional.avg_pool2d(rows, (1, side), 1, (0, side // 2), count_include_pad=False)

    dry = planes[:, TERRAFICTA.index("water"), None] < 0.5
    settled = ((around("building") >= ROOFS) | (around("building", "road") >= ALONE)) & dry
    farmed = (around(*CROPS) >= TILLED) & dry & ~settled
    uses = torch.cat([settled, farmed], 1).to(mass.dtype)
    assert uses.shape[1] == len(USES)
    return uses if mass.ndim == 4 else uses[0]
