"""The Lightning task: training every weight of a map model on a few labelled pixels."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from terraficta.finetune.encoder import Encoder
from terraficta.finetune.geometry import bent
from terraficta.finetune.moving import moving
from terraficta.finetune.recipe import FullRecipe
from terraficta.finetune.tileset.labels import Labels
from terraficta.pretrain.head import Head
from terraficta.pretrain.loss import soft_cross_entropy
from terraficta.pretrain.precision import fast_precision
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.tile import Tile

WARM_UP = 0.1
"""share of the steps over which the learning rate rises"""


@dataclass(frozen=True)
class Crops:
    """A batch of ground around labels.

    Parameters
    ----------
    image : Tensor
        (N, B, H, W) in product units
    valid : Tensor
        (N, H, W) bool
    mass : Tensor
        (N, K, H, W) of the drawn labels, zero elsewhere
    scenes : tuple[str, ...]
        ids of the tiles that the crops are of
    """

    image: Tensor
    valid: Tensor
    mass: Tensor
    scenes: tuple[str, ...]


class CropStream(IterableDataset[Crops]):
    """Crops around labels, every class as often; step t is addressed by (seed, t).

    Quarter turns and mirrors are exact, in torch; free turns and stretches are those of `bent`.
    """

    def __init__(self, tiles: Sequence[Tile], labels: Labels, recipe: FullRecipe, seed: int) -> None:
        self.tiles, self.labels, self.recipe, self.seed = tiles, labels, recipe, seed
        self._of_class = [
            torch.nonzero(labels.classes == k)[:, 0].numpy() for k in torch.unique(labels.classes).tolist()
        ]
        self._of_tile = {t: labels.of(t) for t in torch.unique(labels.tile).tolist()}

    def __iter__(self) -> Iterator[Crops]:
        step = 0
        while True:
            rng = SceneKey(self.seed, step).at("crops").rng()
            yield _together([self._crop(rng) for _ in range(self.recipe.batch)])
            step += 1

    def _crop(self, rng: np.random.Generator) -> Crops:
        """A crop that holds a label of a random class somewhere, turned at random."""
        p = int(rng.choice(self._of_class[int(rng.integers(len(self._of_class)))]))
        t = int(self.labels.tile[p])
        tile, mine = self.tiles[t], self._of_tile[t]
        rows, columns = (
            _span(int(at), size, self.recipe.crop_px, rng)
            for at, size in zip((self.labels.y[p], self.labels.x[p]), tile.grid.shape, strict=True)
        )
        image, valid = tile.image[:, rows, columns], tile.valid[rows, columns]
        inside = (mine.y >= rows.start) & (mine.y < rows.stop) & (mine.x >= columns.start) & (mine.x < columns.stop)
        y, x, given = mine.y[inside] - rows.start, mine.x[inside] - columns.start, mine.mass[inside]
        if self.recipe.stretch > 0:
            seed = int(rng.integers(2**31))
            image, valid, y, x, kept = bent(image, valid, y, x, self.recipe.stretch, seed)
            given = given[kept]
        mass = torch.zeros(len(mine.legend), *valid.shape)
        mass[:, y, x] = given.T
        side = self.recipe.crop_px
        beyond = (0, side - valid.shape[1], 0, side - valid.shape[0])  # tiles smaller than a crop
        parts = [functional.pad(part, beyond) for part in (image, valid[None].float(), mass)]
        if self.recipe.turn:
            quarter, mirror = int(rng.integers(4)), bool(rng.integers(2))
            parts = [torch.rot90(part, quarter, (1, 2)) for part in parts]
            parts = [part.flip(2) for part in parts] if mirror else parts
        return Crops(parts[0], parts[1][0] > 0, parts[2], (tile.id,))


def _span(at: int, size: int, side: int, rng: np.random.Generator) -> slice:
    """`side` pixels of 0..size that hold `at`."""
    low, high = max(0, at - side + 1), max(0, min(at, size - side))
    start = int(rng.integers(min(low, high), high + 1))
    return slice(start, min(size, start + side))


def _together(crops: Sequence[Crops]) -> Crops:
    return Crops(
        torch.stack([c.image for c in crops]),
        torch.stack([c.valid for c in crops]),
        torch.stack([c.mass for c in crops]),
        tuple(scene for c in crops for scene in c.scenes),
    )


class FinetuneTask(lightning.LightningModule):
    """One training of mapper and head.

    Parameters
    ----------
    encoder : Encoder
        whose mapper is trained in place
    head : Head
        to start from
    recipe : FullRecipe
        steps, rates, smoothing
    learning_rate : float
        at its peak
    moving : Sequence[nn.Parameter]
        of the mapper: those that are trained
    """

    def __init__(
        self, encoder: Encoder, head: Head, recipe: FullRecipe, learning_rate: float, moving: Sequence[nn.Parameter]
    ) -> None:
        super().__init__()
        self.recipe, self.learning_rate, self._moving = recipe, learning_rate, list(moving)
        self.mapper = encoder.mapper
        self.weight = nn.Parameter(head.weight * head.sharpness)
        self.bias = nn.Parameter(head.bias * head.sharpness)
        self._encoder = encoder

    def head(self) -> Head:
        """As trained so far."""
        return Head(self.weight.detach().cpu(), self.bias.detach().cpu(), torch.tensor(1.0))

    def training_step(self, crops: Crops, batch_idx: int) -> Tensor:
        encoder = self._encoder.to(self.device)
        features = encoder.features(crops.image, crops.valid, crops.scenes)
        with torch.autocast(self.device.type, enabled=False):
            y = torch.einsum("ndhw,dk->nkhw", features.float(), self.weight) + self.bias[:, None, None]
            present = (self.bias > -1e3).float()[:, None, None]
            even = present / present.sum() * crops.mass.sum(1, keepdim=True)
            mass = crops.mass + self.recipe.label_smoothing * (even - crops.mass)
            loss = soft_cross_entropy(torch.log_softmax(y, 1), mass)
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        groups = [
            {"params": self._moving, "weight_decay": self.recipe.weight_decay},
            {"params": [self.weight, self.bias], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, self.learning_rate, total_steps=max(2, self.recipe.steps), pct_start=WARM_UP
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Crops, device: torch.device, dataloader_idx: int) -> Crops:
        return Crops(batch.image.to(device), batch.valid.to(device), batch.mass.to(device), batch.scenes)


def train_whole(
    encoder: Encoder,
    head: Head,
    tiles: Sequence[Tile],
    labels: Labels,
    recipe: FullRecipe,
    learning_rate: float,
    seed: int,
    progress: Sequence[Callback] = (),
) -> Head:
    """Train the encoder's mapper in place, and return the trained head."""
    torch.manual_seed(SceneKey(seed, 0).at("train").field_seed())
    device = encoder.device.type
    quiet = logging.getLogger("lightning.pytorch")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as scratch,
        moving(encoder.mapper, recipe) as chosen,
    ):
        task = FinetuneTask(encoder, head, recipe, learning_rate, chosen)
        warnings.filterwarnings("ignore", module="lightning")
        trainer = lightning.Trainer(
            max_steps=recipe.steps, accelerator="gpu" if device == "cuda" else "cpu", devices=1,
            precision=fast_precision(device), gradient_clip_val=1.0, callbacks=list(progress), logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, default_root_dir=scratch,
        )  # fmt: skip
        trainer.fit(task.train(), DataLoader(CropStream(tiles, labels, recipe, seed), batch_size=None))
    quiet.setLevel(level)
    if trainer.interrupted:
        raise KeyboardInterrupt
    task.mapper.to(device).eval()
    return task.head()


def shorter(recipe: FullRecipe) -> FullRecipe:
    """The same for the held-out training that finds the temperature."""
    steps = max(1, round(recipe.steps * recipe.calibration_share))
    return recipe.model_copy(update={"steps": steps})
