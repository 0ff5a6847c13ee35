"""The map model: what fine-tuning makes. Images of one tileset's kind go in, class probabilities come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from terraficta.finetune.conformal import ConformalSets
from terraficta.finetune.encoder import Encoder
from terraficta.finetune.evidence import read_evidence
from terraficta.finetune.experts.blend import Blend, head_content
from terraficta.finetune.head import FittedHead
from terraficta.finetune.labelled import Labelled
from terraficta.pretrain.familiarity import Familiarity
from terraficta.pretrain.head import Head
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import ModelRecipe
from terraficta.pretrain.scaling import BandRange, Scaling
from terraficta.synth.types.legend import Legend
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import whole_file
from terraficta.synth.types.sensor import Band, Sensor

FORMAT, VALUE_FORMAT = "terraficta map model 6", "terraficta value model 1"
"""what a model.pt says of itself: classes, or a quantity"""
MODEL = "model.pt"


@dataclass(frozen=True)
class MapModel:
    """A whole map-maker: network, bands, scaling, head, legend and temperature.

    Parameters
    ----------
    encoder : Encoder
        from images to features
    fitted : FittedHead
        head and temperature; a `Head` over features, or a `Blend` of evidence
    legend : Legend
        K classes
    labelled : Labelled | None
        what is kept of the labels; None: names alone, or not kept

    Examples
    --------
    >>> model = read_map_model("out/finetune")                       # doctest: +SKIP
    >>> model(tile.image[None], tile.sensor, tile.valid[None]).shape # doctest: +SKIP
    torch.Size([1, 4, 100, 101])
    """

    encoder: Encoder
    fitted: FittedHead
    legend: Legend
    labelled: Labelled | None = None

    @property
    def sensor(self) -> Sensor:
        """The bands of one date."""
        return self.encoder.sensor

    @property
    def dates(self) -> int:
        """Images a scene."""
        return self.encoder.dates

    @property
    def temperature(self) -> float:
        """What the scores are divided by."""
        return self.fitted.temperature

    @property
    def choice(self) -> str:
        """What tuning chose."""
        return self.fitted.choice

    @property
    def sets(self) -> ConformalSets | None:
        """Which classes cannot be ruled out, by the probabilities of a pixel."""
        return self.fitted.sets

    @torch.inference_mode()
    def __call__(
        self,
        image: Tensor,
        sensor: Sensor | None = None,
        valid: Tensor | None = None,
        scenes: Sequence[str] | None = None,
    ) -> Tensor:
        """Class probabilities (N, K, H, W) on the CPU; they sum to 1.

        Parameters
        ----------
        image : Tensor
            (N, B, H, W) in product units, as a tile holds it; before and after stacked for change
        sensor : Sensor | None
            its bands; refused where they are not those of the model. None: taken on trust
        valid : Tensor | None
            (N, H, W) bool; missing pixels are read as average ground
        scenes : Sequence[str] | None
            ids of the tiles that the images were cut from; some have a scaling of their own
        """
        if sensor is not None:
            self.encoder.require_sensor(sensor)
        return self.read(image, valid, scenes)[0]

    @torch.inference_mode()
    def with_familiarity(
        self, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Class probabilities (N, K, H, W), and how familiar each pixel is (N, H, W); NaN where that is not known."""
        probabilities, features = self.read(image, valid, scenes)
        known = self.encoder.mapper.familiarity
        if known is None or self.dates > 1:  # features of two dates are differences
            return probabilities, torch.full_like(probabilities[:, 0], torch.nan)
        return probabilities, known(features).unflatten(0, (len(image), *image.shape[2:]))

    @torch.inference_mode()
    def read(
        self, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Class probabilities (N, K, H, W) and features (N * H * W, D), on the CPU."""
        if image.shape[1] != len(self.sensor) * self.dates:
            expected = f"{len(self.sensor) * self.dates}: {', '.join(band.name for band in self.sensor.bands)}"
            raise Refusal(
                "image", "bands", image.shape[1], expected, "hand over the bands that the model was fitted on"
            )
        self.encoder.mapper.eval()
        head = self.fitted.head
        if isinstance(head, Head):
            maps = self.encoder.features(image, valid, scenes)
            logs, features = head.log_probabilities(maps), maps.permute(0, 2, 3, 1).flatten(0, 2).cpu()
        else:
            evidence = read_evidence(self.encoder, image, valid, scenes)
            logs = head.log_probabilities(evidence).unflatten(0, (len(image), *image.shape[2:])).permute(0, 3, 1, 2)
            features = evidence.features
        return torch.softmax(logs / self.temperature, 1).cpu(), features

    def to(self, device: torch.device | str) -> MapModel:
        """The same on a device."""
        head = self.fitted.head
        if isinstance(head, Head):  # a blend reads evidence on the CPU
            head = Head(head.weight.to(device), head.bias.to(device), head.sharpness.to(device))
        return replace(self, encoder=self.encoder.to(device), fitted=replace(self.fitted, head=head))


def write_map_model(folder: Path, model: MapModel) -> None:
    """Write model.pt into a folder, whole or not at all."""
    head = model.fitted.head
    content = {
        "format": FORMAT,
        **encoder_content(model.encoder),
        "head": head.content() if isinstance(head, Blend) else head_content(head),
        "temperature": model.temperature,
        "choice": model.choice,
        "sets": None if model.sets is None else model.sets.content(),
        "labelled": None if model.labelled is None else model.labelled.content(),
        "legend": [model.legend.name, list(model.legend.classes), list(model.legend.colours)],
    }
    with whole_file(folder / MODEL) as partial, partial.open("wb") as file:
        torch.save(content, file)  # not by its name, which would stand inside: the same model is the same bytes


def read_map_model(folder: str | Path, device: str = "cpu") -> MapModel:
    """Read what `terraficta finetune run` wrote.

    Raises
    ------
    Refusal
        no such folder, a damaged file, or one that is something else
    """
    content = read_content(folder, FORMAT)
    encoder = encoder_of(content, Path(folder) / MODEL)
    stored = content["head"]
    head = Blend.of_content(stored) if "exponents" in stored else Head(**stored)
    sets = ConformalSets.of_content(content["sets"])
    fitted = FittedHead(head, content["temperature"], content["choice"], sets)
    labelled = Labelled.of_content(content["labelled"])
    return MapModel(encoder, fitted, _legend(content["legend"]), labelled).to(device)


def encoder_content(encoder: Encoder) -> dict[str, Any]:
    """An encoder as plain numbers and tensors, for a file."""
    pretraining, familiarity = encoder.mapper.legend, encoder.mapper.familiarity
    return {
        "network": encoder.mapper.recipe.model_dump(mode="json"),
        "pretraining": [pretraining.name, list(pretraining.classes), list(pretraining.colours)],
        "weights": {name: value.detach().cpu() for name, value in encoder.mapper.state_dict().items()},
        "familiarity": {} if familiarity is None else familiarity.tensors(),
        "scaling": _parts(encoder.scaling),
        "by_scene": {scene: _numbers(own) for scene, own in encoder.by_scene.items()},
        "sensor": asdict(encoder.sensor),
        "level": encoder.level,
        "dates": encoder.dates,
    }


def encoder_of(content: Any, path: Path) -> Encoder:
    """From what `encoder_content` gave; refuses a network that this version does not know."""
    recipe = ModelRecipe.from_dict({**content["network"], "pretrained": False}, where=path)
    mapper = Mapper(recipe, _legend(content["pretraining"]))
    try:
        mapper.load_state_dict(content["weights"])
    except RuntimeError as error:
        mend = "fine-tune again with this version, or use the version in run.json"
        raise Refusal(path, "weights", "a network of another shape", "that of this version", mend) from error
    mapper.familiarity = Familiarity.of_tensors(content["familiarity"])
    bands = tuple(Band(**band) for band in content["sensor"]["bands"])
    return Encoder(
        mapper.eval(), _scaling(content["scaling"]), Sensor(**{**content["sensor"], "bands": bands}),
        content["level"], content["dates"], {scene: BandRange(*parts) for scene, parts in content["by_scene"].items()},
    )  # fmt: skip


def read_encoder(folder: str | Path) -> Encoder:
    """The encoder of a model of classes or of a quantity."""
    return encoder_of(read_content(folder, FORMAT, VALUE_FORMAT), Path(folder) / MODEL)


def read_content(folder: str | Path, *formats: str) -> Any:
    """What lies in model.pt of a folder, where it is of one of some formats.

    Raises
    ------
    Refusal
        no such folder, a damaged file, or one that is something else
    """
    path = Path(folder) / MODEL
    if not path.is_file():
        raise Refusal(folder, MODEL, "no such file", "a folder that `terraficta finetune run` wrote", "check the path")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damage provokes
        raise Refusal(path, "file", type(error).__name__, "a whole model.pt", "copy it again, or fine-tune") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found not in formats:
        mend = "hand over the --out folder of `terraficta finetune run`"
        raise Refusal(path, "format", found or "another kind of file", " or ".join(formats), mend)
    return content


def _numbers(spread: BandRange) -> list[Tensor]:
    return [value.cpu() for value in vars(spread).values()]


def _parts(scaling: Scaling) -> list[Any]:
    return [_numbers(scaling.common), scaling.absolute]


def _scaling(parts: list[Any]) -> Scaling:
    common = BandRange(*parts[0])
    return Scaling(common, common, parts[1])


def _legend(parts: list[Any]) -> Legend:
    name, classes, colours = parts
    return Legend(name, tuple(classes), tuple(colours))
