"""The programs that train the compact network, on pictures and networks small enough for every run."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image
from tiny import TINY, network, picture

from jaxstyle.defaults import STYLE_LAYERS

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
ARGS = argparse.Namespace(batch=8, seed=0, deep_weight=1.0, hidden_weight=1.0, crooked_weight=0.002)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The two programs, which are no package, under the settings that a user runs them with."""
    monkeypatch.syspath_prepend(SCRIPTS)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        import train_compact
        import training_crops

        yield train_compact, training_crops
    for name in ("train_compact", "training_crops"):
        del sys.modules[name]


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    arrays = [picture(i, height, width) for i, (height, width) in enumerate(sizes)]
    return [Image.fromarray(np.asarray(np.asarray(array) * 255, np.uint8)) for array in arrays]


def test_large_pictures_are_stacked_whole_and_in_parts(scripts: tuple[ModuleType, ModuleType]) -> None:
    stacked = scripts[1].stack(pictures((30, 40), (64, 48)), side=40)
    assert stacked.pixels.shape == (6, 40, 40, 3)
    assert stacked.sizes.tolist() == [[30, 40], [40, 30], *[[40, 40]] * 4]
    assert not stacked.pixels[0, 30:].any()


def test_sampling_keeps_mirrors_and_averages(scripts: tuple[ModuleType, ModuleType]) -> None:
    def sampled(*where: float) -> np.ndarray:
        return np.asarray(scripts[1].sampling(*map(jnp.float32, where), 8, 12) @ jnp.arange(12.0))

    np.testing.assert_allclose(sampled(0, 1, 12), np.arange(8), atol=1e-5)
    np.testing.assert_allclose(sampled(-2, 1, 4), [1, 0, 0, 1, 2, 3, 3, 2], atol=1e-5)
    np.testing.assert_allclose(sampled(0, 4, 12)[:3].mean(), 5.5, atol=0.1)


def test_crops_are_images_and_no_two_alike(scripts: tuple[ModuleType, ModuleType]) -> None:
    stacked = scripts[1].stack(pictures((30, 40), (40, 40)), side=40)
    make = jax.jit(scripts[1].random_batch, static_argnums=(2, 3))
    images = make(jax.random.key(0), stacked, 24, 32)
    assert images.shape == (24, 32, 32, 3)
    assert images.min() >= 0 and images.max() <= 1
    assert len(np.unique(np.asarray(images).reshape(24, -1), axis=0)) == 24
    np.testing.assert_array_equal(images, make(jax.random.key(0), stacked, 24, 32))
    assert not np.array_equal(images, make(jax.random.key(1), stacked, 24, 32))


def test_steps_of_training_explain_more(
    scripts: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train, crops = scripts

    def noise(key: jax.Array, _: object, count: int, side: int) -> jax.Array:
        return jax.random.uniform(key, (count, side, side, 3))

    monkeypatch.setattr(train, "random_batch", noise)  # it compiles at once
    monkeypatch.setattr(train, "STUDENT", TINY)
    monkeypatch.setattr(train, "SIZES", (32,))
    monkeypatch.setattr(train, "MEASURED", 2)
    net = network(seed=1)
    teacher = train.Teacher(lambda x: jax.vmap(lambda image: net.features(image, STYLE_LAYERS))(x), lambda x: {}, 1.0)
    stacked = crops.stack(pictures((30, 40)), side=40)
    targets = train.measure(teacher, train.measured(stacked, ARGS))
    assert set(targets) == set(STYLE_LAYERS)

    # The maps fit the images that they start from, so others tell what was learnt.
    images, others = noise(jax.random.key(5), stacked, 16, 32).reshape(2, 8, 32, 32, 3)
    start = jax.jit(lambda key: train.initialise(key, teacher, targets, images))(jax.random.key(0))
    losses = jax.jit(lambda state: train.losses(state, others, teacher, targets, 8))
    before = losses(start)
    solver = optax.inject_hyperparams(optax.adam)(learning_rate=1e-2)
    training = train.Training(
        start, solver.init(start), jax.tree.map(jnp.copy, start), {name: jnp.zeros(()) for name in before}
    )
    (step,) = train.compile_steps(training, solver, stacked, teacher, targets, ARGS)
    for i in range(100):
        training = step(training, stacked, np.int32(i), np.float32(1e-2), np.float32(0.9))

    train.save(training.average, tmp_path / "checkpoint.npz", 160)
    after = losses(train.load(tmp_path / "checkpoint.npz"))
    for name in ("relu1_1", "relu2_1", "relu3_1"):
        assert after[name] < 0.9 * before[name]
