"""SEN12MS: its folders as a tileset, with the classes, continents and seasons of the study of generalisation on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from rasterio.warp import transform as to_system

from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.tileset import Tileset, read_tileset
from terraficta.synth.types.crosswalk import read_legend
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file, whole_folder

LEGEND = "sen12ms_lccs"
"""our name for the land use classes of MODIS, consolidated"""
LAND_USE_BAND = 3
"""of the files in lc_*: IGBP, LCCS land cover, LCCS land use, LCCS surface hydrology"""
CODES = {
    1: {"barren": 1.0}, 2: {"snow_ice": 1.0}, 3: {"water": 1.0}, 9: {"urban": 1.0}, 10: {"forests": 1.0},
    20: {"forests": 1.0}, 25: {"forests": 0.5, "herbaceous_croplands": 0.5}, 30: {"natural_herbaceous": 1.0},
    35: {"natural_herbaceous": 0.5, "herbaceous_croplands": 0.5}, 36: {"herbaceous_croplands": 1.0},
    40: {"shrublands": 1.0},
}  # fmt: skip
"""stored code -> class mass; the mosaics are shared out. Source: Sulla-Menashe & Friedl 2018, table 9. All other codes
(0, 15, 23, 37) are unlabelled, as in the study"""
BANDS = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"]
"""of the files in s2_*: all of Sentinel-2, level 1C, reflectance x 10,000, brought to 10 m"""
SEASON = re.compile(r"ROIs\d+_(spring|summer|fall|winter)$")
PATCH = re.compile(r"(ROIs\d+_(?:spring|summer|fall|winter))_s2_(\d+)_p(\d+)\.tif$")
TEST_SHARE = 1 / 3
"""of the scenes"""


@dataclass(frozen=True)
class Patch:
    """One patch of 256 x 256 pixels of the data set.

    Parameters
    ----------
    image, label : Path
        files
    season : str
        spring, summer, fall or winter, as its folder says
    scene, number : int
        which region of interest, and which patch of it
    """

    image: Path
    label: Path
    season: str
    scene: int
    number: int


def find_patches(root: Path) -> list[Patch]:
    """Patches under a root with folders such as ROIs1158_spring/s2_1 and lc_1, in order.

    Raises
    ------
    Refusal
        no such folder, or an image without its label
    """
    found = []
    for season in sorted(path for path in root.glob("ROIs*") if SEASON.match(path.name)):
        for image in sorted(season.glob("s2_*/*.tif")):
            named = PATCH.match(image.name)
            if named is None:
                continue
            scene, number = int(named[2]), int(named[3])
            label = season / f"lc_{scene}" / image.name.replace("_s2_", "_lc_")
            if not label.is_file():
                raise Refusal(image, "label", f"no {label.relative_to(root)}", "a lc_* file for every s2_* file",
                              "unpack the land cover archives too")  # fmt: skip
            found.append(Patch(image, label, season.name.split("_")[1], scene, number))
    if not found:
        expected = "folders such as ROIs1158_spring/s2_1 with files ROIs1158_spring_s2_1_p30.tif"
        raise Refusal(root, "SEN12MS", "no such folder", expected, "name the folder that holds ROIs*")
    return found


def some_of_each(patches: list[Patch], most: int) -> Iterator[Patch]:
    """At most so many patches of every scene, evenly from all of it; 0: all."""
    by_scene: dict[tuple[str, int], list[Patch]] = {}
    for patch in patches:
        by_scene.setdefault((patch.season, patch.scene), []).append(patch)
    for own in by_scene.values():
        count = len(own) if most == 0 else min(most, len(own))
        yield from (own[int(n)] for n in np.linspace(0, len(own) - 1, count).round())


def write_sen12ms_tileset(root: Path, out: Path, patches_a_scene: int = 4) -> Tileset:
    """Write a tileset that shows SEN12MS: labels as class mass, images where they lie.

    `region` is the continent, `date` the season, and a scene of the data set lies whole in one fold.

    Parameters
    ----------
    root : Path
        that holds the folders ROIs*
    out : Path
        new folder
    patches_a_scene : int
        taken evenly; 0: all

    Error
    -----
    Labels are MODIS of 500 m brought to 10 m, right in 81 % of the pixels by the paper of the data set

    Source
    ------
    Schmitt et al. 2019, doi:10.5194/isprs-annals-IV-2-W7-153-2019. The study: Hu, Robinson & Dilkina 2020, Model
    generalization in deep learning applications for land cover mapping, arXiv 2008.10351; it gives both mosaics to
    one side, we share them out
    """
    legend = read_legend(LEGEND)
    entries: list[dict[str, Any]] = []
    with whole_folder(out) as partial:
        for patch in some_of_each(find_patches(root), patches_a_scene):
            name = f"{patch.season}_{patch.scene}_p{patch.number}"
            place = _write_mass(patch, partial / f"{name}_mass.tif", legend.classes)
            chance = SceneKey(0, patch.scene).at("sen12ms", patch.season).rng().random()
            entries.append(
                {
                    "id": name, "image": str(patch.image.resolve()), "mass": f"{name}_mass.tif",
                    "fold": "test" if chance < TEST_SHARE else "train", "region": continent_of(*place),
                    "date": patch.season,
                }
            )  # fmt: skip
        manifest = {
            "name": "sen12ms", "about": "SEN12MS; labels of 500 m, a model map right in 81 % of the pixels",
            "source": "doi:10.14459/2019mp1474000", "licence": "CC-BY-4.0",
            "sensor": {"like": "sentinel2a", "bands": BANDS, "drop": ["B10"]}, "gsd_m": 10.0, "level": "TOA",
            "scale": 0.0001, "offset": 0.0, "nodata": None, "legend": list(legend.classes),
            "colours": list(legend.colours), "scenes": entries,
        }  # fmt: skip
        with whole_file(partial / MANIFEST) as file:
            file.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return read_tileset(out, verify=False)


def _write_mass(patch: Patch, path: Path, classes: tuple[str, ...]) -> tuple[float, float]:
    """Class mass of a patch as a file; longitude and latitude of its middle [deg]."""
    with rasterio.open(patch.label) as file:
        if file.count < LAND_USE_BAND:
            raise Refusal(patch.label, "bands", file.count, "4: IGBP and three of LCCS", "check the file")
        codes, profile = file.read(LAND_USE_BAND), file.profile
        x, y = file.xy(file.height // 2, file.width // 2)
        east, north = to_system(file.crs, "EPSG:4326", [x], [y]) if file.crs else ([np.nan], [np.nan])
    mass = mass_of_codes(codes, classes)
    profile |= {"count": len(classes), "dtype": "float32", "compress": "deflate", "nodata": None, "driver": "GTiff"}
    with rasterio.open(path, "w", **profile) as file:
        file.write(mass)
    return float(east[0]), float(north[0])


def mass_of_codes(codes: NDArray[Any], classes: tuple[str, ...]) -> NDArray[np.float32]:
    """(H, W) stored codes to (K, H, W) class mass."""
    mass = np.zeros((len(classes), *codes.shape), dtype=np.float32)
    for code, shares in CODES.items():
        for name, share in shares.items():
            mass[classes.index(name)][codes == code] = share
    return mass


def continent_of(longitude_deg: float, latitude_deg: float) -> str:
    """The continent that a place lies on, by a few straight borders; "unknown" without a place.

    Good to some hundred kilometres at the Urals, the Bosporus, the Red Sea and in the Mediterranean.

    Examples
    --------
    >>> continent_of(11.6, 48.1), continent_of(31.2, 30.0), continent_of(39.2, 21.5), continent_of(-58.4, -34.6)
    ('europe', 'africa', 'asia', 'south_america')
    """  # fmt: skip
    x, y = longitude_deg, latitude_deg
    if np.isnan(x) or np.isnan(y):
        return "unknown"
    if x < -30:
        border = 7.5 if x < -77.5 else 13.0  # Darien, then the coast of the Caribbean
        return "north_america" if y > border else "south_america"
    if x > 110 and y < -10:
        return "australia"
    south = 36.0 if x < -1 else 37.6 if x < 11.5 else 35.5 if x < 19 else 34.6  # Gibraltar, Tunis, Malta, Crete
    if y > south and x < (60.0 if y > 47 else 40.0) and not (x > 27 and y < 41):
        return "europe"
    red_sea = 32.5 + 0.6 * max(0.0, 30.0 - y)  # from Suez to Bab el-Mandeb
    if y < 37.5 and x < min(red_sea, 52.0):
        return "africa" if not (x > 25 and y > 33) else "asia"
    return "asia"
