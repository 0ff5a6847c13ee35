"""Few-label tasks, dealt from scenes that the test fabricates."""

import numpy as np
import pytest
import torch

from terraficta.pretrain.episode import Episode, _cropped, deal_episode, misread
from terraficta.pretrain.loss import episode_loss
from terraficta.pretrain.model import Mapper
from terraficta.pretrain.recipe import EpisodeRecipe, ModelRecipe
from terraficta.pretrain.stream import Batch
from terraficta.synth.types.key import SceneKey
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.sensor import read_sensor

SIZE = 32


def fabricated(seed: int = 0, scenes: int = 4) -> Batch:
    """Stripes of five classes, each with a spectrum of its own."""
    rng = np.random.default_rng(seed)
    sensor = read_sensor("landsat5")
    spectra = rng.uniform(0.02, 0.5, (len(TERRAFICTA), len(sensor)))
    label = (np.add.outer(np.arange(SIZE), np.arange(SIZE)) // 6) % 5
    label = np.stack([np.roll(label, int(rng.integers(SIZE)), 1) for _ in range(scenes)])
    image = spectra[label].transpose(0, 3, 1, 2) + rng.normal(0, 0.003, (scenes, len(sensor), SIZE, SIZE))
    mass = np.eye(len(TERRAFICTA))[label].transpose(0, 3, 1, 2)
    return Batch(
        torch.tensor(image, dtype=torch.float32),
        torch.ones(scenes, SIZE, SIZE, dtype=torch.bool),
        torch.tensor(mass, dtype=torch.float32),
        torch.tensor((label == 2) * (1 + np.arange(scenes)[:, None, None])),
        torch.tensor(np.stack([label == 1, label == 3], 1), dtype=torch.float32),
        sensor,
        "BOA",
    )


def test_same_key_same_episode() -> None:
    one, two = (deal_episode(EpisodeRecipe(), fabricated(), SceneKey(3, 9)) for _ in range(2))
    assert torch.equal(one.views, two.views)
    assert [t.support.tolist() for t in one.tasks] == [t.support.tolist() for t in two.tasks]


@pytest.mark.parametrize("together", [0.0, 1.0])
def test_tasks_are_what_they_say(together: float) -> None:
    recipe = EpisodeRecipe(together=together, labels=(1, 10))
    dealt = 0
    for index in range(30):
        episode = deal_episode(recipe, fabricated(index), SceneKey(1, index))
        assert torch.isfinite(episode.views).all()
        for task in episode.tasks:
            dealt += 1
            classes = task.mass.shape[1]
            assert 2 <= classes <= 8
            assert (task.mass.sum(1) <= 1 + 1e-5).all()
            assert task.given.shape == (len(task.support), classes)
            per_class = task.given.sum(0)
            assert len(task.support) <= 11 * classes
            assert per_class.sum() == len(task.support)
            scene = episode.pixels // SIZE**2
            assert len(torch.unique(scene[task.support])) <= (3 if together else 1)
            if not together:
                assert torch.equal(torch.unique(scene[task.query]), torch.unique(scene[task.support]))
            assert int(task.query.max()) < int(task.support.min()), "scored pixels come first"
    assert dealt > 20


def test_scenes_apart() -> None:
    """Half of the tasks over several scenes are scored only where no label was given."""
    shared, apart = 0, 0
    for index in range(40):
        episode = deal_episode(EpisodeRecipe(together=1.0), fabricated(index), SceneKey(4, index))
        scene = episode.pixels // SIZE**2
        for task in episode.tasks:
            both = set(scene[task.query].tolist()) & set(scene[task.support].tolist())
            shared, apart = shared + bool(both), apart + (not both)
    assert shared > 8
    assert apart > 8


def test_truth_belongs_to_its_pixels() -> None:
    """Mass of scored pixels, and labels given, against the scenes themselves: stripes of class by position."""
    batch = fabricated(3)
    episode = deal_episode(EpisodeRecipe(generalise=0.0), batch, SceneKey(7, 1))
    turned = [k for k in range(8) if torch.equal(_oriented(batch.mass, k), _mass_by_brute_force(batch, episode, k))]
    assert turned, "one of the eight orientations must explain every scored pixel"


def _oriented(mass: torch.Tensor, number: int) -> torch.Tensor:
    turned = torch.rot90(mass, number % 4, (-2, -1))
    return turned.flip(-1) if number >= 4 else turned


def _mass_by_brute_force(batch: Batch, episode: Episode, number: int) -> torch.Tensor:
    """The oriented mass with the episode's truth written into its scored pixels."""
    mass = _oriented(batch.mass, number).clone()
    for pixel, truth in zip(episode.pixels.tolist(), episode.mass, strict=False):
        mass[pixel // SIZE**2, :, pixel % SIZE**2 // SIZE, pixel % SIZE] = truth
    return mass


def test_most_given_labels_are_true() -> None:
    """By the scored pixels that happen to be labelled too."""
    right, given = 0.0, 0
    for index in range(40):
        episode = deal_episode(EpisodeRecipe(generalise=0.0), fabricated(index), SceneKey(2, index))
        for task in episode.tasks:
            row = {int(episode.pixels[q]): n for n, q in enumerate(task.query.tolist())}
            for pixel, label in zip(episode.pixels[task.support].tolist(), task.given, strict=True):
                if pixel in row:
                    right, given = right + float((task.mass[row[pixel]] * label).sum()), given + 1
    assert given > 200
    assert 0.9 < right / given < 1.0, "a few labels are wrong, and only a few"


def test_lottery_looks_change_colours_and_keep_tasks() -> None:
    """The same key deals the same tasks in both looks; only what the network sees differs."""
    plain, drawn = (
        deal_episode(EpisodeRecipe(lottery=share, relative=0.0), fabricated(), SceneKey(5, 2)) for share in (0.0, 1.0)
    )
    assert torch.equal(plain.pixels, drawn.pixels)
    assert all(torch.equal(a.mass, b.mass) for a, b in zip(plain.tasks, drawn.tasks, strict=True))
    assert plain.mass.sum() > 0
    assert drawn.mass.sum() == 0, "colours of the lottery teach no names"
    assert torch.isfinite(drawn.views).all()
    assert (plain.views - drawn.views).abs().mean() > 0.1


def test_misread_images_keep_what_is_dark_and_what_is_bright() -> None:
    image = fabricated().image.clamp(min=0)
    sensor = read_sensor("landsat5")
    other = misread(image, sensor.centre_nm, 1.0, np.random.default_rng(0))
    assert (other - image).abs().mean() > 0.005
    for n in range(len(image)):
        for band in range(len(sensor)):
            pair = torch.stack([image[n, band].flatten(), other[n, band].flatten()])
            assert torch.corrcoef(pair)[0, 1] > 0.95
    assert torch.allclose(misread(image, sensor.centre_nm, 0.0, np.random.default_rng(0)), image, atol=1e-6)


def test_relative_tasks_hide_calibration() -> None:
    episode = deal_episode(EpisodeRecipe(relative=1.0), fabricated(), SceneKey(0, 0))
    assert (episode.views[:, 1] == 0).all()
    episode = deal_episode(EpisodeRecipe(relative=0.0), fabricated(), SceneKey(0, 0))
    assert (episode.views[:, 1] != 0).any()


def test_learning_to_learn_learns() -> None:
    """Forty steps on one kind of scene must teach the mapper something."""
    torch.manual_seed(0)
    model = ModelRecipe(spectral=16, context=16, encoder_args={"dims": (16, 16, 16, 16), "depths": (1, 1, 1, 1)})
    mapper = Mapper(model, TERRAFICTA)
    optimiser = torch.optim.AdamW(mapper.parameters(), lr=3e-3)
    losses = []
    for step in range(40):
        episode = deal_episode(EpisodeRecipe(scenes=2), fabricated(step % 5, scenes=2), SceneKey(0, step))
        loss = episode_loss(mapper, episode, rehearsal=1.0, dense=0.3)
        optimiser.zero_grad()
        loss["loss"].backward()
        optimiser.step()
        losses.append(float(loss["episode"]))
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def test_parts_of_scenes_keep_image_and_truth_together() -> None:
    """The same part of image, truth and all else: a picture of pixel numbers says which."""
    batch = fabricated()
    number = torch.arange(SIZE * SIZE).view(1, 1, SIZE, SIZE)
    marked = Batch(
        number.expand(4, len(batch.sensor), -1, -1), batch.valid, number.expand(4, len(TERRAFICTA), -1, -1),
        number[0].expand(4, -1, -1), number.expand(4, 2, -1, -1), batch.sensor, "DN",
    )  # fmt: skip
    corners = set()
    for index in range(20):
        part = _cropped(marked, 24, np.random.default_rng(index))
        assert part.image.shape[-2:] == part.valid.shape[-2:] == (24, 24)
        assert torch.equal(part.image[:, 0], part.mass[:, 0])
        assert torch.equal(part.image[:, 0], part.material)
        assert torch.equal(part.image[:, 0], part.uses[:, 1])
        corners.add(int(part.material[0, 0, 0]))
    assert len(corners) > 10
