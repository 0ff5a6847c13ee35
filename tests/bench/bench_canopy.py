"""Canopy spectra per second, and how many times as many as PyPI's prosail makes on the same cores.

Run: python tests/bench/bench_canopy.py [fuse]   (needs `pip install prosail`; `fuse` times that option too)

Wall seconds decide, and tell little on a busy machine: threads times the ratio per processor second is what the same
cores make when they are free.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from terraficta.synth.tools.canopy_table import canopy_spectra

ROUNDS = 5
OURS, THEIRS, BAR = 4000, 100, 20


def fabricate(count: int, seed: int = 3) -> dict[str, np.ndarray]:
    """A table of random canopies at 1 nm."""
    rng = np.random.default_rng(seed)
    spans = {
        "n": (1.1, 2.5), "cab": (5, 80), "car": (2, 20), "ant": (0, 5), "cbrown": (0, 0.5), "cw": (0.004, 0.04),
        "cm": (0.002, 0.02), "lai": (0.1, 7), "hspot": (0.01, 0.5), "tts": (10, 70), "tto": (0, 35), "psi": (0, 180),
        "lidf_a": (20, 80),
    }  # fmt: skip
    arrays = {name: rng.uniform(*span, count) for name, span in spans.items()}
    wavelength = np.arange(400.0, 2501.0)
    return arrays | {
        "wavelength_nm": wavelength,
        "soil": np.repeat(rng.uniform(0.05, 0.4, (count, 1)), len(wavelength), 1),
        "prospect_version": np.where(np.arange(count) % 4 == 0, "5", "D"),
        "lidf_type": np.full(count, 2),
        "lidf_b": np.zeros(count),
    }


def prosail_spectra(count: int) -> None:
    """The same by prosail, one canopy at a time, as it is made."""
    import prosail

    t = fabricate(count)
    for i in range(count):
        prosail.run_prosail(
            t["n"][i], t["cab"][i], t["car"][i], t["cbrown"][i], t["cw"][i], t["cm"][i], t["lai"][i], t["lidf_a"][i],
            t["hspot"][i], t["tts"][i], t["tto"][i], t["psi"][i], ant=t["ant"][i], typelidf=2,
            prospect_version=str(t["prospect_version"][i]), rsoil0=t["soil"][i], factor="SDR",
        )  # fmt: skip


def main(fuse: bool) -> None:
    """Best of a few rounds each, taken in turn, so that a busy machine hurts all; wall clock and processor time."""
    table = fabricate(OURS)
    runs = {"prosail": (THEIRS, lambda: prosail_spectra(THEIRS)), "terraficta": (OURS, lambda: canopy_spectra(table))}
    if fuse:
        runs["terraficta, fused"] = (OURS, lambda: canopy_spectra(table, fuse=True))
    for name, (_, run) in runs.items():
        start = time.perf_counter()
        run()
        print(f"{name:20s} first call {time.perf_counter() - start:8.1f} s")
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, (count, run) in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            rates[name].append((count / (time.perf_counter() - wall), count / (time.process_time() - cpu)))
    threads = torch.get_num_threads()
    base = [max(column) for column in zip(*rates["prosail"], strict=True)]
    for name, measured in rates.items():
        wall_rate, cpu_rate = (max(column) for column in zip(*measured, strict=True))
        times = cpu_rate / base[1]
        print(
            f"{name:20s} {wall_rate:9.0f} spectra/s ({wall_rate / base[0]:5.1f} x)   {cpu_rate:9.0f} per processor "
            f"second ({times:5.1f} x, on {threads} threads {threads * times:5.1f} x; bar {BAR} x)"
        )


if __name__ == "__main__":
    main("fuse" in sys.argv[1:])
