"""The pyramid: a pretrained encoder for other people's decoders, as timm's `features_only` gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terraficta.pretrain.model import Mapper
from terraficta.pretrain.scaling import BandRange, Scaling
from terraficta.pretrain.weights import read_weights
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Level


class Pyramid(nn.Module):
    """From images of one sensor, in product units, to feature maps of falling size.

    Every image is scaled by its own values, so that nothing has to be normalised beforehand.

    Parameters
    ----------
    mapper : Mapper
        pretrained
    sensor : Sensor
        bands of the images, in their order
    level : Level
        what their numbers are: reflectance (BOA, TOA), or relative (DN, RADIANCE)
    """

    centre_nm: Tensor
    fwhm_nm: Tensor

    def __init__(self, mapper: Mapper, sensor: Sensor, level: Level) -> None:
        super().__init__()
        self.mapper, self.level = mapper, level
        self.register_buffer("centre_nm", sensor.centre_nm.clone())
        self.register_buffer("fwhm_nm", sensor.fwhm_nm.clone())

    @property
    def channels(self) -> list[int]:
        """Of each map."""
        info: Any = self.mapper.encoder.feature_info
        return [self.mapper.recipe.context, *info.channels()]

    @property
    def reduction(self) -> list[int]:
        """By how much each map is coarser than the image."""
        info: Any = self.mapper.encoder.feature_info
        return [1, *info.reduction()]

    def views(self, images: Tensor) -> Tensor:
        """Images (N, B, H, W) to what the network sees of them (N, 4, B, H, W)."""
        if images.shape[1] != len(self.centre_nm):
            expected = f"{len(self.centre_nm)}, as the encoder was loaded for"
            raise Refusal("image", "bands", images.shape[1], expected, "load the encoder for these bands")
        return torch.stack([Scaling.of_image(image, self.level)(image) for image in images])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, B, H, W) to maps (N, C, H / r, W / r) for each C in `channels` and r in `reduction`."""
        _, padded, scales = self.mapper.encode(self.views(images), self.centre_nm, self.fwhm_nm)
        return [padded, *scales]

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D, H, W) at full size, and logits (N, K, H, W) over the classes of fiction."""
        reading = self.mapper.read(self.views(images), self.centre_nm, self.fwhm_nm)
        return reading.features, reading.logits


def load_encoder(sensor: Sensor, level: Level = "BOA", weights: str | Path | None = None) -> Pyramid:
    """The pretrained encoder for the bands of a sensor.

    Parameters
    ----------
    sensor : Sensor
        bands of the images, in their order
    level : Level
        BOA | TOA | RADIANCE | DN
    weights : str | Path | None
        a weights file; None: those that ship

    Examples
    --------
    >>> from terraficta.synth.types.sensor import read_sensor
    >>> encoder = load_encoder(read_sensor("landsat8"))
    >>> [tuple(m.shape[1:]) for m in encoder(torch.rand(1, len(encoder.centre_nm), 64, 64))][0]
    (32, 64, 64)
    """
    mapper, _ = read_weights(weights)
    return Pyramid(mapper, sensor, level)


def band_ranges(images: Tensor) -> BandRange:
    """How the values of each image (N, B, H, W) are spread, band by band (N, B): the inputs of an exported network."""
    return BandRange.stack([BandRange.of_image(image) for image in images])
