"""Training: the loss, the fit of the last convolutions, and a run that is stopped and goes on."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.networks.vgg import VGG
from jaxstyle.superres import train as training
from jaxstyle.superres.bicubic import enlarge_bicubic, resize_bicubic
from jaxstyle.superres.files import initial, load_upscaler
from jaxstyle.superres.network import UpscaleNetwork, Upscaler
from jaxstyle.superres.train import PIXELS, fitted_heads, make_contest, make_steps, patches_of, turns_of

pytest.importorskip("grain")
pytest.importorskip("orbax.checkpoint")

from jaxstyle.training.loop import train
from jaxstyle.training.photos import Photos, crops
from tiny import features, network

SIDE, BATCH = 24, 2
JUDGE = network(module=VGG(depths=(1, 1, 1), widths=(4, 5, 6)))

# As one program each, which compiles faster than their operations do one by one.
degraded = jax.jit(training.degraded, static_argnums=1)
loss_of = jax.jit(training.loss_of, static_argnums=2)
bicubic = jax.jit(enlarge_bicubic, static_argnums=1)
enlarged = jax.jit(Upscaler.enlarge, static_argnums=2)
begin = jax.jit(initial, static_argnums=0)


@pytest.fixture(autouse=True)
def _as_its_user_has_jax():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="module")
def begun():
    module = UpscaleNetwork(width=6, blocks=1, factors=(2, 4))
    return Upscaler(jax.tree.map(np.asarray, begin(module, jax.random.key(0))), module)


@pytest.fixture(scope="module")
def photos():
    """Bars with sharp edges, which bicubic enlargement blurs."""
    rng = np.random.default_rng(3)
    pictures = []
    for _ in range(3):
        bars = np.repeat(rng.integers(0, 2, (1, 12, 3)) * 255, 5, 1)
        pictures.append(np.broadcast_to(bars, (48, 60, 3)).astype(np.uint8).copy())
    return Photos(tuple(pictures), ())


def batches(photos, seed=1):
    return crops(photos, side=SIDE, batch=BATCH, seed=seed)


def test_what_it_learns_from_is_the_picture_made_smaller_in_8_bits(rng):
    image = jnp.asarray(rng.random((12, 8, 3)), jnp.float32)
    small = np.asarray(degraded(image, 4))
    plain = np.clip(np.asarray(resize_bicubic(image, 1 / 4)), 0, 1) * 255
    np.testing.assert_allclose(small * 255, np.rint(plain), atol=1e-4)


def test_the_loss_is_the_mean_absolute_error(begun, photos):
    batch = jnp.asarray(next(batches(photos)), jnp.float32) / 255
    total, terms = loss_of(begun, batch, 2)
    errors = [np.abs(bicubic(degraded(x, 2), 2) - x).mean() for x in batch]  # untrained it is bicubic
    np.testing.assert_allclose([total, terms["pixels"]], np.mean(errors), rtol=1e-4)


def test_a_judge_adds_the_relative_error_of_features(begun, photos):
    batch = jnp.asarray(next(batches(photos)), jnp.float32) / 255
    found = jnp.stack([enlarged(begun, degraded(crop, 2), 2) for crop in batch])
    total, terms = jax.jit(training.likeness)(found, batch, JUDGE)
    errors = []
    for pair in zip(found, batch, strict=True):
        here, there = (features(JUDGE, x, ("relu2_1", "relu3_1")) for x in pair)
        for layer in here:
            one, other = np.asarray(here[layer], np.float64), np.asarray(there[layer], np.float64)
            errors.append(np.sum((one - other) ** 2) / np.sum(other**2))
    np.testing.assert_allclose(terms["features"], np.mean(errors), rtol=1e-3)
    np.testing.assert_allclose(terms["pixels"], np.abs(np.asarray(found) - np.asarray(batch)).mean(), rtol=1e-5)
    np.testing.assert_allclose(total, PIXELS * terms["pixels"] + terms["features"], rtol=1e-5)


def test_of_the_critics_gradient_only_what_the_small_picture_leaves_open_is_followed(rng):
    others = jnp.asarray(rng.normal(size=(2, 24, 16, 3)), jnp.float32)
    pushed = jax.jit(training.pushed, static_argnums=2)
    noise = jnp.asarray(rng.normal(size=(2, 24, 16, 3)), jnp.float32)
    found = pushed(noise + 7.0, others, 4, 0.5)
    np.testing.assert_allclose(np.linalg.norm(found), 0.5 * np.linalg.norm(others), rtol=1e-5)
    np.testing.assert_allclose(found, pushed(3 * noise, others, 4, 0.5), atol=1e-4)  # neither brightness nor certainty
    assert np.abs(np.mean(found, (1, 2))).max() < 0.01
    np.testing.assert_array_equal(pushed(jnp.zeros_like(noise), others, 4, 0.5), 0)


@pytest.mark.slow
def test_a_contest_brings_features_nearer_and_the_critic_learns(photos):
    module = UpscaleNetwork(width=6, blocks=1, factors=(4,))
    begun = Upscaler(jax.tree.map(np.asarray, begin(module, jax.random.key(0))), module)
    batch = np.stack([photo[:36, :36] for photo in photos.pictures])
    state, step = make_contest(begun, JUDGE, rate=1e-3, steps=50)
    looks = []
    for number in range(50):
        state, terms = step(state, batch, number)
        looks.append({name: float(value) for name, value in terms.items()})
    assert looks[-1]["features x4"] < 0.9 * looks[0]["features x4"]
    assert looks[0]["critic x4"] == pytest.approx(np.log(2), abs=0.01) and looks[-1]["critic x4"] < 0.6


def test_the_largest_factor_has_two_turns_of_three():
    assert turns_of((2, 3, 4)) == (4, 4, 2, 4, 4, 3)
    assert turns_of((2,)) == (2,)


def test_steps_reduce_the_loss_of_what_they_see(photos):
    module = UpscaleNetwork(width=6, blocks=1, factors=(4,))
    begun = Upscaler(jax.tree.map(np.asarray, begin(module, jax.random.key(0))), module)
    batch = next(batches(photos))
    state, step = make_steps(begun, rate=1e-3, steps=60)
    for number in range(60):
        state, _ = step(state, batch, number)
    crops = jnp.asarray(batch, jnp.float32) / 255
    before, trained, mean = (
        float(loss_of(Upscaler(params, module), crops, 4)[0]) for params in (begun.params, state.params, state.mean)
    )
    assert trained < 0.7 * before and mean < 0.7 * before


@pytest.mark.slow
@pytest.mark.parametrize("by", ["pixels", "a contest"])
def test_a_run_that_is_stopped_and_goes_on_ends_as_one_that_is_not(begun, photos, tmp_path, by):
    how = {"rate": 1e-3, "steps": 6}

    def run(folder, stop_after=None):
        state, step = make_steps(begun, **how) if by == "pixels" else make_contest(begun, JUDGE, **how)
        taken = itertools.count(1)

        def watched(state, batch, number):
            if stop_after is not None and next(taken) > stop_after:
                raise KeyboardInterrupt
            return step(state, batch, number)

        settings = {"steps": 6}
        return train(
            state,
            watched,
            crops(photos, side=36, batch=BATCH, seed=1),
            steps=6,
            folder=folder,
            settings=settings,
            save_every=2,
        )

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", stop_after=3)
    again = run(tmp_path / "stopped")
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(again), jax.device_get(whole))


def test_fitted_last_convolutions_are_the_least_squares_ones(begun, photos):
    data = list(itertools.islice(batches(photos), 4))
    found, left = fitted_heads(begun, data, ridge=1e-9)
    rows, wanted, before = [], [], 0.0
    patches = jax.jit(lambda upscaler, x: patches_of(upscaler.trunk(x)))
    for batch in data:
        for crop in batch.astype(np.float32) / 255:
            small = degraded(jnp.asarray(crop), 4)
            rows.append(np.asarray(patches(begun, small), np.float64))
            rest = crop - np.asarray(bicubic(small, 4))
            wanted.append(rest.reshape(6, 4, 6, 4, 3).transpose(0, 2, 1, 3, 4).reshape(36, 48).astype(np.float64))
            before += np.sum(rest**2)
    features, wanted = np.concatenate(rows), np.concatenate(wanted)
    best = np.linalg.lstsq(features, wanted, rcond=None)[0]
    after = np.sum((features @ best - wanted) ** 2)
    assert after < 0.9 * before
    np.testing.assert_allclose(left[4], after / before, rtol=2e-3)
    error = sum(
        float(np.sum((enlarged(found, degraded(jnp.asarray(crop), 4), 4) - crop) ** 2))
        for batch in data
        for crop in batch.astype(np.float32) / 255
    )
    np.testing.assert_allclose(error, after, rtol=5e-3)
    assert found.params["first"] is begun.params["first"]


class Narrow(UpscaleNetwork):
    """A network of a few channels, which compiles in less time."""

    width: int = 4
    blocks: int = 1


@pytest.mark.slow
def test_the_command_trains_writes_and_goes_on(call, folder, photos, monkeypatch):
    from PIL import Image

    monkeypatch.setattr("jaxstyle.superres.network.UpscaleNetwork", Narrow)
    (folder / "photos").mkdir()
    for number, pixels in enumerate(photos.pictures):
        Image.fromarray(pixels.repeat(2, 0).repeat(2, 1)).save(folder / "photos" / f"{number}.png")
    words = ("train-upscale", "--photos", "photos", "-o", "own.h5", "--crop", "48", "--batch", "1", "--steps", "1")
    said = call(*words)
    assert said.code == 0 and said.out == "own.h5\n"
    assert "training on 3 photographs" in said.err and "1/1 steps" in said.err and "least squares" not in said.err
    assert call("upscale", "c.png", "-o", "large.png", "--weights", "own.h5", "--quiet") == (0, "large.png\n", "")
    assert load_upscaler("own.h5").module == UpscaleNetwork(width=4, blocks=1)
    said = call(*words, "--seed", "4")
    assert said.code == 2 and "own.training holds a training with seed 0, and this one has 4" in said.err


@pytest.mark.parametrize(
    "words, told",
    [
        (("-o", "x.png"), "the name must end in one of .h5, .hdf5"),
        (("-o", "nowhere/x.h5"), "there is no directory nowhere"),
        (("-o", "x.h5", "--crop", "50"), "--crop is 50; it must be a multiple of 12"),
        (("-o", "x.h5"), "1 photographs in c.png can be used; at least 2 are needed"),
        (("-o", "x.h5", "--from", "s.png"), "1 photographs"),
    ],
)
def test_wrong_input_is_one_line(call, folder, words, told):
    said = call("train-upscale", "--photos", "c.png", "--crop", "48", *words)
    assert said.code == 2 and told in said.err and said.err.count("\n") == 1
    assert not list(folder.glob("*.h5"))


def test_without_grain_one_line_says_what_to_install(call, folder, monkeypatch):
    import builtins
    import sys

    own = builtins.__import__

    def without(name, *arguments, **more):
        if name.split(".")[0] == "grain":
            raise ModuleNotFoundError("No module named 'grain'", name="grain")
        return own(name, *arguments, **more)

    for name in ("jaxstyle.training.loop", "jaxstyle.training.photos"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    said = call("train-upscale", "--photos", "c.png", "-o", "x.h5")
    assert said.code == 2
    assert said.err == "jaxstyle: training needs grain, which is not installed: pip install 'jaxstyle[train]'\n"
