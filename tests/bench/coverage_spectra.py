"""How well the palettes cover measured spectra, class by class, both ways.

Run: python tests/bench/coverage_spectra.py [path of measured_spectra.npz] [scenes]
Prints, for each group of measured spectra and the classes it belongs to, quantiles over the measured spectra of the
distance to the nearest model spectrum (covered?), and over the model spectra of the distance to the nearest measured
one (realistic?).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from terraficta.synth.scene.material.palette import palette_of
from terraficta.synth.scene.material.plan import draw_material_plan
from terraficta.synth.scene.material.vegetation import VEGETATED
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.scene_recipe import MaterialRecipe

MEASURED = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "measured_spectra.npz"
GROUPS: dict[str, tuple[tuple[str, ...], Sequence[str]]] = {
    "soil": (("bare/soil", "soil", "bare/dirt"), ["bare_soil"]),
    "sand": (("bare/sand",), ["sand"]),
    "gravel": (("bare/gravel",), ["rock", "sand", "quarry"]),
    "mineral": (("usgs/mineral", "mineral", "usgs/soil_mixture"), ["rock", "quarry", "sand", "bare_soil"]),
    "plants": (("usgs/vegetation",), VEGETATED),
    "conifers": (("usgs/vegetation Gray-Pine", "usgs/vegetation Lodgepole-Pine"), ["needleleaf_forest", "plantation"]),
    "lichen": (("usgs/vegetation Lichen",), ["moss_lichen"]),
    "dry grass": (("usgs/vegetation Grass_Golden_Dry", "usgs/vegetation Grass_dry"), ["grassland", "fallow"]),
    "dry plants": (("npv/litter", "npv/bark", "npv/wood"), VEGETATED),
    "char": (("burn/char",), ["burnt"]),
    "snow": (("snow_mixture", "usgs/snow_ice_water"), ["snow"]),
    "asphalt, road": (("urban/asphalt", "urban/road", "urban/parking_lot"), ["road"]),
    "concrete": (("urban/sidewalk", "urban/driveway", "urban/bridge"), ["road", "building"]),
    "shingle": (("urban/comp_shingle", "urban/wood_shingle", "urban/gravel"), ["building"]),
    "tile": (("urban/tile", "urban/concrete_tile", "urban/other"), ["building"]),
    "metal": (("urban/metal", "urban/manhole"), ["building"]),
    "paint": (("urban/paint",), ["building"]),
    "artificial": (("usgs/artificial", "usgs/coating/liquid"), ["building", "road"]),
    "mixtures": (("ecostress_mixture",), list(TERRAFICTA.classes)),
}
"""{group: (kinds of measured spectra, or kind and how the name begins; the classes they belong to)}"""
BAD_NM = ((1790.0, 1970.0), (2440.0, 2600.0))
"""where field spectra are noise: water vapour, and the end of the detector"""


def usable(wavelength_nm: np.ndarray) -> np.ndarray:
    """(L,) bool: 400..2440 nm without the bands of water vapour."""
    good = wavelength_nm >= 400
    for low, high in BAD_NM:
        good &= (wavelength_nm < low) | (wavelength_nm > high)
    return good


def nearest(of: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least spectral angle [deg] and least RMSE [-] of each row of `of` (P, L) to the rows of `among` (Q, L)."""
    unit_of = of / np.linalg.norm(of, axis=1, keepdims=True)
    unit_among = among / np.linalg.norm(among, axis=1, keepdims=True)
    angle = np.degrees(np.arccos(np.clip((unit_of @ unit_among.T).max(1), -1, 1)))
    square = (of**2).sum(1)[:, None] + (among**2).sum(1)[None] - 2 * of @ among.T
    return angle, np.sqrt(np.clip(square.min(1), 0, None) / of.shape[1])


def main(path: Path, scenes: int) -> None:
    """Print the table."""
    with np.load(path, allow_pickle=False) as file:
        wavelength, reflectance = file["wavelength_nm"], file["reflectance"].astype(np.float64)
        label = np.char.add(np.char.add(file["klass"], " "), file["name"])
    palette = palette_of(MaterialRecipe(), [draw_material_plan(SceneKey(11, index)) for index in range(scenes)])
    good = usable(wavelength)
    here = usable(palette.wavelength_nm.numpy())
    model = palette.spectra[..., torch.as_tensor(here)].double().numpy()
    print(f"{scenes} scenes; median / 90th percentile of the nearest neighbour")
    print(
        f"{'group':14s} {'measured':>8s} {'model':>7s}   measured to model: angle deg   RMSE       model to measured:"
    )
    for name, (names, classes) in GROUPS.items():
        belongs = np.any([np.char.startswith(label, name) for name in names], axis=0)
        rows = reflectance[belongs][:, good]
        known = np.isfinite(rows).mean(0) > 0.5
        rows = rows[:, known]
        rows = rows[np.isfinite(rows).all(1) & (rows.min(1) > -0.02)]
        ours = model[:, [TERRAFICTA.index(c) for c in classes]].reshape(-1, model.shape[-1])[:, known]
        ours = ours[:: max(1, len(ours) // 20000)]
        cells = []
        for angle, rmse in (nearest(rows, ours), nearest(ours, rows)):
            a, r = np.quantile(angle, (0.5, 0.9)), np.quantile(rmse, (0.5, 0.9))
            cells.append(f"{a[0]:6.2f} /{a[1]:6.2f}   {r[0]:.4f} / {r[1]:.4f}")
        print(f"{name:14s} {len(rows):8d} {len(ours):7d}      " + "      ".join(cells))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else MEASURED, int(sys.argv[2]) if len(sys.argv) > 2 else 150)
