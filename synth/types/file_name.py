"""The file name: a path, or any other name by which GDAL opens a file."""

from __future__ import annotations

import os
import re
from pathlib import Path


def is_plain(name: str) -> bool:
    """Whether a name is a path of the file system, and no name of GDAL's own.

    Examples
    --------
    >>> [is_plain(n) for n in ("a.tif", "/vsizip//a/b.zip/c.tif", "s3://a/b.tif", "netcdf:a.nc:b")]
    [True, False, False, False]
    """
    own = name.startswith("/vsi") or "://" in name or bool(re.match(r"[A-Za-z][A-Za-z0-9_]{2,}:", name))
    return not own or os.path.isfile(name)


def beside(folder: Path, name: str) -> str:
    """A name in a manifest: relative to its folder, unless absolute or GDAL's own."""
    return str(folder / name) if is_plain(name) or (folder / name).exists() else name


def files_of(name: str | Path) -> list[Path]:
    """The files of the file system that a name of GDAL's stands on, e.g. the archive of a /vsizip/ name.

    Examples
    --------
    >>> files_of(f'NETCDF:"{__file__}":red') == [Path(__file__)]
    True
    """
    text = str(name)
    bare = re.sub(r"(/vsi\w+/)+", '"', re.sub(r"^\w+://", "", text))
    parts = [text] if is_plain(text) else re.split(r'[!":{}]', bare)
    for part in filter(None, parts):
        for path in (Path(part), *Path(part).parents):
            if path.is_file():
                return [path]
    return []
