"""Product: how reflectance is stored, and read back."""

from __future__ import annotations

import torch
from torch import Tensor

from terraficta.synth.types.sensor import Sensor

NODATA = 0
"""stored where there is nothing; a valid pixel is never stored as this"""
LARGEST_DN = 65535


def to_dn(reflectance: Tensor, sensor: Sensor, valid: Tensor | None = None) -> Tensor:
    """Reflectance as stored: dn = (reflectance - dn_offset) / dn_scale.

    Parameters
    ----------
    reflectance : Tensor
        (..., B, H, W) [-]
    sensor : Sensor
        its `dn_scale` and `dn_offset`
    valid : Tensor | None
        (..., H, W) bool; elsewhere `NODATA` is stored

    Returns
    -------
    Tensor
        (..., B, H, W) uint16, 1 to 65535 where valid

    Error
    -----
    Half a `dn_scale` (5e-5 by default); what is darker than the first DN is stored as the first DN.

    Examples
    --------
    >>> from terraficta.synth.types.sensor import read_sensor
    >>> to_dn(torch.tensor([0.25]), read_sensor("sentinel2a")).item()
    3500
    """
    dn = ((reflectance - sensor.dn_offset) / sensor.dn_scale).round().clamp(NODATA + 1, LARGEST_DN)
    if valid is not None:
        dn = torch.where(valid.unsqueeze(-3), dn, NODATA)
    return dn.to(torch.int32).to(torch.uint16)


def from_dn(dn: Tensor, sensor: Sensor) -> Tensor:
    """Stored numbers back to reflectance [-], float32; 0 where nothing was stored."""
    counts = dn.to(torch.float32)
    return torch.where(counts == NODATA, 0.0, counts * sensor.dn_scale + sensor.dn_offset)
