"""What files, disks and permissions do becomes one line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import rasterio

from terraficta.commands import in_one_line


def test_files_and_disks_become_one_line(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EACCES, errno.EISDIR):
        line = in_one_line(OSError(number, os.strerror(number), str(tmp_path)))
        assert line is not None
        assert line.startswith(f"{tmp_path}: {os.strerror(number)}. Mend: ")
    assert "gdalinfo" in str(in_one_line(rasterio.errors.RasterioIOError("Read failed")))
    assert in_one_line(KeyError("a fault of ours")) is None
