"""Masked reconstruction: the usual pretraining without labels or fiction, on the tileset's own images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from terraficta.finetune.encoder import Encoder
from terraficta.finetune.recipe import FullRecipe
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.tile import Tile

MASKED_SHARE = 0.6
"""of the patches of a crop (He et al. 2022, arXiv 2111.06377: 0.75 of natural images; ours are smaller)"""
PATCH_PX = 8
"""side of a patch that is hidden or shown whole [px]"""
MOST_BANDS = 8
"""bands of a step: many of a spectrometer would cost as many times the time"""


def pretrain_masked(encoder: Encoder, tiles: Sequence[Tile], recipe: FullRecipe, seed: int) -> list[float]:
    """Train an encoder's mapper in place to paint in hidden patches; losses by step.

    As many steps on crops of the same size as the arms that train on labels have (`FullRecipe`), and their rate from
    scratch. What is hidden is average ground to the network; what it shall tell is each band in spreads from the median
    of all scenes.

    Parameters
    ----------
    encoder : Encoder
        with random weights
    tiles : Sequence[Tile]
        whose images are used, labelled or not, test scenes among them; no label is looked at
    recipe : FullRecipe
        steps, batch, crop
    seed : int
        of crops, bands and masks
    """
    mapper, bands = encoder.mapper, len(encoder.sensor)
    torch.manual_seed(SceneKey(seed, 0).at("masked").field_seed())
    paint = nn.Linear(mapper.width, bands)
    parameters = [*mapper.parameters(), *paint.parameters()]
    rate = recipe.scratch_learning_rate
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(2, recipe.steps), pct_start=0.1)
    losses = []
    mapper.train()
    for step in range(recipe.steps):
        rng = SceneKey(seed, step).at("masked").rng()
        loss = _loss(encoder, paint, tiles, recipe, rng)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss))
    mapper.eval()
    return losses


def _loss(
    encoder: Encoder, paint: nn.Linear, tiles: Sequence[Tile], recipe: FullRecipe, rng: np.random.Generator
) -> Tensor:
    """Mean squared error of the hidden patches of crops of one scene, over valid pixels."""
    area = np.array([tile.valid.numel() for tile in tiles], dtype=float)
    tile = tiles[int(rng.choice(len(tiles), p=area / area.sum()))]
    height, width = (min(recipe.crop_px, side) for side in tile.grid.shape)
    corners = [
        [int(rng.integers(side - own + 1)) for side, own in zip(tile.grid.shape, (height, width), strict=True)]
        for _ in range(recipe.batch)
    ]
    image = torch.stack([tile.image[:, y : y + height, x : x + width] for y, x in corners])
    valid = torch.stack([tile.valid[y : y + height, x : x + width] for y, x in corners])
    views = encoder.views(image, valid, [tile.id] * len(image))  # (N, T, V, B, H, W)
    dates = views.shape[1]
    chosen = torch.from_numpy(np.sort(rng.permutation(views.shape[3])[:MOST_BANDS]))
    flat = views[:, :, :, chosen].flatten(0, 1)
    cells = rng.random((len(image), -(-height // PATCH_PX), -(-width // PATCH_PX))) < MASKED_SHARE
    hidden = torch.from_numpy(cells.repeat(PATCH_PX, 1).repeat(PATCH_PX, 2)[:, :height, :width].copy())
    hidden = hidden.repeat_interleave(dates, 0)
    centre, fwhm = (band[chosen] for band in (encoder.sensor.centre_nm, encoder.sensor.fwhm_nm))
    features = encoder.mapper.read(flat * ~hidden[:, None, None], centre, fwhm).features
    said = torch.einsum("ndhw,bd->nbhw", features, paint.weight[chosen]) + paint.bias[chosen][:, None, None]
    counted = (hidden & valid.repeat_interleave(dates, 0)).float()
    return ((said - flat[:, 0]).square().mean(1) * counted).sum() / counted.sum().clamp(min=1)
