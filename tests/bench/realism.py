"""Realism as a number: how well a forest tells patches of fiction from patches of real tiles, by tileset.

Run: python tests/bench/realism.py TILESETS_FOLDER [--names slovenia ...] [--scenes 32] [--seed 5]

Prints, for every tileset of one date, the area under the ROC curve (two-sample test; .5: cannot be told apart, 1:
always) of real against fictional patches seen by the same camera at the same sampling distance, cross-validated over
scenes; beside it the same between the scenes of its two folds, which are real both; and what the forest looks at.
Fiction is `atlas` (or `atlas_toa` for top-of-atmosphere products), so that all climates and seasons are in it: some of
the difference is that the real tiles are of one place and day. Uncalibrated products are compared by quantiles of a
scene.

Source: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests", arXiv 1610.06545.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from terraficta.finetune.tileset.split import TEST, TRAIN
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.tile import Tile

SIDE_PX = 32
"""of a patch"""
MOST = 400
"""patches a side"""
BANDS = 7
"""at most: more, evenly picked, say little else"""
Table = NDArray[np.float64]


def chosen(tile: Tile) -> list[int]:
    """Bands that are compared."""
    return sorted(set(np.linspace(0, len(tile.sensor) - 1, BANDS).round().astype(int).tolist()))


def described(tiles: Sequence[Tile], calibrated: bool) -> tuple[Table, NDArray[np.int64], list[str]]:
    """Descriptions (P, F) of the patches of tiles, the tile of each (P,), and names of the F figures."""
    rows, groups = [], []
    names: list[str] = []
    for number, tile in enumerate(tiles):
        image = tile.image[chosen(tile)].float()
        if not calibrated:
            low, high = (torch.quantile(image[:, tile.valid][:, ::17], q, dim=1)[:, None, None] for q in (0.02, 0.98))
            image = ((image - low) / (high - low).clamp(min=1e-6)).clamp(-0.2, 1.2)
        height, width = tile.grid.shape
        for y in range(0, height - SIDE_PX + 1, SIDE_PX):
            for x in range(0, width - SIDE_PX + 1, SIDE_PX):
                if bool(tile.valid[y : y + SIDE_PX, x : x + SIDE_PX].all()):
                    row, names = figures(image[:, y : y + SIDE_PX, x : x + SIDE_PX])
                    rows.append(row)
                    groups.append(number)
    keep = np.random.default_rng(0).permutation(len(rows))[:MOST]
    return np.array(rows)[keep], np.array(groups)[keep], names


def figures(patch: torch.Tensor) -> tuple[list[float], list[str]]:
    """What is looked at: level, spread, roughness and correlation of bands."""
    flat = patch.flatten(1)
    level, spread = flat.median(1).values, flat.std(1)
    step = (patch[:, 1:] - patch[:, :-1]).abs().mean((1, 2))
    far = (patch[:, 8:] - patch[:, :-8]).abs().mean((1, 2))
    tail = flat.quantile(0.95, dim=1) - level
    alike = torch.nan_to_num(torch.corrcoef(flat + 1e-6 * torch.randn_like(flat)))
    pairs = torch.triu_indices(len(flat), len(flat), 1)
    parts = {
        "level": level, "spread": spread, "roughness": step / far.clamp(min=1e-6),
        "tail": tail / spread.clamp(min=1e-6), "correlation": alike[pairs[0], pairs[1]],
    }  # fmt: skip
    return torch.cat(list(parts.values())).tolist(), [name for name, part in parts.items() for _ in range(len(part))]


def told_apart(a: tuple[Table, NDArray[np.int64]], b: tuple[Table, NDArray[np.int64]], names: list[str]) -> str:
    """Area under the ROC curve, and the kinds of figures that count most."""
    x, y = np.concatenate([a[0], b[0]]), np.repeat([0, 1], [len(a[0]), len(b[0])])
    groups = np.concatenate([a[1], b[1] + 1000])
    if min(len(set(a[1])), len(set(b[1]))) < 2:  # one scene a side: parts of it
        groups = np.arange(len(x)) // 8
    said = np.zeros(len(x))
    weight = np.zeros(len(names))
    for fit, check in GroupKFold(4).split(x, y, groups):
        forest = RandomForestClassifier(200, min_samples_leaf=3, class_weight="balanced", random_state=0, n_jobs=1)
        forest.fit(x[fit], y[fit])
        said[check] = forest.predict_proba(x[check])[:, -1]
        weight += forest.feature_importances_ / 4
    kinds = {kind: sum(w for w, n in zip(weight, names, strict=True) if n == kind) for kind in dict.fromkeys(names)}
    most = ", ".join(f"{kind} {share:.2f}" for kind, share in sorted(kinds.items(), key=lambda item: -item[1])[:3])
    return f"{roc_auc_score(y, said):.3f} ({most})"


def main(tilesets: Path, names: list[str] | None, scenes: int, seed: int) -> None:
    """Print a line a tileset."""
    for folder in sorted(path.parent for path in tilesets.glob("*/tileset.yaml")):
        if names and folder.name not in names:
            continue
        tileset = read_tileset(folder, verify=False)
        if tileset.dates > 1:
            continue
        real = list(tileset.tiles())
        calibrated = real[0].level in ("BOA", "TOA")
        recipe = read_scene_recipe(
            "atlas_toa" if real[0].level == "TOA" else "atlas",
            [f"size_px={2 * SIDE_PX}", f"gsd_m=[{real[0].grid.gsd_m},{real[0].grid.gsd_m}]"],
        )
        made = [tile for i in range(scenes) for tile in render(recipe, [SceneKey(seed, i)], real[0].sensor)]
        of_real, of_made = described(real, calibrated), described(made, calibrated)
        line = (
            f"{folder.name:18} {real[0].grid.gsd_m:5.1f} m  fiction {told_apart(of_real[:2], of_made[:2], of_real[2])}"
        )
        sides = [[t for t in real if bool(t.in_fold(fold).any()) and not bool(t.in_fold(other).any())]
                 for fold, other in ((TRAIN, TEST), (TEST, TRAIN))]  # fmt: skip
        if all(len(side) > 1 for side in sides):
            a, b = (described(side, calibrated) for side in sides)
            line += f"  real folds {told_apart(a[:2], b[:2], a[2])}"
        print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("tilesets", type=Path)
    parser.add_argument("--names", nargs="*")
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("--seed", type=int, default=5)
    torch.set_num_threads(1)
    main(**vars(parser.parse_args()))
