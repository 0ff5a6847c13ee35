"""Export: a mapper for one sensor as an ONNX file, for programs that have no torch."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from terraficta.pretrain.model import Mapper
from terraficta.pretrain.scaling import BandRange, Scaling
from terraficta.pretrain.stem import SpectralStem
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.sensor import Sensor
from terraficta.synth.types.tile import Level

CALIBRATED = ("image", "centre", "spread")
"""inputs of a network for reflectance"""
RELATIVE = (*CALIBRATED, "low", "high")
"""and of one for numbers that are not calibrated: their stretch is an input too"""
OUTPUTS = ("features", "logits")
OPSET = 17


class _FixedStem(nn.Module):
    """A stem whose weights are written beforehand: sines of large angles differ between runtimes."""

    written: Tensor

    def __init__(self, stem: SpectralStem, sensor: Sensor) -> None:
        super().__init__()
        self.stem = stem
        with torch.no_grad():
            self.register_buffer("written", stem.written(sensor.centre_nm, sensor.fwhm_nm))

    def forward(self, views: Tensor, centre_nm: Tensor, fwhm_nm: Tensor) -> Tensor:
        return self.stem.weighed(views, self.written)


class _Exported(nn.Module):
    """The scaling and the network, with the range of each band as inputs: percentiles are for the caller to take."""

    def __init__(self, mapper: Mapper, sensor: Sensor, absolute: bool) -> None:
        super().__init__()
        self.mapper, self.absolute = copy.deepcopy(mapper).float().eval(), absolute
        self.mapper.stem = _FixedStem(self.mapper.stem, sensor)  # type: ignore[assignment]
        self.centre_nm, self.fwhm_nm = sensor.centre_nm, sensor.fwhm_nm

    def forward(self, image: Tensor, centre: Tensor, spread: Tensor, *stretch: Tensor) -> tuple[Tensor, ...]:
        ranges = BandRange(centre, spread, *(stretch or (centre, centre)))
        reading = self.mapper.read(Scaling(ranges, ranges, self.absolute)(image), self.centre_nm, self.fwhm_nm)
        return reading.features, reading.logits


def export_onnx(mapper: Mapper, sensor: Sensor, path: Path, level: Level = "BOA") -> Path:
    """Write a mapper for one sensor as an ONNX file, whole or not at all.

    Inputs: `image` (N, B, H, W) in product units, sides a multiple of the stride of the encoder (32 px), and of every
    image the median `centre` and the `spread` (95 % less 5 % percentile, over 3.29) of each band (N, B), as
    `BandRange.of_image` takes them; where numbers are not reflectance the 1 % `low` and 99 % `high` too. Outputs:
    `features` (N, D, H, W) and `logits` (N, 24, H, W).

    Parameters
    ----------
    mapper : Mapper
        pretrained
    sensor : Sensor
        bands of the images, in their order
    path : Path
        of the file
    level : Level
        what the numbers of the images are

    Raises
    ------
    Refusal
        where the onnx package is not installed

    Error
    -----
    1e-3 of a logit against torch in float32; `test_pyramid` repeats it.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise Refusal(path, "onnx", "not installed", "the onnx package", "pip install 'terraficta[onnx]'") from error
    absolute = level in ("BOA", "TOA")
    network, names = _Exported(mapper, sensor, absolute), CALIBRATED if absolute else RELATIVE
    side, bands = 2 * mapper.stride_px, len(sensor)
    shapes = ((1, bands, side, side), *[(1, bands)] * (len(names) - 1))
    example = tuple(torch.rand(shape) + 0.1 for shape in shapes)
    free = {name: {0: "n"} for name in names} | {n: {0: "n", 2: "h", 3: "w"} for n in ("image", *OUTPUTS)}
    with whole_file(path) as partial, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, example, str(partial), input_names=list(names), output_names=list(OUTPUTS), dynamic_axes=free,
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    return path
