"""What is compiled: how often, that it is what runs, for a CPU and for accelerators."""

import functools
import gc
from collections import Counter
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle.engine import plan as planning
from jaxstyle.engine import run as running
from jaxstyle.engine import steps
from jaxstyle.engine.plan import make_plan
from jaxstyle.objective import Objective, Weights, loss_terms
from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
from marks import slow
from tiny import compilations, picture
from transfers import CONTENT, NET, OBJECTIVE, SOLVERS, STYLE, WEIGHTS, same_terms, transfer


def planned(content=CONTENT, styles=STYLE, **options):
    """The plan of such a transfer."""
    usual = {"network": NET, "objective": OBJECTIVE, "weights": WEIGHTS, "steps": 5, "min_size": 40}
    return make_plan(content, styles, **(usual | options))[0]


@pytest.mark.parametrize("solver", [slow(SOLVERS[0]), *SOLVERS[1:2], *map(slow, SOLVERS[2:])])
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


@pytest.mark.parametrize("solver", [*SOLVERS[:2], *map(slow, SOLVERS[2:])])
def test_the_loss_is_traced_once_whatever_the_weights_and_however_often_it_is_evaluated(solver, monkeypatch):
    traces = []

    def counting(*arguments, **options):
        traces.append(1)
        return loss_terms(*arguments, **options)

    monkeypatch.setattr(steps, "loss_terms", counting)
    # Of this test and solver only, so that nothing is compiled yet.
    objective = Objective(("relu3_1",), ("relu1_1", f"relu{3 + SOLVERS.index(solver)}_1"))
    for style in (10.0, 20, np.float32(30)):
        assert transfer(objective=objective, solver=solver, weights=Weights(style=style), steps=3).evaluations >= 3
    assert len(traces) == 1


@pytest.mark.parametrize(("solver", "each"), [(Adam(), 3), slow(Lbfgs(), 2), slow(OptaxLbfgs(), 2)])
def test_what_is_compiled_ahead_is_all_that_is_compiled(solver, each):
    """For Adam the preparation, the first state and the step of each scale; where the line search runs in Python the
    preparation and the evaluation."""
    options = {"solver": solver, "content": picture(1, 46, 64), "average": 0.5}
    # What all transfers of this size share, as cutting and clipping, is compiled.
    running.run(planned(**options, objective=Objective(("conv1_1",), ("relu1_1",))))
    plan = planned(**options, objective=Objective(("relu1_1",), ("conv1_1",)))
    assert len(plan.scales) == 2
    with compilations() as counted:
        first = running.run(plan)
    assert counted == [2 * each]
    with compilations() as counted:
        again = running.run(plan)
    assert counted == [0]
    np.testing.assert_array_equal(first.image, again.image)


@pytest.mark.parametrize("solver", [Adam(), slow(Lbfgs())])
def test_what_is_compiled_ahead_is_what_is_called(solver, monkeypatch):
    calls = Counter()

    def watched(plan, number):
        def counting(name, program):
            def call(*arguments):
                calls[name] += 1
                return program(*arguments)

            return program and call

        made = steps.compile_scale(plan, number)
        return replace(made, **{name: counting(name, part) for name, part in vars(made).items() if name != "solver"})

    plan = planned(picture(1, 46, 64), solver=solver, steps=4, objective=Objective(("relu1_1",), ("conv1_1",)))
    expected = running.run(plan)
    monkeypatch.setattr(running, "compile_scale", watched)
    found = running.run(plan)
    np.testing.assert_array_equal(found.image, expected.image)
    if solver.has_inner_loop:
        assert calls == {"prepare": 2, "evaluate": 2 * solver.init_evaluations + found.evaluations + 1}
    else:
        assert calls == {"prepare": 2, "first": 2, "step": found.evaluations + 1}  # one more for the terms at the end


@pytest.mark.slow
def test_it_works_after_the_caches_are_cleared():
    """Twice with what was compiled before, and once with what had to be compiled again."""
    options = {"network": NET, "objective": Objective(("relu1_1",), ("conv1_1",)), "steps": 2, "min_size": 40}
    for run in (jaxstyle.transfer, functools.partial(jaxstyle.sweep, weights=Weights(np.ones(2)))):
        images = []
        for clear in (False, False, True):
            if clear:
                jax.clear_caches()
            images.append(run(picture(1, 46, 64), STYLE, **options).image)
        np.testing.assert_array_equal(images[1], images[0])
        np.testing.assert_array_equal(images[2], images[0])


@pytest.mark.parametrize("solver", [slow(Adam()), Lbfgs()])
def test_nothing_keeps_an_executable_once_a_transfer_is_over(solver):
    """JAX's own caches, which it can clear, have the programs."""
    transfer(solver=solver, steps=2)
    gc.collect()
    assert not [x for x in gc.get_objects() if type(x) is jax.stages.Compiled]
    kept = jax.jit(lambda x: x + 1).lower(1.0).compile()
    assert [x for x in gc.get_objects() if type(x) is jax.stages.Compiled] == [kept]  # the search does find them


# ---------------------------------------------------------------------------------------------------- accelerators


@pytest.fixture
def as_on_an_accelerator(monkeypatch):
    """Steps go through compiled chunks only; the CPU's step must not be used."""
    monkeypatch.setattr(planning, "runs_on_cpu", lambda network: False)
    monkeypatch.setattr(steps, "compiled_step", None)


def runner_of(plan):
    return steps.make_runner(plan, steps.compile_scale(plan, 0), None)


@pytest.mark.parametrize("solver", [Lbfgs(), slow(OptaxLbfgs())])  # Adam below
def test_the_path_of_accelerators_gives_the_result_of_the_path_of_the_cpu(solver, request):
    options = {"solver": solver, "average": 0.5}
    runner = runner_of(planned(**options))
    run, info = runner.advance(runner.first, 5)
    request.getfixturevalue("as_on_an_accelerator")
    runner = runner_of(planned(**options))
    scanned, infos = runner.advance(runner.first, 5)
    np.testing.assert_allclose(scanned.image, run.image, atol=2e-3)
    np.testing.assert_allclose(scanned.mean, run.mean, atol=2e-3)
    assert scanned.taken == run.taken == 5
    np.testing.assert_allclose(infos.terms.total, info.terms.total, rtol=5e-3)
    np.testing.assert_array_equal(infos.evaluations, info.evaluations)
    assert jax.tree.structure(scanned) == jax.tree.structure(run)


def test_a_chunk_takes_nothing_from_the_host_and_keeps_the_images_of_the_run_before(as_on_an_accelerator):
    runner = runner_of(planned(solver=Adam(), average=0.5, report_every=2))
    run = jax.device_put(runner.first)
    runner.advance(jax.tree.map(lambda x: x.copy(), run), 2)
    with jax.transfer_guard("disallow"):
        for _ in range(2):
            before = run
            run, _ = runner.advance(run, 2)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before.solver) if leaf.size > 1)
    np.testing.assert_array_equal(runner.first.image, CONTENT)
    assert not np.array_equal(before.image, run.image)


def test_on_an_accelerator_a_chunk_is_one_program(request):
    seen = []
    expected = transfer(steps=8)
    request.getfixturevalue("as_on_an_accelerator")
    result = transfer(steps=8, on_progress=seen.append, report_every=4)
    np.testing.assert_allclose(result.image, expected.image, atol=1e-3)
    same_terms(result.losses, expected.losses)
    same_terms(result.final, expected.final)
    assert [state.step for state in seen] == [4, 8] and result.evaluations == 8


@pytest.mark.parametrize(("count", "chunks"), [(1, [1]), (25, [25]), (26, [13, 26]), (80, [20, 40, 60, 80])])
def test_chunks_on_accelerators_are_of_one_length(count, chunks, as_on_an_accelerator):
    """So that they are a single program; none is longer than is compiled soon."""
    length = planned(steps=count).chunk
    assert [min(k + length, count) for k in range(0, count, length)] == chunks
