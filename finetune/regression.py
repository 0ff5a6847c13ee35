"""Regression: a map of a quantity (biomass, canopy height) from a few samples of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from terraficta.finetune.calibrate import spatial_folds
from terraficta.finetune.encoder import Encoder, labelled_parts
from terraficta.finetune.evidence import context_of
from terraficta.finetune.experts.forest import Forest, fit_value_forest
from terraficta.finetune.map_model import MODEL, VALUE_FORMAT, encoder_content, encoder_of, read_content
from terraficta.finetune.recipe import FinetuneRecipe, FullRecipe, ValueHead
from terraficta.finetune.task import CropStream
from terraficta.finetune.tileset.labels import Labels, ground_blocks
from terraficta.finetune.tileset.split import TRAIN
from terraficta.finetune.tileset.tileset import VALUE
from terraficta.finetune.unet import UNet
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.tile import Tile

CROPS = Legend("value", ("value", "known"), ("#000000", "#ffffff"))
"""what the class mass of a crop holds: the value in spreads from its mean, and whether it is known"""
UNUSED = ("dense.", "used.", "log_")
"""parts of the network that say nothing of features"""
TREES = 200
"""more change the third digit of an error"""
WARM_UP = 0.1
"""share of the steps over which the learning rate rises"""
HUBER = 1.0
"""spreads beyond which an error counts by its size and not by its square: biomass has a long tail"""

Estimate = Callable[[Tensor, Tensor, Sequence[str]], Tensor]
"""images (N, B, H, W) in product units, valid (N, H, W), ids of their tiles -> values in spreads (N, H, W)"""


class Convolution(nn.Module):
    """One 1 x 1 convolution over features: D weights and a bias."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, features: Tensor) -> Tensor:
        """(N, D, H, W) to (N, H, W)."""
        return torch.einsum("ndhw,d->nhw", features, self.weight) + self.bias


@dataclass(frozen=True)
class Samples:
    """Places where a quantity is known.

    Parameters
    ----------
    labels : Labels
        the places
    value : Tensor
        (P,) in the unit of the quantity
    """

    labels: Labels
    value: Tensor

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class ValueModel:
    """From images of one tileset to a quantity.

    Parameters
    ----------
    encoder : Encoder
        bands, scaling and network; the network is not asked by "unet" and "forest"
    head : ValueHead
        how it was made
    part : Convolution | UNet | Forest
        what gives the values, in spreads from the mean
    mean, spread : float
        of the samples, in the unit of the quantity
    trained : int
        parameters that were trained: numbers of a network, nodes of a forest
    quantity : str
        what is mapped, with its unit
    """

    encoder: Encoder
    head: ValueHead
    part: Convolution | UNet | Forest
    mean: float
    spread: float
    trained: int
    quantity: str

    @torch.no_grad()
    def __call__(self, image: Tensor, valid: Tensor, scenes: Sequence[str]) -> Tensor:
        """Images (N, B, H, W), valid (N, H, W) to values (N, H, W); no quantity here is ever below 0."""
        found = estimate_by(self.encoder, self.part)(image, valid, scenes).cpu()
        return (found * self.spread + self.mean).clamp(min=0.0)


def estimate_by(encoder: Encoder, part: Convolution | UNet | Forest) -> Estimate:
    """What gives values in spreads from the mean."""
    if isinstance(part, Convolution):
        return lambda image, valid, scenes: part(encoder.features(image, valid, scenes).float())
    if isinstance(part, UNet):  # sees every band in spreads from its median, as the first view of the network is
        return lambda image, valid, scenes: part(encoder.views(image, valid, scenes)[:, :, 0].flatten(1, 2))

    def estimate(image: Tensor, valid: Tensor, scenes: Sequence[str]) -> Tensor:
        rows = context_of(encoder, image, valid, scenes).permute(0, 2, 3, 1).flatten(0, 2).numpy()
        return torch.from_numpy(part.probabilities(rows)).view(len(image), *image.shape[2:])

    return estimate


def sample_values(tiles: Sequence[Tile], recipe: FinetuneRecipe, number: int | None, seed: int) -> Samples:
    """Known values of the train fold: pixels, or footprints with their means, at most `number` of all tiles together.

    Raises
    ------
    Refusal
        no value is known in the train fold
    """
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for t, tile in enumerate(tiles):
        known = tile.in_fold(TRAIN)
        pair = torch.stack([torch.where(known, tile.layers[VALUE], 0.0), known.float()])
        if recipe.value.footprints is not None:
            key = SceneKey(seed, 0).at("footprints", tile.id)
            pair = recipe.value.footprints(pair, tile.grid.gsd_m, key)
        y, x = torch.nonzero((pair[1] > 0) & known, as_tuple=True)
        parts.append((torch.full_like(y, t), y, x, pair[0, y, x] / pair[1, y, x]))
    tile_of, y, x, value = (torch.cat(column) for column in zip(*parts, strict=True))
    if len(value) < 2:
        mend = "check fold and value, or sample more densely"
        raise Refusal("tiles", "value", f"{len(value)} samples in the train fold", "two at least", mend)
    rows = torch.from_numpy(SceneKey(seed, 0).at("samples").rng().permutation(len(value))[:number])
    mass = torch.ones(len(rows), 1)
    legend = Legend("known", ("known",), ("#000000",))
    return Samples(Labels(tile_of[rows], y[rows], x[rows], mass, legend, "all"), value[rows])


def fit_values(
    tiles: Sequence[Tile],
    samples: Samples,
    encoder: Encoder,
    recipe: FinetuneRecipe,
    head: ValueHead,
    quantity: str,
    seed: int = 0,
) -> ValueModel:
    """Fit a map of a quantity.

    Parameters
    ----------
    tiles : Sequence[Tile]
        of the train fold
    samples : Samples
        from these tiles
    encoder : Encoder
        pretrained; left as it is
    recipe : FinetuneRecipe
        how
    head : ValueHead
        "frozen": one 1 x 1 convolution over frozen features, in closed form; "full": every weight, from there;
        "unet": a U-Net from scratch; "forest": random trees on bands, surroundings and ratios
    quantity : str
        what is mapped, with its unit
    """
    mean, spread = float(samples.value.mean()), float(samples.value.std().clamp(min=1e-6))
    z, how = (samples.value - mean) / spread, recipe.value

    def made(part: Convolution | UNet | Forest, trained: int, mine: Encoder = encoder) -> ValueModel:
        return ValueModel(mine, head, part, mean, spread, trained, quantity)

    if head == "forest":
        forest = fit_value_forest(_context(tiles, samples, encoder), z.double().numpy(), seed, TREES)
        return made(forest, len(forest.left))
    if head == "unet":
        unet = _fresh_unet(len(encoder.sensor) * encoder.dates, how.unet_width, seed)
        weights = list(unet.parameters())
        train(estimate_by(encoder, unet), weights, tiles, samples, z, how.full, how.full.scratch_learning_rate, seed)
        return made(unet.eval(), sum(p.numel() for p in weights))
    one = _ridge(encoder.at(tiles, samples.labels), z, ground_blocks(tiles, samples.labels), recipe, seed)
    if head == "frozen":
        return made(one, one.weight.numel() + 1)
    mine = replace(encoder, mapper=copy.deepcopy(encoder.mapper))
    mine.mapper.familiarity = None
    used = [p for name, p in mine.mapper.named_parameters() if not name.startswith(UNUSED)]
    weights = [*used, one.weight, one.bias]
    train(estimate_by(mine, one), weights, tiles, samples, z, how.full, how.full.learning_rate, seed)
    mine.mapper.eval()
    return made(one, sum(p.numel() for p in weights), mine)


def _fresh_unet(bands: int, width: int, seed: int) -> UNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SceneKey(seed, 0).at("unet").field_seed())
        return UNet(bands, width)


def _ridge(x: Tensor, z: Tensor, blocks: NDArray[np.int64], recipe: FinetuneRecipe, seed: int) -> Convolution:
    """A convolution of features (P, D); the penalty has the least squared error on blocks that are held out."""
    x, z = x.double(), z.double()

    def solve(rows: NDArray[np.int64], penalty: float) -> tuple[Tensor, Tensor]:
        centre, level = x[rows].mean(0), z[rows].mean()
        a = x[rows] - centre
        gram = a.T @ a / len(a) + penalty * torch.eye(x.shape[1], dtype=x.dtype)
        weight = torch.linalg.solve(gram, a.T @ (z[rows] - level) / len(a))
        return weight, level - centre @ weight

    folds = list(spatial_folds(np.zeros(len(z), np.int64), blocks, seed, recipe.folds))

    def held_out(penalty: float) -> float:
        errors = []
        for learn, check in folds:
            weight, bias = solve(learn, penalty)
            errors.append((x[check] @ weight + bias - z[check]).square())
        return float(torch.cat(errors).mean()) if errors else 0.0

    weight, bias = solve(np.arange(len(z)), min(recipe.value.penalties, key=held_out))
    return Convolution(weight.float(), bias.float())


def _context(tiles: Sequence[Tile], samples: Samples, encoder: Encoder) -> NDArray[np.float32]:
    """(P, F) what a forest sees of the samples."""
    x = torch.empty(len(samples), 0)
    for part in labelled_parts(tiles, samples.labels):
        found = context_of(encoder, part.image, part.valid, [part.scene])[0].flatten(1)
        x = torch.empty(len(samples), len(found)) if x.shape[1] == 0 else x
        x[part.which] = found[:, part.place].T
    return x.numpy()


def train(
    estimate: Estimate, parameters: Sequence[nn.Parameter], tiles: Sequence[Tile], samples: Samples, z: Tensor,
    recipe: FullRecipe, rate: float, seed: int,
) -> None:  # fmt: skip
    """Train parameters in place on crops around samples, turned and mirrored; AdamW, one cycle.

    Crops are drawn as for classes, of which there are two here: values more than a spread above the mean, and others.
    """
    labels = replace(samples.labels, mass=torch.stack([z, torch.ones_like(z)], 1), legend=CROPS)
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(2, recipe.steps), pct_start=WARM_UP)
    torch.manual_seed(SceneKey(seed, 0).at("train").field_seed())
    for _, crops in zip(range(recipe.steps), CropStream(tiles, labels, recipe, seed), strict=False):
        found = estimate(crops.image, crops.valid, crops.scenes)
        wanted, known = crops.mass.to(found.device).unbind(1)
        error = functional.huber_loss(found, wanted, reduction="none", delta=HUBER)
        loss = (error * known).sum() / known.sum().clamp(min=1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()


def write_value_model(folder: Path, model: ValueModel) -> None:
    """Write model.pt into a folder, whole or not at all."""
    part = model.part
    content = {
        "format": VALUE_FORMAT,
        **encoder_content(model.encoder),
        "head": model.head,
        "part": part.arrays() if isinstance(part, Forest) else {n: v.detach() for n, v in part.state_dict().items()},
        "numbers": [model.mean, model.spread, model.trained],
        "quantity": model.quantity,
    }
    with whole_file(folder / MODEL) as partial, partial.open("wb") as file:
        torch.save(content, file)  # not by its name, which would stand inside: the same model is the same bytes


def read_value_model(folder: str | Path) -> ValueModel:
    """Read what `terraficta finetune run` wrote of a tileset of values.

    Raises
    ------
    Refusal
        no such folder, a damaged file, or one that is something else
    """
    content = read_content(folder, VALUE_FORMAT)
    encoder, stored, head = encoder_of(content, Path(folder) / MODEL), content["part"], content["head"]
    part: Convolution | UNet | Forest
    if head == "forest":
        part = Forest.of_arrays(stored)
    elif head == "unet":
        part = UNet(len(encoder.sensor) * encoder.dates, len(stored["out.weight"][0]))
        part.load_state_dict(stored)
    else:
        part = Convolution(stored["weight"], stored["bias"])
    mean, spread, trained = content["numbers"]
    return ValueModel(encoder, head, part, mean, spread, trained, content["quantity"])
