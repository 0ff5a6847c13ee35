"""Uses: what areas are for, whatever single pixels are covered with."""

import pytest
import torch

from terraficta.synth.labels.use import REACH_M, ROOFS, uses_of
from terraficta.synth.scene.material.vegetation import SKYLIGHT, shaded
from terraficta.synth.types.legend import TERRAFICTA, USES


def land(size: int = 60, **share: float) -> torch.Tensor:
    """Class mass of even ground."""
    mass = torch.zeros(1, len(TERRAFICTA), size, size)
    for name, value in share.items():
        mass[:, TERRAFICTA.index(name)] = value
    return mass


@pytest.mark.parametrize("gsd_m", [0.5, 10.0, 30.0, 300.0])
@pytest.mark.parametrize(
    ("cover", "use"),
    [
        ({"building": 0.15, "park": 0.6, "road": 0.1, "deciduous_forest": 0.15}, "settlement"),
        ({"building": 0.02, "pasture": 0.98}, None),
        ({"road": 0.7, "grassland": 0.3}, "settlement"),
        ({"cropland": 0.5, "fallow": 0.3, "shrubland": 0.2}, "farmland"),
        ({"paddy": 0.8, "building": 0.1, "road": 0.1}, "settlement"),
        ({"pasture": 1.0}, None),
    ],
)
def test_even_ground_is_of_one_use(gsd_m: float, cover: dict[str, float], use: str | None) -> None:
    found = uses_of(land(**cover), gsd_m)
    assert found.shape == (1, len(USES), 60, 60)
    for number, name in enumerate(USES):
        assert bool((found[:, number] == float(name == use)).all()), name


def test_a_village_ends_where_its_roofs_are_too_few() -> None:
    """East of x = 30 a quarter of the ground is roofs: it is settled as far west as the share within reach says."""
    mass = land(grassland=1.0)
    mass[:, TERRAFICTA.index("building"), :, 30:], mass[:, TERRAFICTA.index("grassland"), :, 30:] = 0.25, 0.75
    reach = 8
    found = uses_of(mass, REACH_M / reach)[0, 0, 30]
    columns = [x for x in range(60) if (min(x + reach, 59) - max(30, x - reach) + 1) / (2 * reach + 1) >= ROOFS / 0.25]
    assert found.nonzero().flatten()[0] == min(x for x in columns if x > 10)
    assert bool((found[30:52] == 1).all())


def test_water_in_town_is_water() -> None:
    mass = land(building=0.3, road=0.7)
    mass[..., 20:25, :] = 0
    mass[:, TERRAFICTA.index("water"), 20:25] = 1
    found = uses_of(mass, 10.0)
    assert not bool(found[:, :, 20:25].any())
    assert bool((found[:, 0, 30:] == 1).all())


def test_gaps_are_dark_where_trees_stand_close() -> None:
    """No trees, no shadow; a closed stand leaves skylight; grass throws none."""
    crown = torch.tensor([0.0, 0.5, 1.0])
    assert shaded(crown, torch.ones(3)).tolist() == pytest.approx([1.0, 0.5 + 0.5 * SKYLIGHT, SKYLIGHT])
    assert shaded(crown, torch.zeros(3)).tolist() == [1.0, 1.0, 1.0]
