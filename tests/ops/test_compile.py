"""`jax.jit` with the compiler's options: which of them are known, what is compiled ahead, and jobs on a thread."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.ops import compile as compiling
from jaxstyle.ops.compile import compiled, compiler_options, is_traced, on_a_thread, platform_of
from tiny import compilations

pytestmark = pytest.mark.quick

KNOWN = {"xla_backend_optimization_level": 1}


@pytest.fixture
def options(monkeypatch):
    """Has the compiler asked anew, for these options."""

    def found(wanted, **where):
        monkeypatch.setattr(compiling, "CPU_OPTIONS", wanted)
        compiler_options.cache_clear()
        return compiler_options(**where)

    yield found
    compiler_options.cache_clear()


def test_an_option_that_this_version_of_xla_does_not_have_is_left_out(options):
    assert options(KNOWN | {"xla_cpu_an_experiment_that_is_gone": ""}) == KNOWN
    assert options({"xla_cpu_an_experiment_that_is_gone": 1}) is None
    assert options({}) is None


def test_an_option_whose_value_is_no_longer_one_is_left_out(options):
    assert options(KNOWN | {"xla_cpu_use_fusion_emitters": "perhaps"}) == KNOWN


def test_the_options_asked_for_are_known_to_some_version_and_the_first_to_all(options):
    assert compiler_options().items() >= KNOWN.items() and compiler_options().keys() <= compiling.CPU_OPTIONS.keys()


def test_other_devices_have_none(options, monkeypatch):
    assert options(KNOWN, platform="gpu") is None
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert options(KNOWN, platform="cpu") is None


def test_a_step_is_compiled_and_runs_where_all_options_are_gone(options):
    options({"xla_cpu_an_experiment_that_is_gone": 1})
    double = compiled()(lambda x: 2 * x)
    np.testing.assert_array_equal(double(jnp.arange(3.0)), [0, 2, 4])


def test_an_error_of_the_program_itself_is_no_missing_option(options):
    with pytest.raises(TypeError, match="dot_general"):
        compiled()(lambda x: x @ jnp.ones((5, 5)))(jnp.ones((3, 3)))


@compiled("power", donated=("state",))
def raised(x, state, *, power):
    return x**power, state + 1


def test_static_arguments_are_by_name_and_the_same_ones_compile_nothing():
    x = jnp.arange(4.0)
    for power in (2.0, 3.0):
        np.testing.assert_allclose(raised(x, jnp.zeros(2), power=power)[0], np.arange(4.0) ** power)
    y, state = x + 1, jnp.ones(2)
    with compilations() as counted:
        raised(y, state, power=2.0)
    assert counted == [0] and state.is_deleted()


def test_within_a_trace_it_is_a_plain_function():
    x, zero = jnp.arange(3.0), jnp.zeros(())
    assert not is_traced(x, {"a": 1}) and platform_of(x) == "cpu"
    found = jax.jit(lambda x: raised(x, zero, power=2.0)[0] + (1.0 if is_traced(x) else 0.0))(x)
    np.testing.assert_array_equal(found, [1, 2, 5])
    together = jax.vmap(lambda x: raised(x, zero, power=2.0)[0])(jnp.stack([x, 2 * x]))
    np.testing.assert_array_equal(together, [[0, 1, 4], [0, 4, 16]])


def test_what_is_compiled_ahead_runs_without_being_compiled_again():
    @compiled("power")
    def made(x, *, power):
        return {"y": x**power, "shape": jnp.zeros(x.shape[:1], jnp.int32)}

    shape = jax.ShapeDtypeStruct((5, 2), jnp.float32)
    executable, result = made.ahead(shape, power=3.0, placed=False)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), result) == {"y": ((5, 2), "float32"), "shape": ((5,), "int32")}
    x = jnp.full((5, 2), 2.0)
    with compilations() as counted:
        found = executable(x)
    assert counted == [0]
    np.testing.assert_array_equal(found["y"], np.full((5, 2), 8.0))
    _, placed = made.ahead(x, power=3.0, placed=True)
    assert {y.sharding.device_set == x.sharding.device_set for y in placed.values()} == {True}
    jax.clear_caches()
    np.testing.assert_array_equal(executable(x)["y"], found["y"])


def test_jobs_run_in_order_beside_the_block_and_those_not_begun_are_dropped():
    began, go, ran = threading.Event(), threading.Event(), []

    def slow():
        began.set()
        go.wait(30)
        ran.append(threading.current_thread() is not threading.main_thread())
        return 1

    with pytest.raises(KeyError), on_a_thread([slow, lambda: ran.append("never")]) as jobs:
        began.wait(30)
        raise KeyError
    go.set()
    assert jobs[0].result(30) == 1 and jobs[1].cancelled() and ran == [True]
    with on_a_thread([lambda: ran.append("a"), lambda: 1 / 0]) as jobs:
        jobs[0].result()
        with pytest.raises(ZeroDivisionError):
            jobs[1].result()
    assert ran == [True, "a"]
