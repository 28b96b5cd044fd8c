"""`jax.jit` as this package uses it: with options for XLA's CPU compiler, and ahead of time on another thread."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

# The older way to turn fused operations into loops, and fewer passes over them, compile a step in a third of the time;
# the steps are no slower, on some versions faster: the time goes into convolutions, which are library calls.
CPU_OPTIONS = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}


@functools.cache
def compiler_options() -> dict[str, Any] | None:
    """Those of `CPU_OPTIONS` that this version of XLA knows; None on other devices."""
    if jax.default_backend() != "cpu":
        return None
    known = {}
    for name, value in CPU_OPTIONS.items():
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # no such option
            jax.jit(jnp.negative, compiler_options={name: value}).lower(0.0).compile()
            known[name] = value
    return known or None


class Compiled:
    """A function compiled at its first call, with the compiler's options; called while tracing, it is just traced."""

    def __init__(self, function: Callable[..., Any], static_argnames: tuple[str, ...]) -> None:
        self.function, self.static_argnames = function, static_argnames
        functools.update_wrapper(self, function)

    @functools.cached_property
    def _jitted(self) -> Any:
        return jax.jit(self.function, static_argnames=self.static_argnames, compiler_options=compiler_options())

    def __call__(self, *arguments: Any, **static: Any) -> Any:
        """The function's result; static arguments are given by name."""
        traced = any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(arguments))
        return (self.function if traced else self._jitted)(*arguments, **static)

    def ahead(self, *arguments: Any, placed: bool, **static: Any) -> tuple[Any, Any]:
        """Compiles for arguments of these shapes, so that a call with such arguments finds its program.

        Returns:
          The program; and its result as shapes, `placed` on the devices where it will lie.
        """
        lowered = self._jitted.lower(*arguments, **static)
        program = lowered.compile()
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), lowered.out_info)
        if placed:
            shapes = jax.tree.map(
                lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
                shapes,
                program.output_shardings,
            )
        return program, shapes


def compiled(*static_argnames: str) -> Callable[[Callable[..., Any]], Compiled]:
    """A decorator: `jax.jit` with the compiler's options."""
    return lambda function: Compiled(function, static_argnames)


@contextlib.contextmanager
def rehearsal(jobs: Sequence[Callable[[], Any]]) -> Iterator[list[Future]]:
    """Runs jobs, one after the other, on a thread beside the block; jobs not begun when it ends are dropped."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="compile")
    try:
        yield [pool.submit(job) for job in jobs]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
