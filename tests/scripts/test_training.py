"""The programs that train the compact network, on pictures and networks small enough for every run."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from jaxstyle.defaults import STYLE_LAYERS
from tiny import TINY, network, picture

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
Scripts: TypeAlias = tuple[ModuleType, ModuleType, ModuleType]
ARGS = argparse.Namespace(batch=8, seed=0, deep_weight=1.0, hidden_weight=1.0, crooked_weight=0.002)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripts]:
    """The programs, which are no package, under the settings that a user runs them with."""
    monkeypatch.syspath_prepend(SCRIPTS)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        import recycling
        import train_compact
        import training_crops

        yield train_compact, training_crops, recycling
    for name in ("train_compact", "training_crops", "recycling"):
        del sys.modules[name]


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    arrays = [picture(i, height, width) for i, (height, width) in enumerate(sizes)]
    return [Image.fromarray(np.asarray(np.asarray(array) * 255, np.uint8)) for array in arrays]


def test_large_pictures_are_stacked_whole_and_in_parts(scripts: Scripts) -> None:
    stacked = scripts[1].stack(pictures((30, 40), (64, 48)), side=40)
    assert stacked.pixels.shape == (6, 40, 40, 3)
    assert stacked.sizes.tolist() == [[30, 40], [40, 30], *[[40, 40]] * 4]
    assert not stacked.pixels[0, 30:].any()


def test_sampling_keeps_mirrors_and_averages(scripts: Scripts) -> None:
    def sampled(*where: float) -> np.ndarray:
        return np.asarray(scripts[1].sampling(*map(jnp.float32, where), 8, 12) @ jnp.arange(12.0))

    np.testing.assert_allclose(sampled(0, 1, 12), np.arange(8), atol=1e-5)
    np.testing.assert_allclose(sampled(-2, 1, 4), [1, 0, 0, 1, 2, 3, 3, 2], atol=1e-5)
    np.testing.assert_allclose(sampled(0, 4, 12)[:3].mean(), 5.5, atol=0.1)


def test_crops_are_images_and_no_two_alike(scripts: Scripts) -> None:
    stacked = scripts[1].stack(pictures((30, 40), (40, 40)), side=40)
    make = jax.jit(scripts[1].random_batch, static_argnums=(2, 3))
    images = make(jax.random.key(0), stacked, 24, 32)
    assert images.shape == (24, 32, 32, 3)
    assert images.min() >= 0 and images.max() <= 1
    assert len(np.unique(np.asarray(images).reshape(24, -1), axis=0)) == 24
    np.testing.assert_array_equal(images, make(jax.random.key(0), stacked, 24, 32))
    assert not np.array_equal(images, make(jax.random.key(1), stacked, 24, 32))


@pytest.mark.slow
def test_steps_of_training_explain_more(scripts: Scripts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    train, crops, _ = scripts

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


@pytest.mark.slow
def test_recycled_channels_fire_and_change_nothing(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    train, _, recycling = scripts
    monkeypatch.setattr(train, "STUDENT", TINY)
    batches = list(jax.random.uniform(jax.random.key(1), (2, 8, 32, 32, 3)))
    params = network(seed=1).params
    for channels in ({"conv2_1": [1], "conv3_1": [0, 5, 6]}, None):  # and then those that hardly fire
        for name, which in (channels or recycling.dead_channels(train.student_features, params, batches)).items():
            params[name]["bias"] = params[name]["bias"].at[np.asarray(which)].set(-100.0)
    rng = np.random.default_rng(0)
    heads = {
        name: train.Head(jnp.asarray(rng.normal(size=(8, 5)), jnp.float32), jnp.ones(5))
        for name in ("relu3_1", "relu3_1:own", "relu5_1")
    }
    state = params, heads
    solver = optax.inject_hyperparams(optax.adam)(learning_rate=1e-2)
    _, opt_state = solver.update(jax.tree.map(jnp.ones_like, state), solver.init(state))
    before = train.Training(state, opt_state, state, {})
    after = recycling.recycle(jax.random.key(0), train.student_features, before, solver, batches)

    def predictions(state: object, images: jax.Array) -> dict[str, jax.Array]:
        features = train.student_features(state[0], images, ("relu3_1", "relu5_1"))
        return {name: head(features[name[:7]]) for name, head in state[1].items()}

    unseen = jax.random.uniform(jax.random.key(2), (4, 32, 32, 3))
    old, new = (jax.jit(predictions)(training.state, unseen) for training in (before, after))
    for name in heads:
        np.testing.assert_allclose(new[name], old[name], atol=1e-5)

    dead = recycling.dead_channels(train.student_features, state[0], batches)
    assert dead["conv2_1"][1] and dead["conv3_1"][[0, 5, 6]].all() and not dead["conv3_1"].all()
    squares = recycling.averaged(recycling.activations, train.student_features, after.state[0], batches)
    inputs = recycling.averaged(recycling.moments, train.student_features, after.state[0], batches)
    for name, channels in dead.items():
        np.testing.assert_allclose(squares[name][1][channels], 1, rtol=1e-3)
        mean, products = inputs[name]
        covariance = products - np.outer(mean, mean)
        correlation = covariance / np.sqrt(np.outer(*[np.diag(covariance)] * 2))
        np.testing.assert_allclose(correlation[channels], np.eye(len(mean))[channels], atol=0.01)

    # What comes in and goes out is new, and Adam knows nothing of it; all else is as it was.
    mask = recycling.around(state, dead)
    assert mask[0]["conv3_1"]["kernel"].sum() == 9 * (4 * 8 - (~dead["conv2_1"]).sum() * (~dead["conv3_1"]).sum())
    moments = after.opt_state.inner_state[0].mu
    for new, old, moment, touched in zip(*map(jax.tree.leaves, (after.state, state, moments, mask)), strict=True):
        np.testing.assert_array_equal(new[~touched], old[~touched])
        np.testing.assert_allclose(moment, np.where(touched, 0, 0.1), rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, after.state, after.average)
