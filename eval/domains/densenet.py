"""FC-DenseNet: the network of the SEN12MS generalisation study, trained on all labelled pixels of a domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from terraficta.eval.domains.domain import Plot, Sample
from terraficta.finetune.encoder import labelled_parts
from terraficta.pretrain.scaling import BandRange, Scaling
from terraficta.synth.types.key import SceneKey

SCALES, LAYERS, GROWTH, FIRST = 3, 4, 16, 48
"""dense blocks on the way down, layers of each, channels that a layer adds, channels of the first convolution. Source:
Hu, Robinson & Dilkina 2020 state 3 blocks (fc_densenet_params of github.com/lucashu1/land-cover, config.json) of
DenseNetFCN (github.com/titu1994/DenseNet), whose defaults the others are"""
BATCH = 4
"""crops of a step, as there"""
CROP_PX = 64
"""side of a crop [px]; there it is a patch of 256"""
RATE, DECAY = 1e-3, 1e-4
"""of Nadam, falling as a cosine; there 1e-4 over up to 200 epochs, too slow for some hundred steps"""


class DenseBlock(nn.Module):
    """Layers that each see what all before them said.

    Parameters
    ----------
    inputs, layers, growth : int
        channels that come in; layers, and channels that each adds
    """

    def __init__(self, inputs: int, layers: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, growth, 3, padding=1, bias=False))
                for width in range(inputs, inputs + layers * growth, growth)
            ]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, H, W) to the input with all that was added, and to what was added."""
        known = [x]
        for layer in self.layers:
            known.append(layer(torch.cat(known, 1)))
        return torch.cat(known, 1), torch.cat(known[1:], 1)


class FCDenseNet(nn.Module):
    """Dense blocks down and up again, joined to what was there on the way down.

    Parameters
    ----------
    bands, classes : int
        of the images and the legend
    scales, layers, growth, first : int
        see `SCALES`

    Source
    ------
    Jegou et al. 2017, arXiv 1611.09326, figure 1: only what a block adds goes up through a transposed convolution

    Examples
    --------
    >>> FCDenseNet(10, 11)(torch.zeros(2, 10, 33, 40)).shape
    torch.Size([2, 11, 33, 40])
    """

    def __init__(
        self, bands: int, classes: int, scales: int = SCALES, layers: int = LAYERS, growth: int = GROWTH,
        first: int = FIRST,
    ) -> None:  # fmt: skip
        super().__init__()
        self.first = nn.Conv2d(bands, first, 3, padding=1, bias=False)
        widths = [first + layers * growth * (n + 1) for n in range(scales)]  # after each block on the way down
        self.down = nn.ModuleList([DenseBlock(width - layers * growth, layers, growth) for width in widths])
        self.lower = nn.ModuleList(
            [nn.Sequential(nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, w, 1, bias=False)) for w in widths]
        )
        self.deepest = DenseBlock(widths[-1], layers, growth)
        added = layers * growth
        self.raise_ = nn.ModuleList(
            [nn.ConvTranspose2d(added, added, 3, stride=2, padding=1, output_padding=1) for _ in widths]
        )
        self.up = nn.ModuleList([DenseBlock(width + added, layers, growth) for width in widths[::-1]])
        self.out = nn.Conv2d(widths[0] + 2 * added, classes, 1)
        self.step_px = 2**scales

    def forward(self, x: Tensor) -> Tensor:
        """(N, bands, H, W) to logits (N, classes, H, W); sides are filled up to whole coarsest pixels."""
        height, width = x.shape[-2:]
        more = [-side % self.step_px for side in (width, height)]
        x = self.first(functional.pad(x, [0, more[0], 0, more[1]], mode="replicate"))
        kept: list[Tensor] = []
        for block, lower in zip(self.down, self.lower, strict=True):
            x, _ = block(x)
            kept.append(x)
            x = functional.max_pool2d(lower(x), 2)
        x, added = self.deepest(x)
        for block, raise_, fine in zip(self.up, self.raise_, kept[::-1], strict=True):
            x, added = block(torch.cat([functional.relu(raise_(added)), fine], 1))
        out: Tensor = self.out(x)
        return out[..., :height, :width]


@dataclass(frozen=True)
class DenseMapper:
    """A trained FC-DenseNet, and how it sees bands.

    Parameters
    ----------
    network : FCDenseNet
        trained
    range : BandRange
        (B,) of the domain learnt from
    """

    network: FCDenseNet
    range: BandRange

    @torch.no_grad()
    def log_probabilities(self, sample: Sample) -> Tensor:
        """(P, K) at the pixels of a sample; only windows that hold such pixels are mapped."""
        found = torch.empty(len(sample.labels), len(sample.labels.legend))
        for part in labelled_parts(sample.tiles, sample.labels):
            said = self.network(_seen(self.range, part.image, part.valid))[0].flatten(1)
            found[part.which] = torch.log_softmax(said[:, part.place], 0).T
        return found


def train_densenet(plots: Sequence[Plot], steps: int, seed: int) -> DenseMapper:
    """Train on every labelled pixel of some plots; the study's early stopping on held-out patches is a number of steps.

    Parameters
    ----------
    plots : Sequence[Plot]
        to learn from
    steps : int
        of `BATCH` crops
    seed : int
        of weights and crops
    """
    tiles = list({id(plot.tile): plot.tile for plot in plots}.values())
    masks = {id(tile): torch.stack([p.mask for p in plots if p.tile is tile]).any(0) for tile in tiles}
    spread = Scaling.fit(tiles, fold=1).common
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(SceneKey(seed, 0).at("fresh").field_seed())
        network = FCDenseNet(len(tiles[0].sensor), len(tiles[0].legend)).train()
        mover = torch.optim.NAdam(network.parameters(), RATE, weight_decay=DECAY)
        falls = torch.optim.lr_scheduler.CosineAnnealingLR(mover, steps)
        for step in range(steps):
            rng = SceneKey(seed, step).at("crops").rng()
            parts = [_crop(plots, masks, rng) for _ in range(BATCH)]
            image, valid, mass = (torch.stack(part) for part in zip(*parts, strict=True))
            said = torch.log_softmax(network(_seen(spread, image, valid)), 1)
            loss = -(mass * said).sum() / mass.sum().clamp(min=1)
            mover.zero_grad()
            loss.backward()
            mover.step()
            falls.step()
    return DenseMapper(network.eval(), spread)


def _crop(plots: Sequence[Plot], masks: dict[int, Tensor], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Image, valid and class mass of a crop around a labelled pixel, turned and mirrored at random."""
    plot = plots[int(rng.integers(len(plots)))]
    tile, place = plot.tile, torch.nonzero(plot.mask)
    y, x = place[int(rng.integers(len(place)))].tolist()
    sides = [min(CROP_PX, side) for side in tile.grid.shape]
    top, left = (
        int(np.clip(at - rng.integers(side), 0, whole - side))
        for at, side, whole in zip((y, x), sides, tile.grid.shape, strict=True)
    )
    rows, columns = slice(top, top + sides[0]), slice(left, left + sides[1])
    mass = tile.mass[:, rows, columns] * masks[id(tile)][rows, columns]
    parts = (tile.image[:, rows, columns], tile.valid[rows, columns], mass)
    turns = int(rng.integers(4)) if sides[0] == sides[1] else 2 * int(rng.integers(2))
    mirror = bool(rng.integers(2))
    image, valid, mass = (torch.rot90(p.flip(-1) if mirror else p, turns, (-2, -1)) for p in parts)
    return image, valid, mass


def _seen(spread: BandRange, image: Tensor, valid: Tensor) -> Tensor:
    """Images (N, B, H, W) in spreads from the median; missing pixels are average ground."""
    return spread.relative(torch.where(valid[:, None], image, spread.centre[:, None, None]))
