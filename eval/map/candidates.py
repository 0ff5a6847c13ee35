"""The candidates: pixels of images, spread over all of them, with what a map model says of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from terraficta.eval.map.source import Source
from terraficta.eval.map.suggestion import Candidates
from terraficta.finetune.map_model import MapModel
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.refusal import Refusal

WINDOW_PX, MARGIN_PX = 128, 16
"""side of a window that is looked at, and what of its rim is not asked for where the image goes on beyond it: the
network misses context there [px]"""
WINDOWS, PIXELS = 64, 12_000
"""of one image at most, and candidates of all images together"""


def read_candidates(source: Source, model: MapModel, scene: str, number: int, most: int, seed: int = 0) -> Candidates:
    """Candidates of one image, evenly from windows that are spread over it; labelled pixels are left out.

    Parameters
    ----------
    source : Source
        of the image
    model : MapModel
        that maps it, with the scaling of the scene
    scene : str
        id of the tile that the image is of
    number : int
        which image it is, for `Candidates.scene`
    most : int
        candidates at most
    seed : int
        of the choice of pixels
    """
    height, width = source.shape
    high, wide = min(WINDOW_PX, height), min(WINDOW_PX, width)
    corners = spread_corners((height, width), (high, wide))
    each = -(-most // len(corners))
    labelled = torch.zeros(height, width, dtype=torch.bool)
    if model.labelled is not None:
        for y, x in model.labelled.places(scene):
            labelled[y, x] = True
    parts: list[Candidates] = []
    for n, (y, x) in enumerate(corners):
        image, valid = source.read(y, x, high, wide)
        free = ~labelled[y : y + high, x : x + wide] & _inner((height, width), (y, x), (high, wide))
        probabilities, features = model.read(image[None], valid[None], [scene])
        usable = torch.nonzero((valid & free).flatten())[:, 0]
        chance = SceneKey(seed, number).at("candidates", scene, n).rng()
        chosen = usable[torch.from_numpy(chance.permutation(len(usable))[:each])]
        parts.append(
            Candidates(
                probabilities[0].flatten(1)[:, chosen].T,
                features[chosen],
                torch.full_like(chosen, number),
                y + chosen // wide,
                x + chosen % wide,
            )  # fmt: skip
        )
    return together(parts)


def spread_corners(shape: tuple[int, int], window: tuple[int, int]) -> list[tuple[int, int]]:
    """Top-left corners of at most `WINDOWS` windows that lie evenly over an image."""
    side = int(WINDOWS**0.5)
    rows, columns = (
        sorted({i * (length - part) // max(n - 1, 1) for i in range(n)})
        for length, part in zip(shape, window, strict=True)
        for n in [min(side, -(-length // part))]
    )
    return [(y, x) for y in rows for x in columns]


def _inner(shape: tuple[int, int], corner: tuple[int, int], window: tuple[int, int]) -> torch.Tensor:
    """(h, w) bool; a window of an image of some shape without the rim beyond which the image goes on."""
    inner = torch.zeros(window, dtype=torch.bool)
    rows, columns = (
        slice(MARGIN_PX if at else 0, part - (MARGIN_PX if at + part < length else 0))
        for length, at, part in zip(shape, corner, window, strict=True)
    )
    inner[rows, columns] = True
    return inner


def together(parts: Sequence[Candidates]) -> Candidates:
    """Candidates of several windows or images, one after another.

    Raises
    ------
    Refusal
        no pixel at all
    """
    if sum(map(len, parts)) == 0:
        raise Refusal("suggest", "image", "no valid pixel", "at least one", "hand over an image that shows something")
    names = Candidates.__dataclass_fields__
    return Candidates(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
