"""Inputs as a table of arrays: which have a batch axis, made one, picked from, and mapped over."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.engine.inputs import (
    KINDS,
    Inputs,
    batch_shapes,
    from_table,
    inputs_of,
    mapped,
    pick,
    problem_axes,
    table_of,
    with_one_batch_axis,
)
from jaxstyle.objective import Targets, Weights
from jaxstyle.regions import Regions
from jaxstyle.solvers import Adam, Lbfgs

pytestmark = pytest.mark.quick

CONTENT, STYLE = np.full((4, 6, 3), 0.25, np.float32), np.full((5, 3, 3), 0.75, np.float32)


def inputs(content=CONTENT, styles=(STYLE,), weights=None, solver=None, init="content", key=None, **more) -> Inputs:
    key = jax.random.key(0) if key is None else key
    weights, solver = weights or Weights(1.0, 2.0, 3.0), solver or Adam()
    return inputs_of(content, styles, weights=weights, solver=solver, init=init, key=key, **more)


def same(a: Inputs, b: Inputs) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(*(jax.random.key_data(z) if jnp.issubdtype(z.dtype, jax.dtypes.prng_key) else z
                                        for z in (x, y)))  # fmt: skip


def test_all_numbers_are_float32_arrays_and_what_is_not_given_is_none() -> None:
    found = inputs()
    assert {x.dtype for x in jax.tree.leaves((found.content, found.styles, found.weights, found.rate))} == {
        np.dtype(np.float32)
    }
    assert found.start is None is found.masks is found.style_masks is found.weights.mix
    assert inputs(solver=Lbfgs()).rate is None and inputs(init=STYLE).start.shape == STYLE.shape
    assert inputs(style_masks=[None]).style_masks is None
    assert inputs(styles=(STYLE, STYLE), style_masks=[None, np.ones((5, 3))]).style_masks[0] is None


def test_the_table_has_every_input_by_a_known_name_and_is_the_inputs_again() -> None:
    found = inputs(weights=Weights(mix=np.float32([1.0])), masks=np.ones((1, 4, 6)))
    assert table_of(found).keys() == KINDS.keys()
    same(from_table(table_of(found)), found)


def test_a_margin_goes_on_as_in_a_mirror() -> None:
    ramp = np.float32(np.arange(4 * 6 * 3).reshape(4, 6, 3) / 72)
    found = inputs(ramp, init=ramp, masks=ramp[None, ..., 0], margin=2)
    wider = np.pad(ramp, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
    np.testing.assert_allclose(found.content, wider, atol=1e-7)
    np.testing.assert_allclose(found.start, wider, atol=1e-7)
    np.testing.assert_allclose(found.masks[0], wider[..., 0], atol=1e-7)


BATCHED = {
    "content": ({"content": np.stack([CONTENT, 2 * CONTENT])}, "the content", (2,)),
    "styles": ({"styles": [STYLE, np.stack([[STYLE] * 2] * 3)]}, "a style", (3, 2)),
    "weights.style": ({"weights": Weights(style=np.ones((4, 1)))}, "the style weights", (4, 1)),
    "weights.layers": ({"weights": Weights(layers=np.ones((2, 5)))}, "the layers weights", (2,)),
    "weights.mix_layers": ({"weights": Weights(mix_layers=np.ones((2, 5, 1)))}, "the mix_layers weights", (2,)),
    "rate": ({"solver": Adam(rate=np.float32([1, 2]))}, "the rates", (2,)),
    "key": ({"key": jax.random.split(jax.random.key(0), (3, 2))}, "the keys", (3, 2)),
    "start": ({"init": np.stack([STYLE] * 2)}, "the start", (2,)),
}


@pytest.mark.parametrize("name", BATCHED)
def test_the_axes_in_front_of_an_inputs_own_are_its_batch_axes(name: str) -> None:
    options, label, shape = BATCHED[name]
    found = inputs(**options)
    assert {label: axes for label, axes in batch_shapes(found).items() if axes} == {label: shape}
    _, batched = with_one_batch_axis(found, shape)
    assert batched == {name}


def test_batch_axes_are_broadcast_and_made_one_and_what_has_none_stays() -> None:
    weights = Weights(style=np.float32([10, 20, 30]), variation=np.float32([[1], [2]]), layers=np.ones(5, np.float32))
    found, batched = with_one_batch_axis(inputs(weights=weights), (2, 3))
    assert batched == {"weights.style", "weights.variation"}
    np.testing.assert_array_equal(found.weights.style, [10, 20, 30, 10, 20, 30])
    np.testing.assert_array_equal(found.weights.variation, [1, 1, 1, 2, 2, 2])
    assert found.weights.layers.shape == (5,) and found.content.shape == CONTENT.shape
    same(with_one_batch_axis(inputs(), ())[0], inputs())


def test_one_or_some_of_a_batch_are_picked() -> None:
    contents, weights = np.stack([CONTENT * k for k in range(3)]), Weights(style=np.float32([10, 20, 30]))
    found, batched = with_one_batch_axis(inputs(contents, weights=weights), (3,))
    same(pick(found, batched, 2), inputs(contents[2], weights=Weights(style=30.0)))
    some = pick(found, batched, np.array([2, 0, 0]))
    np.testing.assert_array_equal(some.weights.style, [30, 10, 10])
    np.testing.assert_array_equal(some.content, contents[[2, 0, 0]])
    assert some.styles[0] is found.styles[0]


def test_what_is_shared_is_not_mapped_over() -> None:
    def function(x, y):
        return x + y

    assert mapped(function, None, None) is function
    np.testing.assert_array_equal(mapped(function, 0, None)(jnp.arange(3.0), jnp.float32(1)), [1, 2, 3])


def test_the_axes_of_a_problem_are_those_of_what_it_is_made_from() -> None:
    plain, masked = Targets({}, {}), Targets({}, {}, Regions({}, jnp.ones(1), jnp.ones((2, 2)), jnp.ones((2, 2, 3))))
    assert problem_axes(frozenset({"rate", "key", "start"}), plain) == (None, Targets(None, None), Weights(*[None] * 4))
    _, targets, weights = problem_axes(frozenset({"content", "weights.style"}), plain)
    assert (targets.content, targets.style, weights.style, weights.content) == (0, None, 0, None)
    for name in ("styles", "weights.mix", "weights.mix_layers"):
        assert problem_axes(frozenset({name}), plain)[1] == Targets(None, 0)
    regions = problem_axes(frozenset({"weights.mix"}), masked)[1].regions
    assert regions == Regions(None, 0, None, None)  # masks and what they cover are shared
    assert problem_axes(frozenset({"content"}), masked)[1].regions == Regions(None, None, None, 0)
