"""The canopy table: leaf and canopy spectra for a file of parameters, what `terraficta synth canopy` does."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from terraficta.synth.scene.material.canopy import Sight, Stand, canopy_reflectance, sight_of
from terraficta.synth.scene.material.leaf import VERSIONS, Leaf, leaf_constants, plate_stack
from terraficta.synth.scene.material.leaf_angle import CENTRES_DEG, ellipsoidal_angles, verhoef_angles
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file

SPANS: dict[str, tuple[float, float]] = {
    "n": (1.0, 10.0), "cab": (0.0, 1000.0), "car": (0.0, 500.0), "ant": (0.0, 500.0), "cbrown": (0.0, 100.0),
    "cw": (0.0, 10.0), "cm": (0.0, 10.0), "lai": (0.0, 50.0), "hspot": (0.0, 100.0),
    "tts": (0.0, 89.0), "tto": (0.0, 89.0), "psi": (0.0, 360.0),
}  # fmt: skip
"""what each parameter may be: the models are defined there, whether or not such a plant has been seen"""
SEEN = ("hspot", "tts", "tto", "psi")
LEAF = ("n", "cab", "car", "ant", "cbrown", "cw", "cm")
OUTPUTS = ("leaf_reflectance", "leaf_transmittance", "canopy_reflectance")
CHUNK = 120_000
"""spectral values a batch: few enough for the cache, and so many that threads seldom wait for each other's Python"""
SIGHTS = 1024
"""canopies whose geometry is worked out at once"""
KEPT_BYTES = 31 << 20
"""A freed block as large as this teaches glibc to keep what later ones leave, rather than return every page at once;
just below the 32 MiB from which on it no longer learns (malloc(3), M_MMAP_THRESHOLD)."""


def canopy_table(in_npz: Path, out_npz: Path, fuse: bool = False) -> int:
    """Read parameters, write spectra; returns the number of canopies.

    Parameters
    ----------
    in_npz : Path
        wavelength_nm (L,), soil (n, L), and (n,) each: prospect_version ('5' or 'D'), n, cab, car, ant, cbrown, cw, cm,
        lai, lidf_type (1: Verhoef's a and b; 2: Campbell's mean angle [deg]), lidf_a, lidf_b, hspot, tts, tto, psi
        [deg]
    out_npz : Path
        gets leaf_reflectance, leaf_transmittance, canopy_reflectance (n, L) float32, and wavelength_nm
    fuse : bool
        as in `canopy_spectra`

    Raises
    ------
    Refusal
        names the file, the array and the row at fault
    """
    arrays = _read(in_npz)
    _check(arrays, str(in_npz))
    spectra: dict[str, Any] = canopy_spectra(arrays, fuse)
    with whole_file(Path(out_npz)) as partial:
        np.savez(partial, wavelength_nm=arrays["wavelength_nm"], **spectra)
    return len(arrays["soil"])


def canopy_spectra(arrays: Mapping[str, np.ndarray], fuse: bool = False) -> dict[str, np.ndarray]:
    """Leaf and canopy spectra {name: (n, L) float32} of a checked table.

    Parameters
    ----------
    arrays : Mapping[str, np.ndarray]
        as in `canopy_table`
    fuse : bool
        compile the arithmetic into one kernel first (torch.compile: needs a C++ compiler and up to a minute), for
        tables of hundreds of thousands of rows

    Returns
    -------
    dict[str, np.ndarray]
        The same bits on any number of threads: torch.get_num_threads() batches run at once, each on one of them.

    Error
    -----
    5e-6 against prosail 2.0.5. A core makes 10 to 12 times its spectra per second, two free cores about 20 times; with
    `fuse` about twice that (tests/bench/bench_canopy.py repeats both).
    """
    with _one_thread_each() as threads:
        return _in_batches(arrays, fuse, threads)


def _in_batches(arrays: Mapping[str, np.ndarray], fuse: bool, threads: int) -> dict[str, np.ndarray]:
    wavelength = torch.as_tensor(np.asarray(arrays["wavelength_nm"], dtype=np.float32))
    version = arrays["prospect_version"].astype(str)
    constants = {name: leaf_constants(name, wavelength) for name in VERSIONS}
    leaves = [torch.as_tensor(np.asarray(arrays[name], dtype=np.float32))[:, None] for name in LEAF]
    soil = torch.as_tensor(arrays["soil"])
    out = {name: np.empty((len(version), len(wavelength)), dtype=np.float32) for name in OUTPUTS}
    size = max(1, CHUNK // len(wavelength))
    spectra = _fused() if fuse else _spectra

    @torch.inference_mode()
    def fill(name: str, rows: np.ndarray, done: int, numbers: Tensor) -> None:
        which = torch.as_tensor(rows)
        run = spectra if len(rows) == size else _spectra
        mine = numbers.index_select(0, which).T.contiguous()[:, :, None]  # (leaf and sight, S, 1)
        leaf, sight = mine[: len(LEAF), :, 0].unbind(), mine[len(LEAF) :].unbind()
        values = run(leaf, sight, soil.index_select(0, which).float(), constants[name])
        for label, value in zip(OUTPUTS, values, strict=True):
            out[label][rows[done:]] = value[done:].numpy()

    jobs = [(name, *batch) for name in VERSIONS for batch in _batches(np.flatnonzero(version == name), size)]
    torch.empty(KEPT_BYTES, dtype=torch.uint8)
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        blocks = [slice(first, first + SIGHTS) for first in range(0, len(version), SIGHTS)]
        sights = pool.map(lambda rows: torch.cat(_sight(arrays, rows).parts(), 1), blocks)
        numbers = torch.cat([*leaves, torch.cat(list(sights))], 1)
        if fuse:
            fill(*jobs[0], numbers)  # compiled once, before all want it
        for job in [pool.submit(fill, *job, numbers) for job in jobs]:
            job.result()
    return out


@torch.inference_mode()
def _sight(arrays: Mapping[str, np.ndarray], rows: slice) -> Sight:
    lai, *seen = (torch.as_tensor(np.asarray(arrays[name][rows], dtype=np.float64)) for name in ("lai", *SEEN))
    return sight_of(Stand(lai, _leaf_angles(arrays, rows), *seen))


@contextmanager
def _one_thread_each() -> Iterator[int]:
    """No threads within an operation; yields how many there would have been."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _batches(rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of one size, and how many of its rows an earlier one has done already.

    The last batch reaches back rather than be short, where there are rows enough.
    """
    for start in range(0, len(rows), size):
        first = max(0, min(start, len(rows) - size))
        yield rows[first : first + size], start - first


def _spectra(
    leaf: tuple[Tensor, ...], see: tuple[Tensor, ...], soil: Tensor, constants: tuple[Tensor, Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    leaf_r, leaf_t = plate_stack(Leaf(*leaf), *constants)
    return leaf_r, leaf_t, canopy_reflectance(leaf_r, leaf_t, soil, Sight(*see))


@lru_cache
def _fused() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    return torch.compile(_spectra, fullgraph=True, dynamic=False)


def _leaf_angles(arrays: Mapping[str, np.ndarray], rows: slice) -> Tensor:
    """(n, 18), by either rule."""
    a, b = (torch.as_tensor(np.asarray(arrays[name][rows], dtype=np.float64)) for name in ("lidf_a", "lidf_b"))
    bimodal = torch.as_tensor(arrays["lidf_type"][rows] == 1)
    lidf = a.new_empty(len(a), len(CENTRES_DEG))
    lidf[bimodal] = verhoef_angles(a[bimodal], b[bimodal])
    lidf[~bimodal] = ellipsoidal_angles(a[~bimodal])
    return lidf


# --- what comes in --------------------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise Refusal(path, "table", "no such file", "an .npz file", "check the path")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile, AttributeError) as error:
        raise Refusal(path, "table", str(error), "an .npz file of plain arrays", "write it with numpy.savez") from error


def _check(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Refuse the first array, and the first row of it, that the models cannot take."""
    for name in ("wavelength_nm", "soil", "prospect_version", "lidf_type", "lidf_a", "lidf_b", *SPANS):
        if name not in arrays:
            raise Refusal(where, name, "no such array", "every array of the table", f"add {name}")
        if name != "prospect_version" and arrays[name].dtype.kind not in "fiu":
            raise Refusal(where, name, f"type {arrays[name].dtype}", "numbers", "store it as float64")
    if arrays["wavelength_nm"].ndim != 1 or arrays["wavelength_nm"].size == 0:
        raise Refusal(where, "wavelength_nm", f"shape {arrays['wavelength_nm'].shape}", "(L,)", "store one axis")
    _refuse_rows(where, "wavelength_nm", arrays["wavelength_nm"], 400.0, 2500.0)
    count = len(arrays["prospect_version"]) if arrays["prospect_version"].ndim else 0
    if count == 0:
        raise Refusal(where, "prospect_version", "no rows", "one value a canopy", "write a row for every canopy")
    wanted = {"soil": (count, len(arrays["wavelength_nm"]))}
    for name in ("soil", "prospect_version", "lidf_type", "lidf_a", "lidf_b", *SPANS):
        shape = wanted.get(name, (count,))
        if arrays[name].shape != shape:
            raise Refusal(where, name, f"shape {arrays[name].shape}", f"shape {shape}", "give every canopy one row")
    version = arrays["prospect_version"].astype(str)
    _refuse_where(where, "prospect_version", version, ~np.isin(version, list(VERSIONS)), "'5' or 'D'")
    kind = arrays["lidf_type"]
    _refuse_where(where, "lidf_type", kind, ~np.isin(kind, (1, 2)), "1 (Verhoef) or 2 (Campbell)")
    for name, (least, most) in SPANS.items():
        _refuse_rows(where, name, arrays[name], least, most)
    soil = arrays["soil"]
    bad = ~((soil >= 0) & (soil <= 1)).all(1)
    _refuse_where(where, "soil", [f"{r.min()}..{r.max()}" for r in soil[bad][:1]] * count, bad, "reflectance in 0..1")
    a, b = arrays["lidf_a"], arrays["lidf_b"]
    bimodal = kind == 1
    _refuse_where(where, "lidf_a", a, bimodal & ~(np.abs(a) + np.abs(b) <= 1), "|lidf_a| + |lidf_b| <= 1 (type 1)")
    _refuse_where(where, "lidf_a", a, ~bimodal & ~((a >= 0) & (a <= 90)), "a mean angle in 0..90 deg (type 2)")


def _refuse_rows(where: str, name: str, values: np.ndarray, least: float, most: float) -> None:
    _refuse_where(where, name, values, ~((values >= least) & (values <= most)), f"{least:g}..{most:g}")


def _refuse_where(where: str, name: str, values: np.ndarray | list[str], bad: Any, expected: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise Refusal(where, f"{name}, row {row}", values[row], expected, "correct or drop the row (rows count from 0)")
