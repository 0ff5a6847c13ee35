"""Few-label tasks, dealt from scenes that the test fabricates."""

import numpy as np
import pytest
import torch

from terraficta.pretrain.episode import deal_episode
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
            assert len(task.scenes) == (4 if together else 1)
            assert (task.mass.sum(1) <= 1 + 1e-5).all()
            assert task.given.shape == (len(task.support), classes)
            per_class = task.given.sum(0)
            assert len(task.support) <= 11 * classes
            assert per_class.sum() == len(task.support)
            assert int(task.support.max()) < len(task.scenes) * SIZE * SIZE
    assert dealt > 20


def test_most_given_labels_are_true() -> None:
    right, given = 0.0, 0
    for index in range(40):
        episode = deal_episode(EpisodeRecipe(), fabricated(index), SceneKey(2, index))
        for task in episode.tasks:
            truth = task.mass.permute(0, 2, 3, 1).flatten(0, 2)[task.support]
            right += float((truth * task.given).sum())
            given += len(task.support)
    assert 0.9 < right / given < 1.0, "a few labels are wrong, and only a few"


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
