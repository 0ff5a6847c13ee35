"""The file name: a path, or any other name by which GDAL opens a file."""

from __future__ import annotations

import re
from pathlib import Path


def is_plain(name: str) -> bool:
    """Whether a name is a path of the file system, and no name of GDAL's own.

    Examples
    --------
    >>> [is_plain(n) for n in ("a.tif", "/vsizip//a/b.zip/c.tif", "s3://a/b.tif", "NETCDF:a.nc:b")]
    [True, False, False, False]
    """
    return not (name.startswith("/vsi") or "://" in name or bool(re.match(r"[A-Z][A-Z0-9_]{2,}:", name)))


def beside(folder: Path, name: str) -> str:
    """A name in a manifest: relative to its folder, unless absolute or GDAL's own."""
    return str(folder / name) if is_plain(name) else name


def files_of(name: str | Path) -> list[Path]:
    """The files of the file system that a name of GDAL's stands on, e.g. the archive of a /vsizip/ name."""
    text = re.sub(r"^(/vsi\w+/)+", "", re.sub(r"^\w+:(//)?", "", str(name)) if not is_plain(str(name)) else str(name))
    parts = re.split(r"[!]", text)
    for path in (Path(parts[0]), *Path(parts[0]).parents):
        if path.is_file():
            return [path]
    return []
