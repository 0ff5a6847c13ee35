"""The study of explanation: attributions scored against what fiction knows, beside those of randomised weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from torch import Tensor

from terraficta.eval.benchmark.summary import Interval
from terraficta.eval.domains.significance import sign_flip_p
from terraficta.eval.experiment import Experiment
from terraficta.eval.explain.attribution import METHODS, explain
from terraficta.eval.table import Table
from terraficta.finetune.adapt import fresh_mapper
from terraficta.finetune.recipe import FinetuneRecipe
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.scaling import Scaling
from terraficta.pretrain.weights import SHIPPED, read_weights, weights_digest
from terraficta.synth.render import render
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.sensor import read_sensor
from terraficta.synth.types.tile import Tile

matplotlib.use("Agg")
KIND = "explanation"
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
SIDE_PX, GSD_M = 64, 20.0
SHARE = (0.04, 0.6)
"""of a scene that a class covers to be asked about: neither a speck nor everything"""
CLASSES_A_SCENE = 3
RECALL = 0.5
"""share of a class that the trained network must find for it to be asked about"""
KEPT = 3
"""neighbouring bands that keep what they say; the pixels of all others are shuffled"""
DRAWN = 3
"""scenes in the figure"""
TRAINED, RANDOM = "trained", "randomised"


def scenes_of(count: int, seed: int) -> list[Tile]:
    """Fictional scenes as Sentinel-2 sees them, none of which is of pretraining."""
    recipe = read_scene_recipe("atlas", [f"size_px={SIDE_PX}", f"gsd_m=[{GSD_M},{GSD_M}]", "air.correction=perfect"])
    sensor = read_sensor("sentinel2a").pick(list(BANDS))
    return render(recipe, [SceneKey(seed, n) for n in range(count)], sensor)


@torch.no_grad()
def asked(tile: Tile, mapper: Mapper) -> list[int]:
    """Classes of a scene that the trained network finds, the largest first: only what it knows has a reason."""
    views = Scaling.of_image(tile.image, tile.level)(tile.image)[None]
    said = mapper(views, tile.sensor.centre_nm, tile.sensor.fwhm_nm)[0].argmax(0)
    shares = tile.mass.mean((1, 2))
    fit = [
        k
        for k in shares.argsort(descending=True).tolist()
        if SHARE[0] <= float(shares[k]) <= SHARE[1] and float((said == k)[tile.mass[k] > 0.5].float().mean()) >= RECALL
    ]
    return fit[:CLASSES_A_SCENE]


def scrambled(image: Tensor, first: int, key: SceneKey) -> Tensor:
    """An image (B, H, W) of which only KEPT bands from `first` on still know where anything is."""
    found = image.clone()
    order = torch.from_numpy(key.at("scramble").rng().permutation(image[0].numel()))
    for band in range(len(image)):
        if not first <= band < first + KEPT:
            found[band] = image[band].flatten()[order].view_as(image[band])
    return found


def located(found: Tensor, mask: Tensor, signed: bool) -> float:
    """Area under the ROC curve of attribution (H, W) for where a class is (H, W): .5 says nothing of it."""
    value = found if signed else found.abs()
    return float(roc_auc_score(mask.flatten().numpy(), value.flatten().double().numpy()))


def ask(tile: Tile, mappers: dict[str, Mapper], key: SceneKey) -> list[dict[str, Any]]:
    """Every class of a scene, network and method: whether relevance lies where the class is, and in the bands that
    know it."""  # fmt: skip
    rows = []
    for number in asked(tile, mappers[TRAINED]):
        mask = tile.mass[number] > 0.5
        if not 0 < int(mask.sum()) < mask.numel():
            continue
        first = int(key.at("bands", number).rng().integers(0, len(BANDS) - KEPT + 1))
        changed = scrambled(tile.image, first, key)
        for name, mapper in mappers.items():
            whole, part = explain(mapper, tile, tile.image, number), explain(mapper, tile, changed, number)
            for method in METHODS:
                signed = method != "saliency"
                a, b = whole.maps[method], part.maps[method]
                mine, rest = b[first : first + KEPT], torch.cat([b[:first], b[first + KEPT :]])
                weight = a if signed else a.abs()
                rows.append(
                    {
                        "class": tile.legend.classes[number], "weights": name, "method": method,
                        "place": located(a.sum(0), mask, signed), "band": located(mine.sum(0), mask, signed),
                        "other": located(rest.sum(0), mask, signed),
                        "by_band": (weight[:, mask].mean(1) - weight[:, ~mask].mean(1)).tolist(),
                        "gap": abs(float(a.sum()) - (whole.score - whole.baseline_score)),
                        "size": abs(whole.score - whole.baseline_score),
                    }
                )  # fmt: skip
    return rows


def study_explanation(
    out: Path,
    *,
    scenes: int = 10,
    randoms: int = 2,
    seed: int = 77_000,
    weights: Path | None = None,
    tell: Callable[[str], None] = print,
) -> list[Table]:
    """Ask about fictional scenes, one cell each; randomised weights are asked the same and must fail."""
    mapper, _ = read_weights(weights)
    digest = weights_digest(weights or SHIPPED)
    recipe = FinetuneRecipe(name="random", about="the same network unlearned", model=mapper.recipe)
    mappers = {TRAINED: mapper} | {f"{RANDOM} {n}": fresh_mapper(recipe, n) for n in range(randoms)}
    plan = {"weights": digest, "randoms": randoms, "bands": list(BANDS), "side_px": SIDE_PX, "kept": KEPT}
    experiment = Experiment(out, KIND, plan | {"scenes": scenes}, seed, {"weights": digest})
    rows: list[dict[str, Any]] = []
    tiles = scenes_of(scenes, seed)
    for number, tile in enumerate(tiles):
        found = experiment.cell(
            plan | {"scene": number, "seed": seed},
            lambda t=tile, n=number: {"rows": ask(t, mappers, SceneKey(seed, n))},  # type: ignore[misc]
        )
        rows += [row | {"scene": number} for row in found["rows"]]
        tell(f"scene {number + 1} of {scenes}: {len(found['rows'])} answers")
    tables = explanation_tables(pd.DataFrame(rows))
    draw_maps([tile for tile in tiles if asked(tile, mapper)][:DRAWN], mappers, out / "maps.png")
    experiment.write(tables, ["maps.png"], answers=len(rows))
    return tables


def _level(rows: pd.DataFrame, column: str) -> Interval:
    """Mean over scenes, classes and random networks of a scene averaged first, and its interval."""
    return Interval.of(rows.groupby("scene")[column].mean())


def explanation_tables(rows: pd.DataFrame) -> list[Table]:
    """Place and band by method, trained beside randomised; then classes by band."""
    kinds = rows["weights"].str.split().str[0]
    lines: list[list[Any]] = []
    for method in METHODS:
        for kind in (TRAINED, RANDOM):
            mine = rows[(rows["method"] == method) & (kinds == kind)]
            row: list[Any] = [method, kind]
            for column in ("place", "band", "other"):
                level = _level(mine, column)
                p = sign_flip_p((mine.groupby("scene")[column].mean() - 0.5).tolist())
                row += [f"{level.mean:.3f} [{level.low:.3f}, {level.high:.3f}]", p]
            lines.append([*row, float((mine["gap"] / mine["size"].clip(lower=1e-3)).median())])
    note = (
        "Area under the ROC curve of attribution for where the class truly is: .5 says nothing. Place: summed over "
        "bands. Then all but three neighbouring bands are shuffled over the scene, so that these alone can make the "
        "class: attribution to them must still lie where it is, and to the others nowhere. Classes that the trained "
        "network finds at least half of. Intervals and p (of .5, sign flips) over scenes. Left over: the share of the "
        "score that attributions do not sum to (median); 0 is complete."
    )
    columns = ["method", "weights", "place", "p", "bands that know", "p", "shuffled bands", "p", "left over"]
    return [Table("Attribution against the known cause", note, columns, lines), _class_table(rows)]


def _class_table(rows: pd.DataFrame) -> Table:
    mine = rows[(rows["weights"] == TRAINED) & (rows["method"] == "integrated gradients")]
    lines: list[list[Any]] = []
    for name, own in mine.groupby("class"):
        by_band = np.array(own["by_band"].tolist()).mean(0)
        share = by_band / max(np.abs(by_band).sum(), 1e-12)
        lines.append([str(name), len(own), float(own["place"].mean()), *share.tolist()])
    note = (
        "Integrated gradients, within the class less elsewhere, as shares of all bands; signs as they add to the class."
    )
    return Table("What makes each class", note, ["class", "scenes", "place", *BANDS], lines)


def draw_maps(tiles: Sequence[Tile], mappers: dict[str, Mapper], path: Path) -> None:
    """A row a scene: what it looks like, where the class is, and attributions by trained and by randomised weights."""
    if not tiles:
        return
    shown = ("saliency", "integrated gradients", "relevance")
    figure = Figure(figsize=(2 * (2 + len(shown) + 1), 2.15 * len(tiles)), layout="constrained")
    axes = figure.subplots(len(tiles), 2 + len(shown) + 1, squeeze=False)
    for row, tile in zip(axes, tiles, strict=True):
        known = asked(tile, mappers[TRAINED])
        for axis in row:
            axis.set_axis_off()
        image = tile.image[list(tile.sensor.reading_order())]
        top = image.flatten(1).quantile(0.98, dim=1)[:, None, None]
        row[0].imshow((image / top).clamp(0, 1).permute(1, 2, 0).numpy())
        row[1].imshow(tile.mass[known[0]].numpy(), cmap="Greys", vmin=0, vmax=1)
        row[1].set_title(tile.legend.classes[known[0]], fontsize=9)
        found = explain(mappers[TRAINED], tile, tile.image, known[0])
        other = next((m for name, m in mappers.items() if name != TRAINED), None)
        panels = [(m, found.maps[m]) for m in shown]
        if other is not None:
            random = explain(other, tile, tile.image, known[0])
            panels.append(("randomised: int. gradients", random.maps["integrated gradients"]))
        for axis, (title, values) in zip(row[2:], panels, strict=False):
            plane = values.sum(0)
            top_value = float(plane.abs().quantile(0.98)) or 1.0
            axis.imshow(plane.numpy(), cmap="RdBu_r", vmin=-top_value, vmax=top_value)
            axis.set_title(title, fontsize=8)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=80, format="png")
