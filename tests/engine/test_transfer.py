"""The loop: against a loop written out, its reports, its starts, divergence."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from backbones import IMAGE, alexnet, small_dense
from jaxstyle.engine.plan import CPU_CHUNK
from jaxstyle.engine.run import DivergedError
from jaxstyle.engine.scales import scale_sizes
from jaxstyle.engine.starts import starting_image
from jaxstyle.networks.densenet import DenseNet
from jaxstyle.objective import LossTerms, Objective, Weights, loss_terms, make_targets
from jaxstyle.ops.resize import cover, resize
from jaxstyle.solvers import Adam, Info, Lbfgs
from marks import slow
from tiny import picture
from transfers import CONTENT, NET, OBJECTIVE, SOLVERS, STYLE, WEIGHTS, same_terms, transfer


@functools.partial(jax.jit, static_argnums=3)
def value_and_grad(image, content, styles, objective=OBJECTIVE, weights=WEIGHTS):
    targets = make_targets(NET, content, styles, objective=objective, mix=weights.mix)

    def total(image):
        terms = loss_terms(image, NET, targets, weights, objective=objective)
        return terms.total, terms

    return jax.value_and_grad(total, has_aux=True)(image)


def written_out(image, content, styles, steps, weights=WEIGHTS):
    """Adam in NumPy's float64; only the gradient is JAX's. The images after each step, and the terms before."""
    rate, b1, b2 = Adam().rate, 0.9, 0.99
    x, path, terms = np.asarray(image, np.float64), [], []
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, steps + 1):
        (_, found), g = value_and_grad(jnp.asarray(x, jnp.float32), content, styles, OBJECTIVE, weights)
        terms.append(found)
        m, v = b1 * m + (1 - b1) * np.float64(g), b2 * v + (1 - b2) * np.float64(g) ** 2
        x = np.clip(x - rate * m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + 1e-8), 0, 1)
        path.append(x)
    return path, LossTerms(*(np.array(field) for field in zip(*terms, strict=True)))


# ------------------------------------------------------------------------------------------------------ the loop


def test_a_single_scale_is_the_loop_written_out():
    path, terms = written_out(CONTENT, CONTENT, [STYLE], 6)
    result = transfer()
    assert result.image.shape == CONTENT.shape and result.image.dtype == jnp.float32
    np.testing.assert_allclose(result.image, path[-1], atol=1e-3)
    same_terms(result.losses, terms)
    assert all(x.shape == (6,) for x in result.losses)
    assert result.evaluations == 6
    same_terms(result.final, value_and_grad(result.image, CONTENT, [STYLE])[0][1], 1e-5)
    assert result.final.total < result.losses.total[0]


def test_several_scales_are_one_loop_after_the_other():
    content, style = picture(1, 46, 64), picture(2, 18, 40)
    sizes = scale_sizes(46, 64, min_size=40)
    assert sizes == [(32, 48), (46, 64)]
    # The style keeps its size relative to the content, but for the 16 pixels that it needs at least.
    small, small_style = resize(content, 32, 48), resize(style, 16, 30)
    path, first = written_out(small, small, [small_style], 5)
    # What the coarser scale could not hold of the content comes back.
    details = content - resize(small, 46, 64)
    begin = jnp.clip(resize(jnp.asarray(path[-1], jnp.float32), 46, 64) + details, 0, 1)
    path, second = written_out(begin, content, [style], 5)
    seen = []
    result = transfer(content, style, steps=5, min_size=40, on_progress=seen.append)
    np.testing.assert_allclose(result.image, path[-1], atol=2e-3)
    same_terms(result.losses, LossTerms(*map(np.concatenate, zip(first, second, strict=True))), 5e-3)
    assert [state.image.shape for state in seen] == [(*size, 3) for size in sizes]
    assert result.evaluations == 10


@pytest.mark.parametrize("solver", [*SOLVERS[:2], slow(SOLVERS[2])])
def test_the_same_call_gives_the_same_picture_to_the_bit(solver):
    a, b = (transfer(solver=solver, steps=8, init="noise") for _ in range(2))
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.losses.total, b.losses.total)
    assert a.evaluations == b.evaluations >= 8
    assert a.image.min() >= 0 and a.image.max() <= 1
    assert a.final.total < 0.9 * a.losses.total[0]
    same_terms(a.final, value_and_grad(a.image, CONTENT, [STYLE])[0][1], 1e-4)


def test_average_is_the_corrected_running_mean_of_the_images():
    decay = 0.5
    path, _ = written_out(CONTENT, CONTENT, [STYLE], 5)
    shares = np.array([decay ** (len(path) - 1 - i) for i in range(len(path))])
    expected = sum(share * image for share, image in zip(shares, path, strict=True)) / shares.sum()
    result = transfer(steps=5, average=decay)
    np.testing.assert_allclose(result.image, expected, atol=1e-3)
    assert np.abs(result.image - transfer(steps=5).image).max() > 0.005
    np.testing.assert_allclose(result.losses.total, transfer(steps=5).losses.total, rtol=1e-6)
    same_terms(result.final, value_and_grad(result.image, CONTENT, [STYLE])[0][1], 1e-5)
    np.testing.assert_allclose(transfer(steps=1, average=decay).image, path[0], atol=1e-4)


def test_several_styles_are_mixed_by_their_weights():
    styles = [STYLE, picture(3)]
    for mix in (None, np.float32([3, 1])):
        weights = WEIGHTS._replace(mix=mix)
        _, terms = written_out(CONTENT, CONTENT, styles, 3, weights=weights)
        same_terms(transfer(styles=styles, steps=3, weights=weights).losses, terms)
    one = transfer(styles=styles, steps=2, weights=WEIGHTS._replace(mix=np.float32([1, 0])))
    np.testing.assert_allclose(one.image, transfer(steps=2).image, atol=1e-4)
    np.testing.assert_array_equal(transfer(styles=(STYLE,), steps=2).image, transfer(steps=2).image)


def test_numpy_pictures_and_other_float_types_are_taken():
    expected = transfer(steps=2).image
    np.testing.assert_array_equal(transfer(np.asarray(CONTENT), [np.asarray(STYLE)], steps=2).image, expected)
    np.testing.assert_array_equal(transfer(np.float64(CONTENT), np.float64(STYLE), steps=2).image, expected)


@pytest.mark.slow
def test_bfloat16_convolutions_give_nearly_the_same_losses():
    half, full = transfer(network=NET.with_options(dtype=jnp.bfloat16)), transfer()
    assert half.image.dtype == jnp.float32
    np.testing.assert_allclose(half.losses.total, full.losses.total, rtol=0.1)
    assert half.final.total < half.losses.total[0]


@pytest.mark.parametrize("objective", [Objective((), ("relu1_1",)), Objective(("relu2_1",), ())])
def test_texture_and_reconstruction_need_one_kind_of_layers_only(objective):
    result = transfer(objective=objective, init="noise", steps=12)
    assert result.final.total < 0.9 * result.losses.total[0]
    assert (result.losses.content == 0).all() == (not objective.content_layers)
    assert (result.losses.style == 0).all() == (not objective.style_layers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "solver"),
    [("alexnet", jaxstyle.Adam()), slow("small", jaxstyle.Lbfgs())],
)
def test_transfer_takes_the_layers_of_the_network(network: str, solver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net = alexnet() if network == "alexnet" else small_dense()[1]
    monkeypatch.setattr(DenseNet, "content_layers", ("dense2",))
    monkeypatch.setattr(DenseNet, "style_layers", ("relu0", "dense1"))
    own = jaxstyle.Objective(net.module.content_layers, net.module.style_layers)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        run = functools.partial(
            jaxstyle.transfer, IMAGE, picture(7, 50, 60), network=net, solver=solver, steps=4, min_size=72
        )
        given, named = run(), run(objective=own)
        swept = jaxstyle.sweep(IMAGE, picture(7, 50, 60), network=net, solver=solver, steps=4, min_size=72)
    assert np.isfinite(given.losses.total).all() and given.final.total < given.losses.total[0]
    np.testing.assert_array_equal(given.image, named.image)
    np.testing.assert_allclose(swept.image, given.image, atol=2e-3)


# -------------------------------------------------------------------------------------------------------- starts


def test_the_first_losses_are_those_of_the_start():
    key = jax.random.key(5)
    given = picture(7, 20, 20)
    for init in ("content", "noise", "style", "blur", given):
        image = starting_image(key, init, CONTENT, [STYLE], CONTENT.shape[:2])
        losses = transfer(init=init, key=key, steps=1).losses
        same_terms(LossTerms(*(x[0] for x in losses)), value_and_grad(image, CONTENT, [STYLE])[0][1], 1e-4)
    np.testing.assert_array_equal(cover(STYLE, 32, 40), STYLE)


def test_the_key_decides_the_noise_and_nothing_else():
    noise = functools.partial(transfer, init="noise", steps=1)
    a, b = noise(key=jax.random.key(1)).image, noise(key=jax.random.key(2)).image
    assert np.abs(a - b).max() > 0.1
    np.testing.assert_array_equal(a, noise(key=jax.random.key(1)).image)
    np.testing.assert_array_equal(noise().image, noise(key=jax.random.key(0)).image)
    one, other = (transfer(steps=1, key=jax.random.key(seed)).image for seed in (1, 2))
    np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------------------------------------- progress


def test_progress_counts_steps_and_scales_in_order():
    content, style = picture(1, 46, 64), picture(2, 18, 40)
    seen = []
    result = transfer(content, style, steps=7, min_size=40, report_every=3, on_progress=seen.append)
    assert [(state.scale, state.step) for state in seen] == [(1, 3), (1, 6), (1, 7), (2, 3), (2, 6), (2, 7)]
    assert all((state.steps, state.scales) == (7, 2) for state in seen)
    assert [len(state.losses.total) for state in seen] == [3, 6, 7, 10, 13, 14]
    for state in seen:
        np.testing.assert_array_equal(state.losses.total, result.losses.total[: len(state.losses.total)])
        assert state.image.min() >= 0 and state.image.max() <= 1
    np.testing.assert_array_equal(seen[-1].image, result.image)
    assert np.abs(seen[4].image - seen[3].image).max() > 0


@pytest.mark.parametrize("solver", [Adam(), Lbfgs()])
def test_looking_more_often_changes_nothing(solver):
    seen = []
    rare = transfer(solver=solver, steps=6)
    often = transfer(solver=solver, steps=6, report_every=1, on_progress=seen.append)
    np.testing.assert_array_equal(rare.image, often.image)
    np.testing.assert_array_equal(rare.losses.total, often.losses.total)
    assert [state.step for state in seen] == [1, 2, 3, 4, 5, 6]
    usual = []
    transfer(solver=solver, steps=12, on_progress=usual.append)
    assert [state.step for state in usual] == [CPU_CHUNK, 12]


def test_what_a_callback_raises_ends_the_transfer():
    def stop(state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(on_progress=stop)


# ------------------------------------------------------------------------------------------------------ divergence


@dataclass(frozen=True)
class Faulty:
    """Lightens the image by a hundredth each step; after `at` steps its pixels are `value`."""

    at: int
    value: float
    has_inner_loop = False
    usual_steps = 3

    def init(self, value_and_grad, image):
        return jnp.zeros((), jnp.int32)

    def step(self, value_and_grad, image, state):
        (_, terms), _ = value_and_grad(image)
        image = jnp.where(state + 1 == self.at, self.value, image + 0.01)
        return image, state + 1, Info(terms, jnp.asarray(1))


DARK = 0.5 * CONTENT


@pytest.mark.parametrize(
    ("fault", "step", "good"),
    [
        # Looks after 3, 6, 9 steps. The image after 7 steps is no number: found at the look after 9, and the last
        # look before it was after 6.
        (Faulty(7, np.nan), 7, 6),
        (Faulty(6, np.nan), 6, 3),  # the image that the look after 6 steps would have shown
        (Faulty(6, 1e30), 6, 3),  # a finite image, shown after 6 steps; its loss is found infinite after 9
        (Faulty(1, np.nan), 1, 0),
        (Faulty(9, np.nan), 9, 6),  # after the last step: no loss was ever taken there
    ],
)
def test_divergence_is_raised_with_the_last_good_image_and_its_step(fault, step, good):
    seen = []
    with pytest.raises(DivergedError) as caught:
        transfer(DARK, steps=9, solver=fault, report_every=3, on_progress=seen.append)
    error = caught.value
    assert error.step == step and str(step) in str(error) and str(error).isprintable()
    np.testing.assert_allclose(error.image, DARK + 0.01 * good, atol=1e-5)
    assert all(np.isfinite(state.losses.total).all() for state in seen)
    assert np.isfinite(error.losses.total[:step]).all()
    assert not np.isfinite(error.losses.total[step:]).any()


@pytest.mark.parametrize("solver", [*SOLVERS[:2], slow(SOLVERS[2])])
def test_an_infinite_first_loss_is_divergence_at_step_0(solver):
    faint = jnp.full((32, 40, 3), 0.45)  # features near zero, of which those of noise are a large multiple
    with pytest.raises(DivergedError) as caught:
        transfer(faint, weights=Weights(content=3e38), solver=solver, init="noise")
    assert caught.value.step == 0
    assert np.isfinite(caught.value.image).all()
    assert caught.value.image.min() >= 0 and caught.value.image.max() <= 1
