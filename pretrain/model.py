"""The mapper: from an image of any bands to a feature vector, and to what fiction calls it, for every pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from terraficta.pretrain.familiarity import Familiarity, fit_familiarity
from terraficta.pretrain.neighbourhood import mean_around
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.pretrain.stem import SpectralStem
from terraficta.synth.types.legend import USES, Legend

if TYPE_CHECKING:
    from terraficta.pretrain.stream import Batch


@dataclass(frozen=True)
class Reading:
    """What a mapper says of pixels, in float32.

    Parameters
    ----------
    features : Tensor
        (N, D, H, W), or (P, D) of the pixels that were asked for
    logits : Tensor
        (N, K, H, W), or (P, K): scores of the classes of fiction, whose softmax is a probability
    uses : Tensor
        (N, U, H, W), or (P, U): scores of `USES`, each of whose sigmoids is a probability
    """

    features: Tensor
    logits: Tensor
    uses: Tensor


class Projection(nn.Module):
    """Two layers over each pixel, and every feature vector brought to zero mean and unit variance."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to the same."""
        projected: Tensor = self.layers(x)
        return projected


class UpBlock(nn.Module):
    """A decoder step: coarse context, brought to the size of a finer scale, joined to what that one knows."""

    def __init__(self, fine: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(fine, width, 1)
        self.blend = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.SiLU())

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, width, h, w) and (N, fine, H, W) to (N, width, H, W)."""
        up = functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        blended: Tensor = self.blend(up + self.lateral(fine))
        return blended


class FullSizeBlock(nn.Module):
    """The last decoder step, at full size: a depthwise convolution, since most of the cost of a step lies here."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix = nn.Linear(width, width)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, width, h, w) and (N, width, H, W) to (N, H, W, width)."""
        up = functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return functional.silu(self.mix(self.spatial(up + fine).permute(0, 2, 3, 1)))


class Mapper(nn.Module):
    """A per-pixel spectral path beside a timm encoder and decoder, both at full size.

    A pixel's features come of itself and of the mean over its neighbourhood: maps are smoother than images.

    Parameters
    ----------
    recipe : ModelRecipe
        widths and encoder
    legend : Legend
        classes of fiction, for which there are logits

    Examples
    --------
    >>> from terraficta.synth.types.legend import TERRAFICTA
    >>> mapper = Mapper(ModelRecipe(), TERRAFICTA)
    >>> bands = torch.tensor([480., 560., 660.]), torch.full((3,), 60.)
    >>> mapper.read(torch.zeros(1, 4, 3, 64, 48), *bands).features.shape
    torch.Size([1, 192, 64, 48])
    >>> mapper.read(torch.zeros(1, 4, 3, 64, 48), *bands, at=torch.tensor([0, 7])).logits.shape
    torch.Size([2, 24])
    """

    def __init__(self, recipe: ModelRecipe, legend: Legend) -> None:
        super().__init__()
        self.recipe, self.legend = recipe, legend
        self.familiarity: Familiarity | None = None
        """of the land that the weights were pretrained on, where it was looked at"""
        width = recipe.context
        self.stem = SpectralStem(recipe.spectral)
        self.local = nn.Sequential(nn.Linear(recipe.spectral, width), nn.SiLU())
        options: dict[str, Any] = dict(recipe.encoder_args)
        if isinstance(recipe.pretrained, str):
            options["pretrained_cfg_overlay"] = {"file": recipe.pretrained}
        self.encoder = timm.create_model(
            recipe.encoder, features_only=True, in_chans=width, pretrained=bool(recipe.pretrained), **options
        )
        info: Any = self.encoder.feature_info
        self.stride_px = int(max(info.reduction()))
        scales = info.channels()
        self.deepest = nn.Conv2d(scales[-1], width, 1)
        self.ups = nn.ModuleList([UpBlock(c, width) for c in scales[-2::-1]])
        self.full_size = FullSizeBlock(width)
        self.spectral_out = Projection(recipe.spectral)
        self.context_out = Projection(width)
        self.dense = nn.Linear(self.width, len(legend))
        self.used = nn.Linear(self.width, len(USES))
        self.log_penalty = nn.Parameter(torch.tensor(-2.0))
        self.log_sharpness = nn.Parameter(torch.tensor(1.5))

    @property
    def width(self) -> int:
        """Length D of a feature vector."""
        return 2 * (self.recipe.spectral + self.recipe.context)

    def read(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor, at: Tensor | None = None) -> Reading:
        """Features and logits, of every pixel or of some, from one pass.

        Parameters
        ----------
        views : Tensor
            (N, V, B, H, W) from a `Scaling`
        centre_nm, fwhm_nm : Tensor
            (B,) of the bands [nm]
        at : Tensor | None
            (P,) flat positions in the N images laid end to end; only these cost what comes after the maps
        """
        maps = self._maps(views, centre_nm, fwhm_nm)
        own = maps.flatten(0, 2) if at is None else maps.flatten(0, 2).index_select(0, at)
        around = mean_around(maps, at)
        cut = (self.recipe.spectral, self.recipe.context)
        parts = [
            out(part)
            for x in (own, around)
            for out, part in zip((self.spectral_out, self.context_out), x.split(cut, -1), strict=True)
        ]
        features = torch.cat(parts, -1)
        found = features.float(), self.dense(features).float(), self.used(features).float()
        if at is not None:
            return Reading(*found)
        return Reading(*(part.view(*maps.shape[:3], -1).permute(0, 3, 1, 2) for part in found))

    @torch.no_grad()
    def fit_familiarity(self, groups: Iterable[Batch]) -> None:
        """Look at groups of fictional scenes, and keep how the features are spread over them."""
        self.eval()
        device = self.log_penalty.device
        self.familiarity = fit_familiarity(lambda *asked: self.read(*asked).features, (b.to(device) for b in groups))

    def encode(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The way down: spectral path (N, H, W, C); input of the encoder, padded to its stride; its scales."""
        height, width = views.shape[-2:]
        spectral = self.stem(views, centre_nm, fwhm_nm)
        local = self.local(spectral).permute(0, 3, 1, 2)
        down, right = -height % self.stride_px, -width % self.stride_px
        padded = functional.pad(local, (0, right, 0, down), mode="replicate") if down or right else local
        return spectral, padded, self.encoder(padded)

    def _maps(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        """(N, H, W, C) what the spectral path and the context say of each pixel, before the projections."""
        height, width = views.shape[-2:]
        spectral, padded, scales = self.encode(views, centre_nm, fwhm_nm)
        context = self.deepest(scales[-1])
        for up, fine in zip(self.ups, scales[-2::-1], strict=True):
            context = up(context, fine)
        return torch.cat([spectral, self.full_size(context, padded)[:, :height, :width].to(spectral.dtype)], -1)

    def features(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        """Features (N, D, H, W) of every pixel; see `read`."""
        return self.read(views, centre_nm, fwhm_nm).features

    def forward(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        """Logits (N, K, H, W) of every pixel; see `read`."""
        return self.read(views, centre_nm, fwhm_nm).logits
