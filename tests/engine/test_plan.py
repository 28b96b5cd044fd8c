"""Plans: what all arguments come to, of one transfer, of a batch, of one and of some of a batch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import defaults
from jaxstyle.engine.plan import Plan, make_plan
from jaxstyle.engine.run import run
from jaxstyle.engine.scales import Scale
from jaxstyle.objective import Objective, Weights, default_objective
from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
from tiny import DEEP, OBJECTIVE, network, picture

NET = network()
CONTENT, STYLE = picture(1, 46, 64), picture(2, 30, 40)  # two scales from 40
STYLES = np.float32([10, 30, 100])


def plan(content=CONTENT, styles=STYLE, **options) -> Plan:
    return make_plan(
        content, styles, **({"network": NET, "objective": OBJECTIVE, "min_size": 40, "steps": 3} | options)
    )[0]


ONE_SCALE = {"min_size": 64, "steps": 2}  # which compiles in half the time


def batch(**options) -> Plan:
    return plan(weights=Weights(style=STYLES), batch=True, **(ONE_SCALE | {"solver": Adam()} | options))


@pytest.mark.quick
def test_the_usual_plan() -> None:
    made, shape = make_plan(CONTENT, [STYLE], network=network(module=DEEP))
    assert shape == () and made.batch is None is made.program.batched and not made.traced
    assert made.program.objective == default_objective(made.network) and made.program.solver == Lbfgs()
    assert (made.steps, made.program.decay, made.program.init) == (defaults.STEPS, 0.0, "content")
    assert made.scales == (Scale((46, 64), 64),)  # smaller than the coarsest usual one
    assert made.device == jax.devices()[0] and made.on_cpu
    assert made.network.module.platform == "cpu" and made.network.prepared.keys() == DEEP.kernel_shapes.keys()


@pytest.mark.quick
@pytest.mark.parametrize("solver", [Adam(), Lbfgs(history=5), OptaxLbfgs()])
def test_equal_arguments_make_programs_that_are_equal_and_hash_alike(solver) -> None:
    first, second = (plan(solver=solver, average=0.5).program for _ in range(2))
    assert first == second and hash(first) == hash(second)
    for change in ({"average": 0.4}, {"objective": Objective(("relu1_1",), ())}, {"init": "noise"}):
        assert plan(**({"solver": solver, "average": 0.5} | change)).program != first


@pytest.mark.quick
def test_a_rate_weights_pictures_and_keys_are_inputs_of_one_program() -> None:
    one = plan(solver=Adam(rate=0.02), weights=Weights(1.0), key=jax.random.key(1))
    other = plan(1 - CONTENT, 1 - STYLE, solver=Adam(rate=0.5), weights=Weights(2.0), key=jax.random.key(2))
    assert one.program == other.program
    assert (float(one.inputs.rate), float(other.inputs.rate)) == (np.float32(0.02), 0.5)
    assert plan(init=STYLE).program == plan(init=CONTENT).program != one.program


@pytest.mark.quick
def test_scales_may_be_given() -> None:
    made = plan(sizes=[(16, 16), (46, 64)], margin=6)
    assert [scale.picture for scale in made.scales] == [(16, 16), (46, 64)]
    assert [scale.margin for scale in made.scales] == [2, 6] and made.inputs.content.shape == (58, 76, 3)


@pytest.mark.quick
def test_the_axis_of_a_batch_stands_for_all_axes() -> None:
    weights = Weights(style=STYLES, variation=np.float32([[1], [50]]))
    made, shape = make_plan(CONTENT, STYLE, network=NET, objective=OBJECTIVE, weights=weights, batch=True)
    assert (shape, made.batch, made.program.batched) == ((2, 3), 6, {"weights.style", "weights.variation"})
    made, shape = make_plan(CONTENT, STYLE, network=NET, objective=OBJECTIVE, batch=True)
    assert (shape, made.batch, made.program.batched) == ((), 1, frozenset())


def test_one_of_a_batch_is_the_plan_of_that_transfer() -> None:
    one, expected = batch().single(1), plan(weights=Weights(style=STYLES[1]), solver=Adam(), **ONE_SCALE)
    assert one.program == expected.program and one.batch is None and one.scales == expected.scales
    for a, b in zip(jax.tree.leaves(one.inputs), jax.tree.leaves(expected.inputs), strict=True):
        assert a.shape == b.shape and (a == b).all()
    np.testing.assert_array_equal(run(one).image, run(expected).image)


@pytest.mark.slow
def test_a_part_of_a_batch_runs_as_it_does_within_the_whole() -> None:
    whole, part = batch(), batch().part(np.array([2, 0]))
    assert part.batch == 2 and part.program == whole.program
    np.testing.assert_array_equal(part.inputs.weights.style, STYLES[[2, 0]])
    found, expected = run(part), run(whole)
    np.testing.assert_allclose(found.image, expected.image[np.array([2, 0])], atol=1e-4)
    np.testing.assert_allclose(found.final.total, expected.final.total[[2, 0]], rtol=1e-5)


@pytest.mark.quick
def test_a_plan_is_frozen_and_knows_whether_it_is_traced() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan().steps = 4
    seen = []
    jax.eval_shape(lambda x: seen.append(plan(x).traced) or x, jnp.asarray(CONTENT))
    assert seen == [True]


@pytest.mark.quick
def test_weights_too_small_for_float32_keep_their_proportions() -> None:
    """Where nothing but the proportion counts: 1e-40 and 2e-40 are one and two thirds."""
    tiny = Weights(mix=[1e-40, 2e-40], layers=[3e-39] * len(OBJECTIVE.style_layers), style=1e-30)
    made = plan(styles=[STYLE, CONTENT], weights=tiny).inputs.weights
    mix = np.asarray(made.mix)
    np.testing.assert_allclose(mix / mix.sum(), [1 / 3, 2 / 3], rtol=1e-6)
    assert np.asarray(made.layers)[0] > 0.1 and float(made.style) == np.float32(1e-30)
    summed = dataclasses.replace(OBJECTIVE, formula=OBJECTIVE.formula._replace(mean=False))
    assert np.asarray(plan(weights=Weights(layers=tiny.layers), objective=summed).inputs.weights.layers).max() < 1e-37
    usual = Weights(mix=np.float32([0.25, 3]))
    np.testing.assert_array_equal(plan(styles=[STYLE, CONTENT], weights=usual).inputs.weights.mix, usual.mix)
