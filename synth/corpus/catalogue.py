"""The catalogue: what STAC says of a corpus, so that other people's tools find, filter and load its tiles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac
from pystac.extensions.classification import Classification, ClassificationExtension
from pystac.extensions.eo import Band as StacBand
from pystac.extensions.eo import EOExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import DataType, RasterBand, RasterExtension
from rasterio.crs import CRS
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from terraficta.synth.corpus.geotiff import IMAGE, LABEL, MASS, unit_of
from terraficta.synth.corpus.journal import TILES
from terraficta.synth.instrument.product import NODATA
from terraficta.synth.types.crop import MIDWINTER_DAY, YEAR_DAYS
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.sensor import Band, Sensor
from terraficta.synth.types.tile import Tile

CATALOGUE, COLLECTION, SHELVES = "catalog.json", "collection.json", "stac"
"""the root, which STAC spells so; what is common to all tiles; and lists of a thousand tiles each"""
TILES_A_SHELF = 1000
"""items that one file links to: a list of millions would be read whole to see one"""
FIRST_YEAR = 2001
"""of the calendar of fiction, as `scene.cover.season` has it"""
COMMON_NM = (
    ("coastal", 400, 450), ("blue", 450, 515), ("green", 515, 600), ("yellow", 600, 625), ("red", 625, 690),
    ("rededge", 690, 790), ("nir08", 850, 880), ("nir", 790, 920), ("nir09", 920, 1000), ("cirrus", 1350, 1400),
    ("swir16", 1550, 1750), ("swir22", 2050, 2350),
)  # fmt: skip
"""common names of bands by their centre [nm], the first that fits

Source
------
STAC electro-optical extension 1.1.0, table of common band names, ranges made to meet.
"""
PANCHROMATIC_NM = 140.0
"""wider bands of visible light are panchromatic [nm]"""
SPEECH = {
    IMAGE: ("Image", ["data", "reflectance"]),
    MASS: ("Area fraction of every class", ["labels", "labels-raster"]),
    LABEL: ("Heaviest class", ["labels", "labels-raster"]),
}
"""title and roles of the files that every tile has"""


def item_file(tile: Tile, folder: Path, collection: str, index: int, more: Sequence[str] = ()) -> dict[str, str]:
    """Write the STAC item of a tile beside its files.

    Parameters
    ----------
    tile : Tile
        with its place on earth
    folder : Path
        where its files lie, which goes to `tiles/ID`
    collection : str
        id of the collection
    index : int
        of the scene
    more : Sequence[str]
        names of further images in reflectance

    Returns
    -------
    dict[str, str]
        {file name: sha256}
    """
    name = f"{tile.id}.json"
    text = (
        json.dumps(item_of(tile, collection, index, more).to_dict(include_self_link=False), indent=1, sort_keys=True)
        + "\n"
    )
    (folder / name).write_text(text)
    return {name: hashlib.sha256(text.encode()).hexdigest()}


def item_of(tile: Tile, collection: str, index: int, more: Sequence[str] = ()) -> pystac.Item:
    """The STAC item of a tile: where, when, by which bands, in which numbers, and which classes."""
    grid = tile.grid
    assert grid.transform is not None
    crs = CRS.from_user_input(grid.crs)
    bounds = array_bounds(grid.height_px, grid.width_px, grid.transform)
    bbox = [round(v, 7) for v in transform_bounds(crs, "EPSG:4326", *bounds)]
    kept = {k: v for k, v in tile.facts.items() if isinstance(v, bool | int | float | str)}
    item = pystac.Item(
        tile.id,
        _rectangle(bbox),
        bbox,
        _moment(tile, index),
        {
            "synthetic": True,
            "gsd": grid.gsd_m,
            "platform": f"fiction of {tile.sensor.name}",
            "terraficta:level": tile.level,
            **{f"terraficta:{name}": value for name, value in sorted(kept.items())},
        },
    )
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    epsg = crs.to_epsg()
    projection.apply(
        code=None if epsg is None else f"EPSG:{epsg}",
        wkt2=crs.to_wkt() if epsg is None else None,
        bbox=list(bounds),
        shape=[grid.height_px, grid.width_px],
        transform=list(grid.transform)[:6],
    )
    _add_assets(item, tile, more)
    back = "../.."
    item.add_link(pystac.Link("root", f"{back}/{CATALOGUE}", "application/json"))
    item.add_link(pystac.Link("collection", f"{back}/{COLLECTION}", "application/json"))
    item.add_link(pystac.Link("parent", f"{back}/{_shelf(index)}/{CATALOGUE}", "application/json"))
    item.collection_id = collection
    return item


def _add_assets(item: pystac.Item, tile: Tile, more: Sequence[str]) -> None:
    for extension in (EOExtension, RasterExtension, ClassificationExtension):
        extension.add_to(item)
    bands = [stac_band(band) for band in tile.sensor.bands]
    stored = RasterBand.create(
        nodata=NODATA, data_type=DataType.UINT16, scale=tile.sensor.dn_scale, offset=tile.sensor.dn_offset,
        spatial_resolution=tile.grid.gsd_m,
    )  # fmt: skip
    _add(item, IMAGE, [stored] * len(bands), bands)
    _add(item, MASS, [RasterBand.create(data_type=DataType.FLOAT32)] * len(tile.legend))
    _add(item, LABEL, [RasterBand.create(data_type=DataType.UINT8, nodata=0)])
    ClassificationExtension.ext(item.assets[LABEL.removesuffix(".tif")]).apply(_classes(tile.legend))
    for name, layer in tile.layers.items():
        kind = str(layer.dtype).removeprefix("torch.").replace("bool", "uint8").replace("int64", "int32")
        _add(item, f"{name}.tif", [RasterBand.create(data_type=DataType(kind), unit=unit_of(name) or None)])
    for name in more:
        _add(item, f"{name}.tif", [RasterBand.create(data_type=DataType.FLOAT32)] * len(bands), bands)


def _add(item: pystac.Item, file: str, raster: list[RasterBand], bands: list[StacBand] | None = None) -> None:
    name = file.removesuffix(".tif")
    title, roles = SPEECH.get(file, (name.replace("_", " "), ["data"]))
    asset = pystac.Asset(f"./{file}", title, media_type=pystac.MediaType.COG, roles=roles)
    item.add_asset(name, asset)
    RasterExtension.ext(asset).apply(raster)
    if bands is not None:
        EOExtension.ext(asset).apply(bands)


def stac_band(band: Band) -> StacBand:
    """A band as STAC's electro-optical extension has it: wavelengths in micrometres.

    Examples
    --------
    >>> from terraficta.synth.types.sensor import read_sensor
    >>> stac_band(read_sensor("sentinel2a").bands[3]).common_name
    'red'
    """
    return StacBand.create(
        band.name, common_name(band), None, round(band.centre_nm / 1000, 6), round(band.fwhm_nm / 1000, 6)
    )


def common_name(band: Band) -> str | None:
    """What everybody calls a band; None where nobody has a name for it."""
    if band.fwhm_nm > PANCHROMATIC_NM and band.centre_nm < 750:
        return "pan"
    return next((name for name, low, high in COMMON_NM if low <= band.centre_nm < high), None)


def band_assets(item: pystac.Item) -> dict[str, Any]:
    """The item as plain data with one asset a band, for tools that take one band a file (stackstac).

    The assets are names of GDAL's own, `vrt://FILE?bands=N`, that open one band of image.tif; the code of the system
    stands in the older field too, which such tools read.

    Parameters
    ----------
    item : pystac.Item
        of a corpus, with the place that it was read from
    """
    image = item.assets["image"].get_absolute_href()
    data = item.to_dict(transform_hrefs=False)
    common = {key: data["assets"]["image"][key] for key in ("type", "roles")}
    stored = data["assets"]["image"]["raster:bands"]
    for number, band in enumerate(data["assets"]["image"]["eo:bands"], start=1):
        own = {"href": f"vrt://{image}?bands={number}", "eo:bands": [band], "raster:bands": [stored[number - 1]]}
        data["assets"][band["name"]] = common | own
    code = data["properties"].get("proj:code") or ""
    data["properties"]["proj:epsg"] = int(code.removeprefix("EPSG:")) if code.startswith("EPSG:") else None
    return data


def write_catalogue(
    folder: Path, recipe: SceneRecipe, seed: int, records: Sequence[Mapping[str, Any]], sensors: Sequence[Sensor],
    legend: Legend,
) -> list[Path]:  # fmt: skip
    """Write the catalogue, its one collection, and the lists of items, whose own files were written with the tiles.

    Parameters
    ----------
    folder : Path
        of the corpus
    recipe : SceneRecipe
        which names the collection
    seed : int
        of the world
    records : Sequence[Mapping[str, Any]]
        of the tiles, in order
    sensors : Sequence[Sensor]
        of all tiles
    legend : Legend
        of the labels

    Returns
    -------
    list[Path]
        The files written
    """
    boxes, moments = _extent_of(folder, records)
    extent = pystac.Extent(pystac.SpatialExtent([boxes]), pystac.TemporalExtent([list(moments)]))
    name = collection_id(recipe, seed)
    about = f"SYNTHETIC: fictional land, no such place. Recipe {recipe.name}, seed {seed}: {recipe.about}."
    collection = pystac.Collection(
        name, about, extent, title=f"Fictional land: {recipe.name}", license="CC0-1.0",
        keywords=["synthetic", "fictional", "land cover", "terraficta"],
        providers=[pystac.Provider("Terraficta", "a generator of scenes", [pystac.ProviderRole.PRODUCER])],
        extra_fields={"terraficta:recipe": recipe.model_dump(mode="json"), "terraficta:seed": seed,
                      "terraficta:recipe_digest": recipe.digest()},
    )  # fmt: skip
    collection.summaries.add("gsd", sorted({float(record["gsd_m"]) for record in records})[:100])
    collection.summaries.add("platform", sorted({f"fiction of {sensor.name}" for sensor in sensors})[:100])
    collection.assets = {
        "tileset": pystac.Asset("./tileset.yaml", "Terraficta's own manifest", roles=["metadata"]),
        "card": pystac.Asset("./README.md", "Data card", media_type="text/markdown", roles=["metadata"]),
    }
    if not (folder / "tileset.yaml").is_file():
        del collection.assets["tileset"]
    root = pystac.Catalog(f"{name}-catalogue", about, title="Terraficta")
    pages: dict[str, tuple[pystac.Catalog, list[tuple[str, str]]]] = {}
    pages[COLLECTION] = (collection, [("root", CATALOGUE), ("parent", CATALOGUE)])
    pages[CATALOGUE] = (root, [("root", CATALOGUE), ("child", COLLECTION)])
    written = []
    for shelf, mine in _shelves(records).items():
        listed = pystac.Catalog(f"{name}-{shelf.rsplit('/', 1)[-1]}", f"SYNTHETIC: tiles {mine[0]} to {mine[-1]}")
        links = [("root", f"../../{CATALOGUE}"), ("parent", f"../../{COLLECTION}")]
        links += [("item", f"../../{TILES}/{tile}/{tile}.json") for tile in mine]
        pages[f"{shelf}/{CATALOGUE}"] = (listed, links)
        pages[COLLECTION][1].append(("child", f"{shelf}/{CATALOGUE}"))
    for place, (page, links) in pages.items():
        written.append(_write_page(folder / place, page, links))
    return written


def _write_page(path: Path, page: pystac.Catalog, links: Iterable[tuple[str, str]]) -> Path:
    page.clear_links()
    for rel, href in links:
        kind = "application/geo+json" if rel == "item" else "application/json"
        page.add_link(pystac.Link(rel, href if href.startswith(".") else f"./{href}", kind))
    path.parent.mkdir(parents=True, exist_ok=True)
    data = page.to_dict(include_self_link=False, transform_hrefs=False)
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
    return path


def collection_id(recipe: SceneRecipe, seed: int) -> str:
    """Of the corpora of one recipe and world."""
    return f"terraficta-{recipe.name}-{seed}"


def _shelf(index: int) -> str:
    return f"{SHELVES}/{index // TILES_A_SHELF:05d}"


def _shelves(records: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    shelves: dict[str, list[str]] = {}
    for record in records:
        shelves.setdefault(_shelf(record["index"]), []).append(record["id"])
    return shelves


def _extent_of(
    folder: Path, records: Sequence[Mapping[str, Any]]
) -> tuple[list[float | int], tuple[datetime | None, datetime | None]]:
    """What all items cover, of their own files."""
    west, south, east, north, moments = 180.0, 90.0, -180.0, -90.0, []
    for record in records:
        item = json.loads((folder / TILES / record["id"] / f"{record['id']}.json").read_text())
        box = item["bbox"]
        west, south, east, north = min(west, box[0]), min(south, box[1]), max(east, box[2]), max(north, box[3])
        moments.append(datetime.fromisoformat(item["properties"]["datetime"]))
    return [west, south, east, north], (min(moments), max(moments))


def _classes(legend: Legend) -> list[Classification]:
    unlabelled = Classification.create(0, name="unlabelled", description="no label, or hidden by cloud")
    pairs = enumerate(zip(legend.classes, legend.colours, strict=True), start=1)
    return [
        unlabelled,
        *(
            Classification.create(k, name=name, description=name.replace("_", " "), color_hint=colour[1:].upper())
            for k, (name, colour) in pairs
        ),
    ]


def _rectangle(bbox: Sequence[float]) -> dict[str, Any]:
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _moment(tile: Tile, index: int) -> datetime:
    """When a tile was seen in the calendar of fiction: its date, or the season of its land in the first year.

    Tiles of one day are a minute apart by their number, so that no tool takes them for one image.
    """
    if tile.date is not None:
        day = date.fromisoformat(tile.date)
    else:
        south = YEAR_DAYS / 2 if float(tile.facts.get("latitude_deg", 0.0)) < 0 else 0.0
        days = float(tile.facts.get("season", 0.5)) * YEAR_DAYS + MIDWINTER_DAY + south
        day = date(FIRST_YEAR, 1, 1) + timedelta(days=int(days))
    minutes = index % (12 * 60)
    return datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(minutes=minutes)
