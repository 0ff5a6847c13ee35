"""Legends, and the crosswalks between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terraficta.synth.types.refusal import Refusal

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Legend:
    """The ordered classes of a map.

    Parameters
    ----------
    name : str
        of the legend
    classes : tuple[str, ...]
        class names; class k has the stored label value k + 1, and 0 means unlabelled
    colours : tuple[str, ...]
        one '#rrggbb' a class
    """

    name: str
    classes: tuple[str, ...]
    colours: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            raise Refusal(self.name, "legend", list(self.classes), "every class once", "drop the repeated class")
        if len(self.colours) != len(self.classes):
            raise Refusal(
                self.name, "colours", len(self.colours), f"{len(self.classes)} colours", "give one a class, or none"
            )

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, name: str) -> int:
        """Position of a class; refuses a name that the legend lacks."""
        if name not in self.classes:
            raise Refusal(self.name, "class", name, f"one of {', '.join(self.classes)}", "use a class of the legend")
        return self.classes.index(name)

    def among(self, cover: Tensor, names: Sequence[str]) -> Tensor:
        """Bool: where the class, given by its position, is one of these."""
        import torch  # not above, see `Crosswalk.matrix`

        chosen = torch.zeros_like(cover, dtype=torch.bool)
        if cover.device.type == "cpu":  # numpy compares many at once
            held = chosen.numpy()
            for name in names:
                held |= cover.numpy() == self.index(name)
            return chosen
        for name in names:
            chosen |= cover == self.index(name)
        return chosen

    def rgb(self) -> list[tuple[int, int, int]]:
        """Colours as (r, g, b) in 0..255."""
        return [(int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16)) for c in self.colours]


@dataclass(frozen=True)
class Crosswalk:
    """How the classes of one legend are shared out among those of another.

    Parameters
    ----------
    source, target : Legend
        legends with S and T classes
    shares : tuple[tuple[float, ...], ...]
        (T, S); column s says where class s goes, and sums to at most 1 (the rest becomes unlabelled)
    """

    source: Legend
    target: Legend
    shares: tuple[tuple[float, ...], ...]

    @classmethod
    def from_names(
        cls, source: Legend, target: Legend, names: Mapping[str, str | Sequence[str] | Mapping[str, float]]
    ) -> Crosswalk:
        """Crosswalk from {source class: target class | list of them | {target class: share}}."""
        shares = [[0.0] * len(source) for _ in range(len(target))]
        for name, goal in names.items():
            if isinstance(goal, str):
                goal = {goal: 1.0}
            elif not isinstance(goal, Mapping):
                goal = {g: 1.0 / len(goal) for g in goal}
            if sum(goal.values()) > 1 + 1e-6:
                raise Refusal(
                    f"{source.name} -> {target.name}",
                    name,
                    sum(goal.values()),
                    "shares that sum to at most 1",
                    "scale the shares down",
                )
            for target_name, share in goal.items():
                shares[target.index(target_name)][source.index(name)] = float(share)
        return cls(source, target, tuple(tuple(row) for row in shares))

    def matrix(self, device: torch.device | str = "cpu") -> Tensor:
        """(T, S) float32."""
        import torch  # not above: recipes name classes, and --help reads recipes

        return torch.tensor(self.shares, dtype=torch.float32, device=device)

    def __call__(self, mass: Tensor) -> Tensor:
        """Class mass (..., S, H, W) of the source legend to (..., T, H, W) of the target legend."""
        return (self.matrix(str(mass.device)) @ mass.flatten(-2)).unflatten(-1, mass.shape[-2:])


TERRAFICTA = Legend(
    name="terraficta",
    classes=(
        "needleleaf_forest",
        "evergreen_forest",
        "deciduous_forest",
        "mangrove",
        "plantation",
        "shrubland",
        "grassland",
        "moss_lichen",
        "pasture",
        "wetland",
        "cropland",
        "paddy",
        "fallow",
        "orchard",
        "park",
        "bare_soil",
        "sand",
        "rock",
        "burnt",
        "quarry",
        "snow",
        "water",
        "building",
        "road",
    ),
    colours=(
        "#14532d",
        "#0b7a3b",
        "#3f8f3a",
        "#2f7f6b",
        "#5f7f1f",
        "#a3a04a",
        "#b8d66a",
        "#d8d8b0",
        "#8fce5a",
        "#4fb0a5",
        "#f2c94c",
        "#c4d98a",
        "#c9a66b",
        "#9a8a2f",
        "#74e08a",
        "#b08968",
        "#f3e3a8",
        "#8c8c8c",
        "#3a2f2a",
        "#d9b8a0",
        "#f5fbff",
        "#1f6fd6",
        "#d7263d",
        "#5c5c66",
    ),
)
"""Our own legend: what the generator draws. `road` is all paved ground, `park` all mown or planted green in towns."""

USES = ("settlement", "farmland")
"""what people use an area for, whatever a single pixel of it is covered with; see `labels.use`"""

UPLAND_FORESTS = ("needleleaf_forest", "evergreen_forest", "deciduous_forest")
"""classes of TERRAFICTA: forests that grow by themselves on dry ground; mangroves stand in the tide"""
TIMBER = (*UPLAND_FORESTS, "plantation")
"""the same and what is planted in rows: stands that are felled, burn and die back"""
