"""The atmosphere as a tool: a table of conditions in, the terms of radiative transfer out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from terraficta.synth.physics.aerosol import AEROSOLS
from terraficta.synth.physics.air_terms import RANGES, air_terms
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.sensor import read_sensor, sensor_names

NUMBERS = {**RANGES, "boa_reflectance": (0.0, 1.0)}
"""columns of numbers, and what is valid in them"""
NAMES = ("sensor", "band", "aerosol")
ADDED = (
    "toa_reflectance", "path_reflectance", "transmittance_down", "transmittance_up", "gas_transmittance",
    "spherical_albedo",
)  # fmt: skip
ALIASES = {(f"landsat{number}", "PAN"): "B8" for number in (7, 8, 9)}
"""what 6S and others call a band, and what its sensor calls it"""


def toa_table(in_csv: Path, out_csv: Path) -> int:
    """Add top-of-atmosphere reflectance and its terms to every row of a table; the number of rows.

    Parameters
    ----------
    in_csv : Path
        columns sensor, band, sza_deg, vza_deg, raa_deg (0 = backscatter), aot550, aerosol, water_vapour_cm, ozone_cm
        (columns above the target), elevation_km, boa_reflectance; others are carried along as they stand
    out_csv : Path
        the same with toa_reflectance, path_reflectance (gases included), transmittance_down, transmittance_up
        (scattering, one way), gas_transmittance (two ways), spherical_albedo, which replace columns of these names

    Raises
    ------
    Refusal
        for a missing column, no rows, an unknown name, a cell that is no number, or a number outside of the table's
        range; with row and column. Rows count from 1, below the header.

    Error
    -----
    Against the 1,185 rows of 6SV1.1 outside strong absorption: |error of toa_reflectance| is within 0.002 + 0.01 rho
    for 99.7 % of rows and within 0.49 (0.005 + 0.02 rho) for all. The worst are B06 in moist air, where 6S samples
    water vapour lines at other wavelengths of its 2.5 nm steps. `tests/physics/test_atmosphere.py` repeats it.
    """
    try:  # as text, so that a cell is refused, or carried along, as it was written
        table = pd.read_csv(in_csv, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        found = " ".join(str(error).split())
        raise Refusal(in_csv, "table", found, "a CSV file with a header", "check the path and its content") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise Refusal(in_csv, "table", "rows longer than the header", "one cell a column", "name every column")
    table = table.drop(columns=[name for name in ADDED if name in table])
    out = table.join(terms_of(table, str(in_csv)))
    with whole_file(Path(out_csv)) as partial:
        out.to_csv(partial, index=False, float_format="%.7g")
    return len(out)


def terms_of(table: pd.DataFrame, where: str = "table") -> pd.DataFrame:
    """The six columns that `toa_table` adds, for a frame of conditions."""
    values = _check(table, where)
    columns = {name: torch.tensor(values[name]) for name in NUMBERS}
    kinds = torch.tensor([AEROSOLS.index(name) for name in table["aerosol"]], dtype=torch.int64)
    of_band: dict[tuple[str, str], list[int]] = {}
    for row, (sensor, band) in enumerate(zip(table["sensor"], _bands(table), strict=True)):
        of_band.setdefault((sensor, band), []).append(row)
    added = torch.full((len(table), len(ADDED)), torch.nan, dtype=torch.float64)
    for (sensor, band), mine in of_band.items():
        rows = torch.tensor(mine)
        sza, vza, raa, aot, water, ozone, elevation = (columns[name][rows] for name in RANGES)
        one_band, whole = read_sensor(sensor).pick([band]), torch.ones_like(sza)
        terms = air_terms(one_band, sza, vza, raa, aot, kinds[rows], water, ozone, elevation, whole)
        path, albedo, gas = (t[:, 0] for t in (terms.path, terms.spherical_albedo, terms.gas))
        down, up = (terms.down_direct + terms.down_diffuse)[:, 0], (terms.up_direct + terms.up_diffuse)[:, 0]
        rho = columns["boa_reflectance"][rows]
        toa = path + gas * down * up * rho / (1 - albedo * rho)
        added[rows] = torch.stack([toa, path, down, up, gas, albedo], 1)
    return pd.DataFrame(added.numpy(), columns=list(ADDED), index=table.index)


def _bands(table: pd.DataFrame) -> list[str]:
    return [ALIASES.get(pair, pair[1]) for pair in zip(table["sensor"], table["band"].astype(str), strict=True)]


def _check(table: pd.DataFrame, where: str) -> dict[str, np.ndarray]:
    """The columns of numbers; refuses the first cell that is not what it has to be."""
    for name in (*NAMES, *NUMBERS):
        if name not in table:
            raise Refusal(where, name, "no such column", ", ".join((*NAMES, *NUMBERS)), "add the column")
    if table.empty:
        raise Refusal(where, "rows", "none below the header", "at least one", "write a row for every condition")
    table = table.reset_index(drop=True)
    _refuse_names(table["sensor"], sensor_names(), where, "use a name of the catalogue")
    for sensor, mine in pd.Series(_bands(table), name="band").groupby(table["sensor"]):
        known = [b.name for b in read_sensor(str(sensor)).bands]
        _refuse_names(mine, known, where, f"use a band of {sensor}")
    _refuse_names(table["aerosol"], AEROSOLS, where, "use one of the models")
    numbers = {}
    for name, (low, high) in NUMBERS.items():
        values = numbers[name] = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
        wrong = np.flatnonzero(~((values >= low) & (values <= high)))
        if len(wrong):
            mend = "stay within the table's range" if np.isfinite(values[wrong[0]]) else "write a number"
            raise Refusal(_row(where, wrong[0]), name, _cell(table[name], wrong[0]), f"{low:g} to {high:g}", mend)
    return numbers


def _refuse_names(column: pd.Series, known: Sequence[str], where: str, mend: str) -> None:
    wrong = np.flatnonzero(~column.isin(known).to_numpy())
    if len(wrong):
        row = int(column.index[wrong[0]])
        raise Refusal(_row(where, row), str(column.name), _cell(column, wrong[0]), f"one of {', '.join(known)}", mend)


def _row(where: str, position: int) -> str:
    return f"{where}: row {position + 1}"


def _cell(column: pd.Series, position: int) -> str:
    return str(column.iloc[position]).strip() or "an empty cell"
