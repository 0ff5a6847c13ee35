"""What tiles cost by tier, as a table, written into docs/corpora.md between its marks: the README has the same.

    python tests/bench/bench_price.py [TILES]

Ten bands of Sentinel-2, 256 x 256 px, ground grown and written, one core. The bars are of two cores.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from terraficta.synth.corpus.price import machine, price_of, price_table
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/corpora.md", "README.md")
"""where the table stands, if the marks do"""
BEGIN, END = "<!-- price -->", "<!-- /price -->"
BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
CASES: tuple[tuple[str, list[str], float | None], ...] = (
    ("tier0", ["oversampling=1"], 10.0), ("tier0", [], 10.0), ("tier1", [], None), ("tier2", [], None),
    ("tier3", [], 2.5),
)  # fmt: skip
"""recipe, what is changed in it, and tiles a second that two cores should make, writing included"""


def main(tiles: int) -> None:
    """Measure, print, and write the table."""
    torch.set_num_threads(1)
    sensor = read_sensor("sentinel2a").pick(BANDS)
    prices = []
    for name, changes, _ in CASES:
        price = price_of(read_scene_recipe(name, changes), tiles, sensor, 256, "cpu")
        prices.append(replace(price, recipe=" ".join([name, *changes])))
    text = f"{price_table(prices)}\n\n{machine()}; {tiles} tiles of each; Sentinel-2, 10 bands."
    print(text)
    for price, (_, _, bar) in zip(prices, CASES, strict=True):
        if bar is not None:
            print(f"{price.recipe}: {2 / price.core_s:.2f} tiles/s of 2 cores, {2 / price.core_s / bar:.2f} of the bar")
    for name in PAGES:
        page = (ROOT / name).read_text()
        if BEGIN in page and END in page:
            head, rest = page.split(BEGIN, 1)
            (ROOT / name).write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
