"""The loop: against a loop written out, its reports, its starts, what it compiles, and what it refuses."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import OBJECTIVE, compilations, network, picture

from jaxstyle import checks, forecast, optimise, programs
from jaxstyle.errors import InputError
from jaxstyle.lanes import rate_of
from jaxstyle.networks import Network
from jaxstyle.networks.densenet import DenseNet
from jaxstyle.objective import LossTerms, Objective, Weights, loss_terms, make_targets
from jaxstyle.optimise import DivergedError
from jaxstyle.programs import Problem, make_runner, program_of
from jaxstyle.solvers import Adam, Info, Lbfgs, OptaxLbfgs
from jaxstyle.starts import cover, resize, scale_sizes, starting_image

NET = network()
CONTENT, STYLE = picture(1), picture(2)  # 32 x 40
WEIGHTS = Weights(content=1.0, style=100.0, variation=0.5)
SOLVERS = [Adam(), Lbfgs(), OptaxLbfgs()]


def transfer(content=CONTENT, styles=STYLE, **options):
    """With the tiny network, at a single scale, a few steps."""
    long_side = max(np.shape(content)[:2])
    usual = {"network": NET, "objective": OBJECTIVE, "weights": WEIGHTS, "steps": 6, "min_size": long_side}
    return optimise.transfer(content, styles, **(usual | options))


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


def same_terms(actual, expected, rtol=2e-3):
    for name, field in actual._asdict().items():
        np.testing.assert_allclose(field, getattr(expected, name), rtol=rtol, atol=1e-10, err_msg=name)


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
    begin = resize(jnp.asarray(path[-1], jnp.float32), 46, 64)
    path, second = written_out(begin, content, [style], 5)
    seen = []
    result = transfer(content, style, steps=5, min_size=40, on_progress=seen.append)
    np.testing.assert_allclose(result.image, path[-1], atol=2e-3)
    same_terms(result.losses, LossTerms(*map(np.concatenate, zip(first, second, strict=True))), 5e-3)
    assert [state.image.shape for state in seen] == [(*size, 3) for size in sizes]
    assert result.evaluations == 10


@pytest.mark.parametrize("solver", [*SOLVERS[:2], pytest.param(SOLVERS[2], marks=pytest.mark.slow)])
def test_the_same_call_gives_the_same_picture_to_the_bit(solver):
    a, b = (transfer(solver=solver, steps=8) for _ in range(2))
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
    assert [state.step for state in usual] == [programs.CPU_CHUNK, 12]


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


@pytest.mark.parametrize("solver", [*SOLVERS[:2], pytest.param(SOLVERS[2], marks=pytest.mark.slow)])
def test_an_infinite_first_loss_is_divergence_at_step_0(solver):
    faint = jnp.full((32, 40, 3), 0.45)  # features near zero, of which those of noise are a large multiple
    with pytest.raises(DivergedError) as caught:
        transfer(faint, weights=Weights(content=3e38), solver=solver, init="noise")
    assert caught.value.step == 0
    assert np.isfinite(caught.value.image).all()
    assert caught.value.image.min() >= 0 and caught.value.image.max() <= 1


# ----------------------------------------------------------------------------------------------------- compilation


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_second_transfer_with_other_weights_compiles_nothing(solver):
    options = {"solver": solver, "steps": 5, "average": 0.5}
    transfer(weights=Weights(1.0, 100.0, 0.5, np.float32([1, 1, 1, 1, 1])), **options)
    content, style = picture(8), picture(9)
    with compilations() as first:
        other = transfer(content, style, weights=Weights(2, 30, 1, np.float32([1, 0, 0, 2, 1])), **options)
    assert first == [0]
    assert np.isfinite(other.losses.total).all()
    with compilations() as counted:  # the counter does count
        jax.jit(lambda x: x + 1)(1.0)
    assert counted == [1]


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_loss_is_traced_once_whatever_the_weights_and_however_often_it_is_evaluated(solver, monkeypatch):
    traces = []

    def counting(*arguments, **options):
        traces.append(1)
        return loss_terms(*arguments, **options)

    monkeypatch.setattr(programs, "loss_terms", counting)
    # Of this test and solver only, so that nothing is compiled yet.
    objective = Objective(("relu3_1",), ("relu1_1", f"relu{3 + SOLVERS.index(solver)}_1"))
    for style in (10.0, 20, np.float32(30)):
        assert transfer(objective=objective, solver=solver, weights=Weights(style=style), steps=3).evaluations >= 3
    assert len(traces) == 1


@pytest.mark.parametrize("solver", [Lbfgs(), OptaxLbfgs()])  # Adam below
def test_the_path_of_accelerators_gives_the_result_of_the_path_of_the_cpu(solver):
    targets = jax.jit(lambda: make_targets(NET, CONTENT, [STYLE], objective=OBJECTIVE))()
    weights = jax.tree.map(jnp.float32, WEIGHTS)
    problem = Problem(NET, targets, weights)
    program = program_of(OBJECTIVE, solver, 0.5)
    runner = make_runner(problem, CONTENT, rate_of(solver), program)
    run, info = runner.advance(runner.first, 5)
    first = jax.tree.map(jnp.array, runner.first)  # its state is used up
    scanned, infos = programs.jitted_chunk(problem, first._replace(state=None), first.state, program=program, count=5)
    np.testing.assert_allclose(scanned.image, run.image, atol=2e-3)
    np.testing.assert_allclose(scanned.mean, run.mean, atol=2e-3)
    assert scanned.taken == run.taken == 5
    np.testing.assert_allclose(infos.terms.total, info.terms.total, rtol=5e-3)
    np.testing.assert_array_equal(infos.evaluations, info.evaluations)
    assert jax.tree.structure(scanned) == jax.tree.structure(run)


def test_a_chunk_takes_nothing_from_the_host_and_keeps_the_images_of_the_run_before():
    problem = Problem(NET, *jax.jit(lambda: (make_targets(NET, CONTENT, [STYLE], objective=OBJECTIVE), WEIGHTS))())
    program = program_of(OBJECTIVE, Adam(), 0.5)
    first = jax.device_put(programs.jitted_first(problem, jnp.array(CONTENT), rate_of(Adam()), program=program))
    with jax.transfer_guard("disallow"):
        run = first
        for _ in range(2):
            before, state = run, run.state
            run, _ = programs.jitted_chunk(problem, run._replace(state=None), state, program=program, count=2)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state) if leaf.size > 1)
    np.testing.assert_array_equal(first.image, CONTENT)
    assert not np.array_equal(before.image, run.image)


def test_on_an_accelerator_a_chunk_is_one_program(monkeypatch):
    seen = []
    expected = transfer(steps=8)
    with monkeypatch.context() as patch:
        patch.setattr(programs, "runs_on_cpu", lambda network: False)
        patch.setattr(programs, "jitted_step", None)  # the CPU's step must not be used
        result = transfer(steps=8, on_progress=seen.append, report_every=4)
    np.testing.assert_allclose(result.image, expected.image, atol=1e-3)
    same_terms(result.losses, expected.losses)
    same_terms(result.final, expected.final)
    assert [state.step for state in seen] == [4, 8] and result.evaluations == 8
    assert programs.ACCELERATOR_CHUNK >= 25


# ------------------------------------------------------------------------------------------------------- bad input


def refused(call, *words):
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert line.isprintable(), line
    for word in words:
        assert str(word) in line, line


GREY = np.full((20, 30, 3), 0.5, np.float32)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (GREY[..., 0], ["(20, 30)", "(height, width, 3)"]),
        (GREY[..., :2], ["(20, 30, 2)"]),
        (GREY[None], ["(1, 20, 30, 3)"]),
        (GREY[:15], ["30 x 15", "16"]),
        (np.uint8(GREY * 255), ["uint8", "float32", "255"]),
        (GREY * 255, ["127.5", "[0, 1]"]),
        (GREY - 0.6, ["-0.1", "[0, 1]"]),
        (np.where(GREY > 1, GREY, np.nan), ["finite"]),
        (np.where(GREY > 1, GREY, np.inf), ["finite"]),
        (GREY.tolist()[0], ["(30, 3)"]),
        (None, ["()"]),
    ],
)
def test_an_image_that_is_none_is_refused_in_one_line(image, words):
    refused(lambda: checks.check_image(image, "the content"), "the content", *words)


def test_images_within_rounding_of_the_range_are_taken():
    checks.check_image(GREY * 2.001, "it")
    checks.check_image(jnp.asarray(GREY), "it")
    refused(lambda: checks.check_image(GREY * 2.01, "it"), "1.005")


def check(**options):
    usual = {
        "content": GREY,
        "styles": [GREY],
        "network": NET,
        "weights": Weights(),
        "objective": OBJECTIVE,
        "steps": 1,
        "init": "content",
        "min_size": None,
        "average": 0.0,
    }
    checks.check_transfer(**(usual | options))


BAD = [
    ({"content": GREY[:15]}, ["the content", "30 x 15"]),
    ({"styles": []}, ["no style picture"]),
    ({"styles": [GREY[:15]]}, ["the style is", "30 x 15"]),
    ({"styles": [GREY, GREY * 3]}, ["style 2", "1.5"]),
    ({"objective": Objective(("relu4_2",), ("relu1_1",))}, ["'relu4_2'", "conv1_1 ... pool5", "'relu4_1'?"]),
    ({"objective": Objective(("relu4_1",), ("Relu1_1",))}, ["'Relu1_1'", "did you mean 'relu1_1'?"]),
    ({"objective": Objective(("relu4_1",), ("relu1_1", "relu1_1"))}, ["style layer", "twice", "relu1_1 relu1_1"]),
    ({"objective": Objective(("pool1", "pool1"), ())}, ["content layer", "twice"]),
    ({"objective": Objective((), ())}, ["neither"]),
    ({"weights": Weights(style=-1.0)}, ["style weight is -1.0", "zero or larger"]),
    ({"weights": Weights(content=np.nan)}, ["content weight is nan"]),
    ({"weights": Weights(variation=np.inf)}, ["variation weight is inf"]),
    ({"weights": Weights(layers=np.float32([1, -2, 0, 0, 0]))}, ["layers weight", "-2"]),
    ({"weights": Weights(layers=np.float32([1, 2]))}, ["2 layers weights", "5 style layers"]),
    ({"weights": Weights(layers=np.zeros(5, np.float32))}, ["layers weights are all zero"]),
    ({"weights": Weights(mix=np.float32([1, 2]))}, ["2 mix weights", "1 styles"]),
    ({"weights": Weights(mix=np.float32([0]))}, ["mix weights are all zero"]),
    ({"steps": 0}, ["steps is 0", "at least 1"]),
    ({"steps": 2.5}, ["steps is 2.5", "whole number"]),
    ({"steps": True}, ["steps is True"]),
    ({"min_size": 15}, ["min_size is 15", "16"]),
    ({"min_size": 31}, ["min_size is 31", "long side is 30"]),
    ({"average": 1.0}, ["average is 1.0", "below 1"]),
    ({"average": -0.1}, ["average is -0.1"]),
    ({"average": np.nan}, ["average is nan"]),
    ({"init": "contents"}, ["'contents'", "content, noise, style, blur", "did you mean 'content'?"]),
    ({"init": GREY[:15]}, ["the starting image", "30 x 15"]),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_what_cannot_be_used_is_refused_in_one_line(options, words):
    refused(lambda: check(**options), *words)


def test_what_can_be_used_is_taken():
    check()
    check(content=jnp.asarray(GREY), styles=[GREY, GREY], min_size=30, average=0.99, init=GREY, steps=np.int64(3))
    check(weights=Weights(style=0.0, layers=np.float32([0, 0, 0, 0, 1]), mix=np.float32([2])))
    check(content=GREY.tolist())


def test_transfer_itself_checks_before_it_works():
    with compilations() as counted:
        refused(lambda: transfer(steps=0), "steps is 0")
        refused(lambda: transfer(report_every=0), "report_every is 0")
        refused(lambda: transfer(min_size=41), "min_size is 41", 40)
        refused(lambda: transfer(styles=[]), "no style picture")
        refused(lambda: transfer(objective=Objective()), "relu4_2")
    assert counted == [0]


# ------------------------------------------------------------------------------------------------------------- memory


def test_a_transfer_that_does_not_fit_is_refused_before_it_runs_with_the_largest_size_that_does():
    content = np.full((96, 128, 3), 0.5, np.float32)
    settings = {"content": content, "min_size": 128, "steps": 1}
    enough = 10**12
    with pytest.raises(InputError, match=r"128 x 96 pixels with tiny need some .* GB of memory") as caught:
        transfer(memory=10**4, on_progress=lambda _: pytest.fail("it ran"), **settings)
    assert "size" not in str(caught.value)  # that little fits nothing
    with pytest.raises(InputError, match="GB are free; size") as caught:
        transfer(memory=10**6, on_progress=lambda _: pytest.fail("it ran"), **settings)
    side = int(str(caught.value).rsplit(" ", 3)[-3])
    assert 16 <= side < 128
    h, w = round(96 * side / 128), side
    assert transfer(**{**settings, "content": content[:h, :w], "min_size": w}, memory=10**6).image.shape == (h, w, 3)
    assert transfer(memory=enough, **settings).image.shape == (96, 128, 3)


def test_no_size_is_tried_that_the_network_cannot_take():
    module = DenseNet(depths=(1, 1, 1, 1), growth=4, width=8)  # of 31 pixels its last block has none
    params = {name: {key: jnp.ones(x) for key, x in shapes.items()} for name, shapes in module.parameter_shapes.items()}
    content, objective = np.full((48, 64, 3), 0.5, np.float32), Objective(("dense3",), ("relu0", "dense4"))
    options = {"network": Network(params, "dense", module, "torchvision"), "objective": objective, "steps": 1}
    with pytest.raises(InputError, match=r"64 x 48 pixels with dense need some .* GB are free$"):
        transfer(content, content, memory=10**5, **options)


def test_what_certainly_fits_compiles_nothing(monkeypatch):
    monkeypatch.setattr(forecast, "bytes_needed", None)
    assert transfer(memory=10**9, steps=1).image.shape == CONTENT.shape


def test_what_a_device_says_is_heeded():
    class Device:
        def memory_stats(self):
            return {"bytes_limit": 1000, "bytes_in_use": 200}

    assert forecast.free_memory(Device()) == 720
    assert forecast.free_memory(jax.devices("cpu")[0]) is None
