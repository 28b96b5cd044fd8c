"""A margin painted and cut off: against the transfer of a content continued and a result cut by hand."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
import tiny
from jaxstyle.engine import memory
from jaxstyle.engine import sweep as sweeping
from jaxstyle.engine.plan import make_plan
from jaxstyle.engine.run import DivergedError
from jaxstyle.engine.scales import scale_sizes, scales_of
from jaxstyle.engine.sweep import lanes_at_once, sweep
from jaxstyle.errors import InputError
from jaxstyle.objective import Objective, Weights
from jaxstyle.ops.resize import mirrored, resize
from jaxstyle.solvers import Adam, Info, Lbfgs, OptaxLbfgs
from marks import slow

NET, CONTENT, STYLE = tiny.network(), np.asarray(tiny.picture(1, 34, 46)), np.asarray(tiny.picture(2))
MARGIN = 6
SIZES, CANVASES = [(24, 32), (34, 46)], [(32, 40), (46, 58)]  # of which each pair are the usual ones, from 32
OBJECTIVE = Objective(("relu2_1",), ("relu1_1", "relu2_1"))
OPTIONS = {"network": NET, "objective": OBJECTIVE, "steps": 3, "min_size": 32, "solver": Adam()}
SINGLE = OPTIONS | {"min_size": 46}
MASKS = np.stack([np.linspace(0, 1, 46, dtype=np.float32)[None].repeat(34, 0), np.full((34, 46), 0.25, np.float32)])
BOTH = [STYLE, np.asarray(tiny.picture(5))]

transfer = functools.partial(jaxstyle.transfer, CONTENT, STYLE)


def wider(image, margin=MARGIN):
    """The picture (h, w, ...) continued by its mirror image, pixel by pixel."""
    for axis in (0, 1):
        n = image.shape[axis]
        places = [-1 - i if i < 0 else 2 * n - 1 - i if i >= n else i for i in range(-margin, n + margin)]
        image = np.take(image, places, axis)
    return image


def cut(image, margin=MARGIN):
    return np.asarray(image)[margin:-margin, margin:-margin]


def same(found, expected, margin=MARGIN, **within):
    """A result, and that of the canvas, to be cut."""
    np.testing.assert_allclose(found.image, cut(expected.image, margin), **({"rtol": 0} | within))
    for kind in ("losses", "final"):
        for x, y in zip(getattr(found, kind), getattr(expected, kind), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5 if within else 0, atol=1e-7 if within else 0)


def test_the_mirror_image():
    image = jnp.arange(12.0).reshape(3, 4, 1)
    np.testing.assert_array_equal(mirrored(image, 3), wider(image, 3))
    np.testing.assert_array_equal(mirrored(jnp.stack([image, 2 * image]), 2)[1], 2 * wider(image, 2))


def test_scales_have_margins_in_proportion():
    sizes = scale_sizes(384, 512, min_size=128)
    plain, wide = (scales_of(sizes, margin=margin) for margin in (0, 24))
    assert [scale.size for scale in plain] == [scale.picture for scale in wide] == sizes
    assert [scale.margin for scale in wide] == [6, 9, 12, 17, 24] and {scale.full for scale in wide} == {560}
    assert {scale.margin for scale in plain} == {0} and {scale.full for scale in plain} == {512}


@pytest.mark.parametrize("solver", [Adam(), slow(Lbfgs()), slow(OptaxLbfgs())])
def test_it_is_the_transfer_of_the_continued_content_cut(solver):
    options = SINGLE | {"solver": solver, "average": 0.5}
    found = transfer(margin=MARGIN, **options)
    expected = jaxstyle.transfer(wider(CONTENT), STYLE, **(options | {"min_size": 58}))
    same(found, expected)
    assert found.evaluations == expected.evaluations


@pytest.mark.parametrize("init", [slow("noise"), tiny.picture(7, 34, 46)], ids=["noise", "picture"])
def test_from_coarse_to_fine_too_and_reports_show_the_picture(init):
    seen, expected = [], []
    begin = init if isinstance(init, str) else wider(init)
    found = transfer(margin=MARGIN, init=init, on_progress=seen.append, **OPTIONS)
    whole = jaxstyle.transfer(wider(CONTENT), STYLE, init=begin, on_progress=expected.append, **OPTIONS)
    same(found, whole)
    assert [state.image.shape[:2] for state in expected] == CANVASES
    assert [state.image.shape[:2] for state in seen] == SIZES
    for state, canvas, margin in zip(seen, expected, (4, 6), strict=True):
        np.testing.assert_array_equal(state.image, cut(canvas.image, margin))


def test_masks_are_continued_and_parts_of_styles_are_not():
    parts = [None, np.linspace(0, 1, 32 * 40, dtype=np.float32).reshape(32, 40)]
    found = jaxstyle.transfer(CONTENT, BOTH, margin=MARGIN, masks=MASKS, style_masks=parts, **SINGLE)
    around = np.moveaxis(wider(np.moveaxis(MASKS, 0, 2)), 2, 0)
    same(found, jaxstyle.transfer(wider(CONTENT), BOTH, masks=around, style_masks=parts, **(SINGLE | {"min_size": 58})))


def test_a_start_of_another_size_is_made_as_large_as_the_content_first():
    start = tiny.picture(7, 20, 20)
    expected = transfer(margin=MARGIN, init=resize(start, 34, 46), **SINGLE)
    np.testing.assert_array_equal(transfer(margin=MARGIN, init=start, **SINGLE).image, expected.image)


def test_without_a_margin_nothing_is_new():
    plain = transfer(**SINGLE)
    with tiny.compilations() as count:
        none = transfer(margin=0, **SINGLE)
    assert count == [0]
    np.testing.assert_array_equal(none.image, plain.image)


def test_each_lane_is_the_transfer():
    weights = Weights(style=np.float32([10, 100]))
    contents, starts = np.stack([CONTENT, tiny.picture(8, 34, 46)]), np.stack([tiny.picture(k, 20, 20) for k in (6, 7)])
    found = sweep(contents, STYLE, weights=weights, init=starts, margin=MARGIN, **SINGLE)
    assert found.image.shape == contents.shape
    for i in range(2):
        one = Weights(style=weights.style[i])
        alone = jaxstyle.transfer(contents[i], STYLE, weights=one, init=starts[i], margin=MARGIN, **SINGLE)
        np.testing.assert_allclose(found.image[i], alone.image, atol=1e-4)
        np.testing.assert_allclose(found.losses.total[i], alone.losses.total, rtol=1e-5)


def test_under_jit():
    run = functools.partial(transfer, margin=MARGIN, **(SINGLE | {"steps": 2}))
    found, expected = jax.jit(lambda x: run(weights=Weights(style=x)))(30.0), run(weights=Weights(style=30.0))
    np.testing.assert_allclose(found.image, expected.image, atol=1e-4)
    np.testing.assert_allclose(found.losses.total, expected.losses.total, rtol=1e-4)


@dataclass(frozen=True)
class Faulty:
    """Pixels are no numbers after a step."""

    has_inner_loop = True  # so that lanes run one by one
    usual_steps = 3

    def init(self, value_and_grad, image):
        return jnp.zeros((), jnp.int32)

    def step(self, value_and_grad, image, state):
        (_, terms), _ = value_and_grad(image)
        return image * jnp.nan, state, Info(terms, jnp.asarray(1))


def test_a_picture_that_diverges_is_cut_too():
    with pytest.raises(DivergedError) as caught:
        transfer(margin=MARGIN, **(OPTIONS | {"solver": Faulty()}))
    small = cut(resize(wider(CONTENT), *CANVASES[0]), 4)
    np.testing.assert_allclose(caught.value.image, small, atol=1e-6)
    options = OPTIONS | {"solver": Faulty()}
    lanes = sweep(CONTENT, STYLE, weights=Weights(style=np.float32([10])), margin=MARGIN, **options)
    np.testing.assert_allclose(lanes.image[0], resize(caught.value.image, 34, 46), atol=1e-6)


def test_the_canvas_is_what_needs_memory_and_the_picture_what_is_named(monkeypatch):
    asked = []

    def needed(plan):
        asked.append((plan.inputs.content.shape[-3:-1], plan.scales[-1].size, len(plan.scales)))
        return 2000 if plan.scales[-1].size == CANVASES[1] else 0

    for module in (memory, sweeping):
        monkeypatch.setattr(module, "bytes_needed", needed)
    named = r"46 x 34 pixels with tiny.* size 32\b"
    with pytest.raises(InputError, match=named):
        transfer(margin=MARGIN, memory=1000, **OPTIONS)
    plan, _ = make_plan(CONTENT, STYLE, margin=MARGIN, weights=Weights(style=np.ones(2)), batch=True, **OPTIONS)
    assert [scale.picture for scale in plan.scales] == SIZES
    with pytest.raises(InputError, match=named):
        lanes_at_once(plan, available=1000)
    whole, smaller = (CANVASES[1], CANVASES[1], 2), ((36, 44), (36, 44), 1)
    assert asked == [whole, smaller, whole, whole, smaller]  # two lanes, one lane


@pytest.mark.parametrize(
    ("margin", "words"),
    [(-1, ("margin is -1", "at least 0")), (True, ("margin is True", "whole")), (35, ("margin is 35", "34"))],
)
def test_refused(margin, words):
    for call in (jaxstyle.transfer, sweep):
        with pytest.raises(InputError) as caught:
            call(CONTENT, STYLE, margin=margin, **OPTIONS)
        line = str(caught.value)
        assert line.isprintable() and all(word in line for word in words), line
