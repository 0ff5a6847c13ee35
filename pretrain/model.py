"""The mapper: from an image of any bands to a feature vector for every pixel."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from terraficta.pretrain.recipe import ModelRecipe
from terraficta.pretrain.stem import SpectralStem
from terraficta.synth.types.legend import Legend

AROUND_PX = 5
"""a pixel's features are joined by their mean over this neighbourhood: maps are smoother than images"""


class ChannelNorm(nn.Module):
    """Every pixel's feature vector to zero mean and unit variance."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class UpBlock(nn.Module):
    """A decoder step: coarse context, doubled in size, joined to what the finer scale knows."""

    def __init__(self, fine: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(fine, width, 1)
        self.blend = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GELU())

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, width, h, w) and (N, fine, H, W) to (N, width, H, W)."""
        up = functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return self.blend(up + self.lateral(fine))


class Mapper(nn.Module):
    """A per-pixel spectral path beside a timm encoder and decoder, both at full size.

    Parameters
    ----------
    recipe : widths and encoder
    legend : classes of the dense head, which pretraining uses and mapping a real place does not

    Examples
    --------
    >>> from terraficta.synth.types.legend import TERRAFICTA
    >>> mapper = Mapper(ModelRecipe(), TERRAFICTA)
    >>> mapper.features(torch.zeros(1, 2, 3, 64, 48), torch.tensor([480., 560., 660.]), torch.full((3,), 60.)).shape
    torch.Size([1, 192, 64, 48])
    """

    def __init__(self, recipe: ModelRecipe, legend: Legend) -> None:
        super().__init__()
        self.recipe, self.legend = recipe, legend
        width = recipe.context
        self.stem = SpectralStem(recipe.spectral)
        self.local = nn.Sequential(nn.Conv2d(recipe.spectral, width, 3, padding=1), nn.GELU())
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
        self.ups = nn.ModuleList([UpBlock(c, width) for c in [*scales[-2::-1], width]])
        self.spectral_out = nn.Sequential(nn.Conv2d(recipe.spectral, recipe.spectral, 1), ChannelNorm(recipe.spectral))
        self.context_out = nn.Sequential(nn.Conv2d(width, width, 1), ChannelNorm(width))
        self.dense = nn.Conv2d(self.width, len(legend), 1)
        self.log_penalty = nn.Parameter(torch.tensor(-2.0))
        self.log_sharpness = nn.Parameter(torch.tensor(1.5))

    @property
    def width(self) -> int:
        """Length D of a feature vector."""
        return 2 * (self.recipe.spectral + self.recipe.context)

    def features(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        """Views (N, 2, B, H, W) from a `Scaling`, band centres and widths (B,) [nm], to features (N, D, H, W)."""
        height, width = views.shape[-2:]
        spectral = self.stem(views, centre_nm, fwhm_nm)
        local = self.local(spectral)
        down, right = -height % self.stride_px, -width % self.stride_px
        padded = functional.pad(local, (0, right, 0, down), mode="replicate") if down or right else local
        scales = self.encoder(padded)
        context = self.deepest(scales[-1])
        for up, fine in zip(self.ups, [*scales[-2::-1], padded], strict=True):
            context = up(context, fine)
        context = context[..., :height, :width]
        own = torch.cat([self.spectral_out(spectral), self.context_out(context)], 1).float()
        around = functional.avg_pool2d(own, AROUND_PX, 1, AROUND_PX // 2, count_include_pad=False)
        return torch.cat([own, around], 1)

    def forward(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        """Logits (N, K, H, W) over the pretraining legend."""
        return self.dense(self.features(views, centre_nm, fwhm_nm))
