"""What a transfer refuses, each in one plain line, before anything is compiled."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.engine import checks
from jaxstyle.engine.plan import make_plan
from jaxstyle.errors import InputError
from jaxstyle.objective import Objective, Weights
from tiny import OBJECTIVE, compilations
from transfers import NET, transfer

pytestmark = pytest.mark.quick


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


# Past the type checker of the tests, as users have none.
unchecked = inspect.unwrap(make_plan)


def check(content=GREY, styles=(GREY,), **options):
    return unchecked(content, [*styles], **({"network": NET, "objective": OBJECTIVE, "steps": 1} | options))[0]


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
    ({"average": 0.99999999}, ["average is 0.99999999", "below 1"]),
    ({"average": -0.1}, ["average is -0.1"]),
    ({"average": np.nan}, ["average is nan"]),
    ({"init": "contents"}, ["'contents'", "content, noise, style, blur", "did you mean 'content'?"]),
    ({"init": GREY[:15]}, ["the starting image", "30 x 15"]),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_what_cannot_be_used_is_refused_in_one_line(options, words):
    refused(lambda: check(**options), *words)


def test_what_can_be_used_is_taken():
    assert check().inputs.content.shape == GREY.shape
    some = {"min_size": 30, "average": 0.99, "init": GREY, "steps": 3}
    plan = check(content=jnp.asarray(GREY), styles=[GREY, GREY], **some)
    assert (plan.steps, plan.program.decay, len(plan.scales)) == (3, 0.99, 1)
    checks.check_whole(np.int64(3), "steps", 1)
    weights = Weights(style=0.0, layers=np.float32([0, 0, 0, 0, 1]), mix=np.float32([2]))
    np.testing.assert_array_equal(check(weights=weights).inputs.weights.layers, weights.layers)
    assert check(content=GREY.tolist()).inputs.content.dtype == jnp.float32


def test_transfer_itself_checks_before_it_works():
    with compilations() as counted:
        refused(lambda: transfer(steps=0), "steps is 0")
        refused(lambda: transfer(report_every=0), "report_every is 0")
        refused(lambda: transfer(min_size=41), "min_size is 41", 40)
        refused(lambda: transfer(styles=[]), "no style picture")
        refused(lambda: transfer(objective=Objective()), "relu4_2")
    assert counted == [0]
