"""A margin painted and cut off: against the transfer of a content continued and a result cut by hand, and on the
command line."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from commandline import SHALLOW, listing, picture, refused

from jaxstyle import defaults, forecast, grammar, optimise, sweeps
from jaxstyle.commands import cells, settings
from jaxstyle.errors import InputError
from jaxstyle.images import load_image, read_record
from jaxstyle.objective import Objective, Weights
from jaxstyle.optimise import DivergedError
from jaxstyle.programs import scales_of
from jaxstyle.solvers import Adam, Info, Lbfgs, OptaxLbfgs
from jaxstyle.starts import mirrored, resize, scale_sizes
from jaxstyle.sweeps import Plan, sweep

NET, CONTENT, STYLE = tiny.network(), np.asarray(tiny.picture(1, 34, 46)), np.asarray(tiny.picture(2))
MARGIN = 6
SIZES, CANVASES = [(24, 32), (34, 46)], [(32, 40), (46, 58)]  # of which each pair are the usual ones, from 32
OBJECTIVE = Objective(("relu2_1",), ("relu1_1", "relu3_1"))
OPTIONS = {"network": NET, "objective": OBJECTIVE, "steps": 3, "min_size": 32}
SINGLE = OPTIONS | {"min_size": 46}
MASKS = np.stack([np.linspace(0, 1, 46, dtype=np.float32)[None].repeat(34, 0), np.full((34, 46), 0.25, np.float32)])
BOTH = [STYLE, np.asarray(tiny.picture(5))]

transfer = functools.partial(optimise.transfer, CONTENT, STYLE)


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
    sizes = scale_sizes(384, 512)
    plain, wide = (scales_of(sizes, init=None, margin=margin) for margin in (0, 24))
    assert [scale.size for scale in plain] == [scale.picture for scale in wide] == sizes
    assert [scale.margin for scale in wide] == [6, 9, 12, 17, 24] and {scale.full for scale in wide} == {560}
    assert {scale.margin for scale in plain} == {0} and {scale.full for scale in plain} == {512}


@pytest.mark.parametrize("solver", [Adam(), Lbfgs(), pytest.param(OptaxLbfgs(), marks=pytest.mark.slow)])
def test_it_is_the_transfer_of_the_continued_content_cut(solver):
    found = transfer(margin=MARGIN, solver=solver, average=0.5, **SINGLE)
    expected = optimise.transfer(wider(CONTENT), STYLE, solver=solver, average=0.5, **(SINGLE | {"min_size": 58}))
    same(found, expected)
    assert found.evaluations == expected.evaluations


@pytest.mark.parametrize("init", ["noise", tiny.picture(7, 34, 46)], ids=["noise", "picture"])
def test_from_coarse_to_fine_too_and_reports_show_the_picture(init):
    seen, expected = [], []
    begin = init if isinstance(init, str) else wider(init)
    found = transfer(margin=MARGIN, init=init, on_progress=seen.append, **OPTIONS)
    whole = optimise.transfer(wider(CONTENT), STYLE, init=begin, on_progress=expected.append, **OPTIONS)
    same(found, whole)
    assert [state.image.shape[:2] for state in expected] == CANVASES
    assert [state.image.shape[:2] for state in seen] == SIZES
    for state, canvas, margin in zip(seen, expected, (4, 6), strict=True):
        np.testing.assert_array_equal(state.image, cut(canvas.image, margin))


def test_masks_are_continued_and_parts_of_styles_are_not():
    parts = [None, np.linspace(0, 1, 32 * 40, dtype=np.float32).reshape(32, 40)]
    found = optimise.transfer(CONTENT, BOTH, margin=MARGIN, masks=MASKS, style_masks=parts, **SINGLE)
    around = np.moveaxis(wider(np.moveaxis(MASKS, 0, 2)), 2, 0)
    same(found, optimise.transfer(wider(CONTENT), BOTH, masks=around, style_masks=parts, **(SINGLE | {"min_size": 58})))


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
        alone = optimise.transfer(contents[i], STYLE, weights=one, init=starts[i], margin=MARGIN, **SINGLE)
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

    def init(self, value_and_grad, image):
        return jnp.zeros((), jnp.int32)

    def step(self, value_and_grad, image, state):
        (_, terms), _ = value_and_grad(image)
        return image * jnp.nan, state, Info(terms, jnp.asarray(1))


def test_a_picture_that_diverges_is_cut_too():
    with pytest.raises(DivergedError) as caught:
        transfer(margin=MARGIN, solver=Faulty(), **OPTIONS)
    small = cut(resize(wider(CONTENT), *CANVASES[0]), 4)
    np.testing.assert_allclose(caught.value.image, small, atol=1e-6)
    lanes = sweep(CONTENT, STYLE, weights=Weights(style=np.float32([10])), solver=Faulty(), margin=MARGIN, **OPTIONS)
    np.testing.assert_allclose(lanes.image[0], resize(caught.value.image, 34, 46), atol=1e-6)


def test_the_canvas_is_what_needs_memory_and_the_picture_what_is_named(monkeypatch):
    sizes = []

    def needed(network, inputs, program, last, count, before):
        sizes.append((inputs.content.shape[-3:-1], last.size, before))
        return 2000 if last.size == CANVASES[1] else 0

    for module in (forecast, sweeps):
        monkeypatch.setattr(module, "bytes_needed", needed)
    line = r"^46 x 34 pixels with tiny need some .* free; size 32 would fit$"
    with pytest.raises(InputError, match=line):
        transfer(margin=MARGIN, memory=1000, **OPTIONS)
    usual = {"solver": None, "init": "content", "average": 0.0, "key": None, "weights": Weights(style=np.ones(2))}
    plan = Plan.of(CONTENT, STYLE, margin=MARGIN, **OPTIONS, **usual)
    assert plan.sizes == SIZES
    with pytest.raises(InputError, match=line):
        plan.lanes_at_once(available=1000)
    whole, smaller = (CANVASES[1], CANVASES[1], CANVASES[0]), ((36, 44), (36, 44), None)
    assert sizes == [whole, smaller, whole, whole, smaller]  # two lanes, one lane


@pytest.mark.parametrize(
    ("margin", "words"),
    [
        (-1, "margin is -1; it must be a whole number, at least 0"),
        (True, "margin is True; it must be a whole number, at least 0"),
        (35, "margin is 35; it can be at most the content's shorter side, 34"),
    ],
)
def test_refused(margin, words):
    for call in (optimise.transfer, sweep):
        with pytest.raises(InputError) as caught:
            call(CONTENT, STYLE, margin=margin, **OPTIONS)
        assert str(caught.value) == words


# ------------------------------------------------------------------------------------------------ the command line

PLAIN = ("--size", "48", "--min-size", "48", "--steps", "2", "--quiet")
QUICK = (*PLAIN, *SHALLOW)
PAIR = ("c.png", "s.png", "s.png")
MIXED = ("--mix-layers", "1,0/0,1")


def recorded(path):
    return read_record(path)["settings"]["margin"]


def test_styles_mixed_by_layer_have_a_margin_that_can_be_switched_off(call, folder):
    options = (*QUICK, "--save-every", "1", "--color", "lab")
    assert call("transfer", *PAIR, "-o", "a.png", *MIXED, *options).code == 0
    assert recorded("a.png") == defaults.MARGIN
    assert load_image("a.png").shape == load_image("a_00001.png").shape == (36, 48, 3)
    assert call("transfer", *PAIR, "-o", "b.png", *MIXED, "--margin", "0", *QUICK, "--color", "lab").code == 0
    assert recorded("b.png") == 0 and (load_image("a.png") != load_image("b.png")).any()
    assert call("transfer", "--from", "b.png", "-o", "again.png", "--init", "content", *PLAIN).code == 0
    np.testing.assert_array_equal(load_image("b.png"), load_image("again.png"))


def test_a_small_picture_has_as_much_margin_as_it_allows(call, folder):
    picture(folder / "c.png", 1, size=(64, 24), channels=4)
    assert call("transfer", *PAIR, "-o", "a.png", *MIXED, *QUICK).code == 0
    assert recorded("a.png") == 18 and load_image("a.png").shape == (18, 48, 3)
    before = listing(Path())
    line = "--margin is 19; it can be at most the short side of c.png, 18"
    refused(call("transfer", *PAIR, "-o", "b.png", "--margin", "19", *QUICK), 2, line)
    refused(call("sweep", *PAIR, "-o", "b", "--margin", "0", "19", *PLAIN), 2, line)
    refused(call("transfer", *PAIR, "-o", "b.png", "--margin", "-1", *QUICK), 2, "'-1' is not a whole number from 0")
    assert listing(Path()) == before


def test_an_axis_of_a_sweep_and_an_option_of_batch(call, folder, monkeypatch):
    plans = []
    monkeypatch.setattr(cells.Plan, "batches", lambda plan, **_: plans.append(plan) or iter(()))
    call("sweep", "c.png", "s.png", "-o", "d", "--margin", "0", "8", "--lanes", "1", *PLAIN)
    call("batch", "c.png", "--style", "s.png", "-o", "e", "--margin", "5", "--lanes", "1", *PLAIN)
    assert [plan.margin for plan in plans] == [0, 8, 5]
    commands = [cell["command"] for cell in json.loads(Path("d/sweep.json").read_text())["cells"]]
    assert "--margin" not in commands[0] and "--margin 8" in commands[1]


def test_words_make_the_settings_again(folder):
    parser, base = grammar.build_parser(), ["transfer", *PAIR]
    table = ("--mix-layers", "1,1,0,0,0/0,0,1,1,1")
    for words, margin, said in (
        ([], 0, False),
        (["--margin", "24"], 24, True),
        (table, 24, False),
        ([*table, "--margin", "0"], 0, True),
        ([*table, "--margin", "10"], 10, True),
    ):
        made = settings.resolve(parser.parse_args([*base, *words]), 100)
        assert made.margin == margin
        again = [word for option in settings.words(vars(made)) for word in option]
        assert ("--margin" in again) == said
        assert settings.resolve(parser.parse_args([*base, *again]), 100) == made
