"""The atmosphere as a tool: a table of conditions in, the terms of radiative transfer out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from synth.physics.aerosol import AEROSOLS
from synth.physics.air_terms import RANGES, air_terms
from synth.spec.refusal import Refusal
from synth.spec.run import whole_file
from synth.spec.sensor import read_sensor, sensor_names

NUMBERS = {**RANGES, "boa_reflectance": (0.0, 1.0)}
"""columns of numbers, and what is valid in them"""
NAMES = ("sensor", "band", "aerosol")


def toa_table(in_csv: Path, out_csv: Path) -> int:
    """Add top-of-atmosphere reflectance and its terms to every row of a table; the number of rows.

    Parameters
    ----------
    in_csv : columns sensor, band, sza_deg, vza_deg, raa_deg (0 = backscatter), aot550, aerosol, water_vapour_cm,
        ozone_cm (columns above the target), elevation_km, boa_reflectance; others are carried along
    out_csv : the same with toa_reflectance, path_reflectance (gases included), transmittance_down, transmittance_up
        (scattering, one way), gas_transmittance (two ways), spherical_albedo

    Raises
    ------
    Refusal
        for a missing column, an unknown name, or a number outside of the table's range; with row and column. Rows
        count from 1, below the header.

    Error
    -----
    Against the 1,185 rows of 6SV1.1 outside strong absorption: |error of toa_reflectance| is within 0.002 + 0.01 rho
    for 99.7 % of rows and within 0.49 (0.005 + 0.02 rho) for all. The worst are B06 in moist air, where 6S samples
    water vapour lines at other wavelengths of its 2.5 nm steps. `tests/physics/test_atmosphere.py` repeats it.
    """
    try:
        table = pd.read_csv(in_csv)
    except (OSError, ValueError) as error:
        raise Refusal(
            in_csv, "table", str(error), "a CSV file with a header", "check the path and its content"
        ) from error
    out = table.join(terms_of(table, str(in_csv)))
    with whole_file(Path(out_csv)) as partial:
        out.to_csv(partial, index=False, float_format="%.7g")
    return len(out)


def terms_of(table: pd.DataFrame, where: str = "table") -> pd.DataFrame:
    """The six columns that `toa_table` adds, for a frame of conditions."""
    _check(table, where)
    columns = {name: torch.tensor(table[name].to_numpy(float)) for name in NUMBERS}
    kinds = torch.tensor([AEROSOLS.index(name) for name in table["aerosol"]], dtype=torch.int64)
    pairs = list(zip(table["sensor"], table["band"].astype(str), strict=True))
    added = torch.full((len(table), 6), torch.nan, dtype=torch.float64)
    for sensor, band in dict.fromkeys(pairs):
        rows = torch.tensor([i for i, pair in enumerate(pairs) if pair == (sensor, band)])
        sza, vza, raa, aot, water, ozone, elevation = (columns[name][rows] for name in RANGES)
        one_band, whole = read_sensor(sensor).pick([band]), torch.ones_like(sza)
        terms = air_terms(one_band, sza, vza, raa, aot, kinds[rows], water, ozone, elevation, whole)
        path, albedo, gas = (t[:, 0] for t in (terms.path, terms.spherical_albedo, terms.gas))
        down, up = (terms.down_direct + terms.down_diffuse)[:, 0], (terms.up_direct + terms.up_diffuse)[:, 0]
        rho = columns["boa_reflectance"][rows]
        toa = path + gas * down * up * rho / (1 - albedo * rho)
        added[rows] = torch.stack([toa, path, down, up, gas, albedo], 1)
    names = ["toa_reflectance", "path_reflectance", "transmittance_down", "transmittance_up", "gas_transmittance"]
    return pd.DataFrame(added.numpy(), columns=[*names, "spherical_albedo"], index=table.index)


def _check(table: pd.DataFrame, where: str) -> None:
    for name in (*NAMES, *NUMBERS):
        if name not in table:
            raise Refusal(where, name, "no such column", ", ".join((*NAMES, *NUMBERS)), "add the column")
    for number, sensor, band, aerosol in zip(
        range(1, len(table) + 1), table["sensor"], table["band"].astype(str), table["aerosol"], strict=True
    ):
        row = f"{where}: row {number}"
        if sensor not in sensor_names():
            raise Refusal(row, "sensor", sensor, f"one of {', '.join(sensor_names())}", "use a name of the catalogue")
        known = [b.name for b in read_sensor(sensor).bands]
        if band not in known:
            raise Refusal(row, "band", band, f"one of {', '.join(known)}", f"use a band of {sensor}")
        if aerosol not in AEROSOLS:
            raise Refusal(row, "aerosol", aerosol, f"one of {', '.join(AEROSOLS)}", "use one of the models")
    for name, (low, high) in NUMBERS.items():
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
        wrong = np.flatnonzero(~((values >= low) & (values <= high)))
        if len(wrong):
            found = table[name].iloc[wrong[0]]
            row = f"{where}: row {wrong[0] + 1}"
            raise Refusal(row, name, found, f"{low:g} to {high:g}", "stay within the table's range")
