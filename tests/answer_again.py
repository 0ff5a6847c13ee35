"""Answers to questions by a path of their own: from the words of a line, and the files that it names as proof.

Nothing of `terraficta.synth.ask` is used, nor the libraries that it counts with: pieces are found by walking, slopes by
differences written out, and shares by counting.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

QUARTERS = ["north-west", "north-east", "south-west", "south-east"]
TILLED = {"cropland", "fallow", "orchard", "bare_soil"}
OPEN = {"grassland", "pasture", "cropland", "fallow", "shrubland", "bare_soil"}
FUEL = {"needleleaf_forest", "evergreen_forest", "deciduous_forest", "plantation", "shrubland"}


class Files:
    """What a line names as proof, read when it is asked for."""

    def __init__(self, folder: Path, row: dict[str, Any]) -> None:
        self.folder, self.row = folder, row

    def of(self, ending: str) -> Path:
        (name,) = [name for name in self.row["proof"] if name.endswith(ending)]
        return self.folder / name

    @property
    def printed(self) -> dict[str, Any]:
        return json.loads(self.of("printed.json").read_text())[self.row["tile"]]

    @property
    def names(self) -> list[list[str]]:
        """Class names row by row, by the tags of the file itself; empty where not known."""
        with rasterio.open(self.of("label.tif")) as file:
            said = {int(key[6:]): name for key, name in file.tags(1).items() if key.startswith("class_")}
            return [[said.get(int(v), "") for v in line] for line in file.read(1)]

    @property
    def heights(self) -> np.ndarray:
        with rasterio.open(self.of("elevation_m.tif")) as file:
            self.gsd_m = abs(file.transform.e)
            return file.read(1).astype(np.float64)


def answer(folder: Path, row: dict[str, Any]) -> str:
    """The letter of the right choice."""
    said = WAYS[row["type"]](row["question"], row["choices"], Files(folder, row))
    return "ABCD"[said if isinstance(said, int) else row["choices"].index(said)]


def plain(name: str) -> str:
    return name.replace("_", " ")


def quarter(places: list[tuple[int, int]], shape: tuple[int, int]) -> str:
    """The quarter that holds most of these rows and columns."""
    count = Counter(QUARTERS[2 * (y >= shape[0] // 2) + (x >= shape[1] // 2)] for y, x in places)
    return count.most_common(1)[0][0]


def places_of(names: list[list[str]], wanted: set[str]) -> list[tuple[int, int]]:
    return [(y, x) for y, line in enumerate(names) for x, name in enumerate(line) if name in wanted]


def named(names: list[list[str]], said: str) -> str:
    """A class by how people write it."""
    (name,) = {name for line in names for name in line if plain(name) == said}
    return name


def pieces(places: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Places that touch, corners too, by walking from each to its neighbours."""
    left, found = set(places), []
    while left:
        heap, piece = [left.pop()], []
        while heap:
            y, x = heap.pop()
            piece.append((y, x))
            around = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= around
            heap += around
        found.append(piece)
    return found


def slopes(height: np.ndarray, gsd_m: float) -> np.ndarray:
    """Rise over run; one-sided at the rim."""
    rows, columns = height.shape
    slope = np.empty_like(height)
    for y in range(rows):
        for x in range(columns):
            up, down = max(y - 1, 0), min(y + 1, rows - 1)
            left, right = max(x - 1, 0), min(x + 1, columns - 1)
            south = (height[down, x] - height[up, x]) / ((down - up) * gsd_m)
            east = (height[y, right] - height[y, left]) / ((right - left) * gsd_m)
            slope[y, x] = (south**2 + east**2) ** 0.5
    return slope


def in_span(value: float, choices: list[str]) -> int:
    """Which of `below 1 %`, `1 to 5 %`, `5 to 20 %`, `above 20 %` a percentage lies in."""
    limits = [float(choices[0].split()[1]), float(choices[1].split()[2]), float(choices[2].split()[2])]
    return next((n for n, limit in enumerate(limits) if value <= limit), 3)


def in_count(value: int, choices: list[str]) -> int:
    limits = [int(choices[0].split()[0]), int(choices[1].split()[2]), int(choices[2].split()[2])]
    return next((n for n, limit in enumerate(limits) if value <= limit), 3)


def numbers(text: str) -> list[int]:
    return [int(word) for word in re.findall(r"\d+", text)]


def at(percent: int, side: int) -> int:
    return int(percent / 100 * side + 1e-9)


def read_name(question: str, choices: list[str], files: Files) -> str:
    return files.printed["title"]


def read_scale(question: str, choices: list[str], files: Files) -> int:
    in_m = {"m": 1.0, "km": 1000.0}
    return [float(c.split()[0]) * in_m[c.split()[1]] for c in choices].index(files.printed["bar_m"])


def read_margin(question: str, choices: list[str], files: Files) -> str:
    return files.printed["climate"]


def read_legend(question: str, choices: list[str], files: Files) -> str:
    (code,) = numbers(question)
    return plain({number: name for name, number in files.printed["codes"].items()}[code])


def place(question: str, choices: list[str], files: Files) -> str:
    x, y = numbers(question)
    names = files.names
    return plain(names[at(y, len(names))][at(x, len(names[0]))])


def box(question: str, choices: list[str], files: Files) -> str:
    x0, x1, y0, y1 = numbers(question)
    names = files.names
    rows, columns = (range(at(a, n), at(b, n)) for a, b, n in ((y0, y1, len(names)), (x0, x1, len(names[0]))))
    return plain(Counter(names[y][x] for y in rows for x in columns if names[y][x]).most_common(1)[0][0])


def higher(question: str, choices: list[str], files: Files) -> str:
    ax, ay, bx, by = numbers(question)
    height = files.heights
    a, b = (height[at(y, height.shape[0]), at(x, height.shape[1])] for x, y in ((ax, ay), (bx, by)))
    return "A" if a > b else "B"


def quarter_of_class(question: str, choices: list[str], files: Files) -> str:
    names = files.names
    name = named(names, re.fullmatch(r"Which quarter of the sheet has the most (.+)\?", question)[1])
    return quarter(places_of(names, {name}), (len(names), len(names[0])))


def quarter_of_height(question: str, choices: list[str], files: Files) -> str:
    height = files.heights
    wanted = height.max() if "highest" in question else height.min()
    y, x = [(y, x) for y in range(height.shape[0]) for x in range(height.shape[1]) if height[y, x] == wanted][0]
    return quarter([(y, x)], height.shape)


def box_of_patch(question: str, choices: list[str], files: Files) -> str:
    names = files.names
    name = named(names, re.search(r"largest patch of (.+) \(pixels", question)[1])
    piece = max(pieces(places_of(names, {name})), key=len)
    ys, xs = zip(*piece, strict=True)
    return str([min(xs), min(ys), max(xs) + 1, max(ys) + 1])


def area(question: str, choices: list[str], files: Files) -> str:
    count = Counter(plain(name) for line in files.names for name in line)
    return (max if "largest" in question else min)(choices, key=lambda choice: count[choice])


def adjacency(question: str, choices: list[str], files: Files) -> str:
    names = files.names
    a, b = re.match(r"Do (.+) and (.+) border", question).groups()
    pairs = {(p, q) for line in names for p, q in zip(line, line[1:], strict=False)}
    pairs |= {(p, q) for up, low in zip(names, names[1:], strict=False) for p, q in zip(up, low, strict=True)}
    both = {(plain(p), plain(q)) for p, q in pairs}
    return "yes" if (a, b) in both or (b, a) in both else "no"


def share(question: str, choices: list[str], files: Files) -> int:
    names = files.names
    name = named(names, re.search(r"does (.+) cover\?", question)[1])
    known = sum(1 for line in names for one in line if one)
    return in_span(100 * len(places_of(names, {name})) / known, choices)


def count(question: str, choices: list[str], files: Files) -> int:
    names = files.names
    name = named(names, re.search(r"does (.+) lie on", question)[1])
    return in_count(len(pieces(places_of(names, {name}))), choices)


def flood(question: str, choices: list[str], files: Files) -> int:
    height = files.heights
    (rise_m,) = numbers(question)
    level = height.min() + rise_m
    return in_span(100 * sum(h < level for h in height.ravel()) / height.size, choices)


def by_slope(question: str, choices: list[str], files: Files) -> str:
    names, height = files.names, files.heights
    slope = 100 * slopes(height, files.gsd_m)
    (limit,) = numbers(question)
    steep = "erosion" in question
    wanted = places_of(names, TILLED if steep else OPEN)
    return quarter([p for p in wanted if (slope[p] > limit if steep else slope[p] < limit)], height.shape)


def wildfire(question: str, choices: list[str], files: Files) -> str:
    names = files.names
    (reach,) = numbers(question)
    fuel, near = set(places_of(names, FUEL)), range(-reach, reach + 1)
    burning = [
        (y, x) for y, x in places_of(names, {"building"}) if any((y + a, x + b) in fuel for a in near for b in near)
    ]
    return quarter(burning, (len(names), len(names[0])))


WAYS = {
    "extracting-sheet_name": read_name,
    "extracting-scale": read_scale,
    "extracting-margin": read_margin,
    "extracting-legend": read_legend,
    "referring-class_of_place": place,
    "referring-class_of_box": box,
    "referring-height_of_places": higher,
    "grounding-quarter_of_class": quarter_of_class,
    "grounding-quarter_of_height": quarter_of_height,
    "grounding-box_of_patch": box_of_patch,
    "reasoning-area_comparison": area,
    "reasoning-adjacency": adjacency,
    "reasoning-share": share,
    "reasoning-count": count,
    "analyzing-flood": flood,
    "analyzing-erosion": by_slope,
    "analyzing-building_ground": by_slope,
    "analyzing-wildfire": wildfire,
}
