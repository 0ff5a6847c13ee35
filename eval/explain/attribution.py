"""Attribution: how much each band of each pixel adds to what the network says of a class in a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from torch import Tensor, nn

from terraficta.eval.explain.relevance import RelevanceMode
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.scaling import Scaling
from terraficta.synth.types.tile import Tile

METHODS = ("saliency", "gradient x input", "integrated gradients", "relevance")
"""Simonyan et al. 2014, arXiv 1312.6034; Shrikumar et al. 2017, arXiv 1605.01713; Sundararajan et al. 2017, arXiv
1703.01365; Bach et al. 2015, doi:10.1371/journal.pone.0130140. The first has no sign"""
STEPS = 12
"""of the path of integrated gradients"""


class Score(nn.Module):
    """What a network says of classes in an image: the mean over its pixels of each logit, less that of all classes.

    Taken over the whole scene and not at some pixels, so that it is no matter of architecture where relevance lies.

    Parameters
    ----------
    mapper : Mapper
        the network
    scaling : Scaling
        of the scene as it is, so that a change of some pixels does not move the others
    tile : Tile
        whose bands they are
    baseline : Tensor
        (1, B, H, W) what the input is the difference to
    """

    def __init__(self, mapper: Mapper, scaling: Scaling, tile: Tile, baseline: Tensor) -> None:
        super().__init__()
        self.mapper, self.scaling, self.baseline = mapper, scaling, baseline
        self.bands = tile.sensor.centre_nm, tile.sensor.fwhm_nm

    def forward(self, difference: Tensor) -> Tensor:
        """(N, B, H, W) difference to the baseline -> (N, K)."""
        logits = self.mapper(self.scaling(self.baseline + difference), *self.bands)
        means: Tensor = logits.mean((2, 3))
        return means - means.mean(1, keepdim=True)


@dataclass(frozen=True)
class Explained:
    """Attributions of one class in one scene.

    Parameters
    ----------
    maps : dict[str, Tensor]
        method -> (B, H, W), what each number adds to the score of the class
    score, baseline_score : float
        what is explained
    """

    maps: dict[str, Tensor]
    score: float
    baseline_score: float


def explain(mapper: Mapper, tile: Tile, image: Tensor, number: int) -> Explained:
    """Attribute the score of a class to an image (B, H, W) of a tile, against its even ground.

    The baseline has in every band the median of the scene: what is explained is how the scene departs from it.

    Parameters
    ----------
    image : Tensor
        (B, H, W) the tile's own, or one with some of it changed
    number : int
        of the class, in the legend of the network
    """
    mapper.eval()
    median = image.flatten(1).median(1).values[:, None, None]
    baseline = median.expand_as(image)[None].clone()
    scaling = Scaling.of_image(image, tile.level)
    score = Score(mapper, scaling, tile, baseline)
    x = (image[None] - baseline).requires_grad_()
    ways: dict[str, Callable[[], Tensor]] = {
        "saliency": lambda: Saliency(score).attribute(x, target=number),
        "gradient x input": lambda: InputXGradient(score).attribute(x, target=number),
        "integrated gradients": lambda: IntegratedGradients(score).attribute(
            x, target=number, n_steps=STEPS, internal_batch_size=4
        ),
        "relevance": lambda: _relevance(score, x, number),
    }
    maps = {name: way()[0].detach() for name, way in ways.items()}
    with torch.no_grad():
        both = score(torch.cat([x, torch.zeros_like(x)]))[:, number]
    return Explained(maps, float(both[0]), float(both[1]))


def _relevance(score: Score, x: Tensor, number: int) -> Tensor:
    with RelevanceMode():
        found: Tensor = InputXGradient(score).attribute(x, target=number)
    return found
