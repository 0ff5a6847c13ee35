"""Lottery looks: other spectra, the same relief, texture and clouds."""

import numpy as np
import pytest
import torch
from torch import Tensor

from terraficta.synth.scene.material.lottery import (
    BRIGHTEST,
    CEILING,
    DARKEST,
    FARMED,
    KINDS,
    draw_lottery,
    lottery_reflectance,
    lottery_spectra,
)
from terraficta.synth.scene.material.plants import VARIANTS
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA

NM = torch.tensor([490.0, 560.0, 665.0, 705.0, 842.0, 1610.0, 2190.0])
CLASSES = len(TERRAFICTA)
SIZE, SCENES = 48, 4
FOREST, WATER, CROPS = (TERRAFICTA.index(name) for name in ("evergreen_forest", "water", "cropland"))


def land(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image, class mass, material and texture: thirds of forest, water and fields, and a cloud."""
    g = torch.Generator().manual_seed(seed)
    kind = torch.empty(SIZE, dtype=torch.int64)
    kind[:16], kind[16:32], kind[32:] = FOREST, WATER, CROPS
    cover = kind.expand(SCENES, SIZE, SIZE)
    mass = torch.nn.functional.one_hot(cover, CLASSES).permute(0, 3, 1, 2).float()
    field = torch.arange(SIZE)[:, None].expand(SIZE, SIZE) // 12
    material = torch.where(cover == CROPS, 1 + CROPS * VARIANTS + field, 0)
    texture = torch.exp(0.2 * torch.randn(SCENES, 1, SIZE, SIZE, generator=g))
    spectrum = torch.rand(CLASSES, len(NM), generator=g) * 0.3 + 0.05
    image = spectrum[cover].permute(0, 3, 1, 2) * texture
    mass[:, :, :6, :6] = 0
    image[:, :, :6, :6] = 0.8
    return image, mass, material, texture


def inner(plane: Tensor, first: int) -> Tensor:
    """The inside of one third, away from its edges and the cloud."""
    return plane[..., 8:, first + 2 : first + 14]


def test_same_record_same_image_and_scenes_do_not_touch_each_other() -> None:
    image, mass, material, _ = land()
    one, other = (lottery_reflectance(image, mass, material, NM, draw_lottery(SceneKey(3, 1), SCENES, CLASSES))
                  for _ in range(2))  # fmt: skip
    assert torch.equal(one, other)
    changed = image.clone()
    changed[0] *= 0.5
    third = lottery_reflectance(changed, mass, material, NM, draw_lottery(SceneKey(3, 1), SCENES, CLASSES))
    assert torch.equal(one[1:], third[1:])
    assert one.shape == image.shape
    assert one.dtype == image.dtype


def test_texture_is_kept_within_a_class() -> None:
    image, mass, material, _ = land()
    new = lottery_reflectance(image, mass, material, NM, draw_lottery(SceneKey(3, 2), SCENES, CLASSES))
    for first in (0, 16):
        old, now = (inner(x, first).log().flatten(2) for x in (image, new))
        for scene in range(SCENES):
            for band in range(len(NM)):
                assert torch.corrcoef(torch.stack([old[scene, band], now[scene, band]]))[0, 1] > 0.97
        assert float(now.std(2).mean() / old.std(2).mean()) == pytest.approx(1.0, abs=0.15)


def test_a_pure_class_has_its_drawn_spectrum_in_the_mean() -> None:
    image, mass, material, _ = land()
    lottery = draw_lottery(SceneKey(3, 3), SCENES, CLASSES)
    new = lottery_reflectance(image, mass, material, NM, lottery)
    haze = torch.as_tensor(lottery.haze)[:, None] * (NM / 500) ** -1.5
    drawn = lottery_spectra(lottery, NM)
    for first, number in ((0, FOREST), (16, WATER)):
        want = (drawn[:, number, 0] + haze).float()
        assert torch.allclose(inner(new, first).mean((2, 3)), want, rtol=0.05, atol=2e-3)


def test_the_order_of_classes_changes_between_lotteries_and_holds_within_a_group() -> None:
    spectra = torch.stack([lottery_spectra(draw_lottery(SceneKey(4, n), SCENES, CLASSES), NM) for n in range(30)])
    assert (spectra >= DARKEST).all()
    assert (spectra <= BRIGHTEST).all()
    brighter = (spectra[:, 0, FOREST, 0] > spectra[:, 0, WATER, 0]).float().mean(0)
    assert ((brighter > 0.2) & (brighter < 0.8)).all()
    log = spectra.log()
    within, between = log.std(1).median(), log[:, 0].std(0).median()
    assert within < 0.5 * between
    redrawn = np.mean([draw_lottery(SceneKey(4, n), SCENES, CLASSES).entry >= CLASSES * (1 + KINDS) for n in range(30)])
    assert redrawn == pytest.approx(0.12, abs=0.02)


def test_farm_parcels_of_a_class_are_of_kinds_and_roads_are_not() -> None:
    image, mass, material, _ = land()
    flat = torch.where(mass.sum(1, keepdim=True) > 0, 0.2, image)
    lottery = draw_lottery(SceneKey(3, 5), SCENES, CLASSES)
    fields = lottery_reflectance(flat, mass, material, NM, lottery)[0, :, :, 40]
    middles = fields[:, [6, 18, 30, 42]].T
    differs = [not torch.allclose(a, b, rtol=0.02) for a, b in zip(middles, middles[1:], strict=False)]
    assert any(differs)
    road = TERRAFICTA.index("road")
    assert "road" not in FARMED
    mass, code = torch.roll(mass, road - CROPS, 1), torch.where(material > 0, material + (road - CROPS) * VARIANTS, 0)
    roads = lottery_reflectance(flat, mass, code, NM, lottery)[0, :, 8:, 40]
    assert torch.allclose(roads, roads[:, :1].expand_as(roads), rtol=1e-4)


def test_clouds_stay() -> None:
    image, mass, material, _ = land()
    new = lottery_reflectance(image, mass, material, NM, draw_lottery(SceneKey(3, 6), SCENES, CLASSES))
    assert torch.equal(new[:, :, :6, :6], image[:, :, :6, :6])
    half = lottery_reflectance(image, 0.5 * mass, material, NM, draw_lottery(SceneKey(3, 6), SCENES, CLASSES))
    assert torch.allclose(half[..., 8:, :], (0.5 * (image + new))[..., 8:, :], atol=1e-3)


@pytest.mark.parametrize("bands", [3, 200])
@pytest.mark.parametrize("level", [0.0, -0.02, 1e-5, 3.0])
def test_any_sensor_and_any_image_give_numbers_within_bounds(bands: int, level: float) -> None:
    _, mass, material, texture = land()
    nm = torch.linspace(350.0, 2600.0, bands)
    image = (level * texture).expand(-1, bands, -1, -1).clone()
    new = lottery_reflectance(image, mass, material, nm, draw_lottery(SceneKey(5, 1), SCENES, CLASSES))
    assert new.isfinite().all()
    covered = (mass.sum(1, keepdim=True) > 0).expand_as(new)
    assert new[covered].min() >= 0
    assert new[covered].max() <= CEILING
