"""`jax.jit` as this package uses it: with options for XLA's CPU compiler, and ahead of time on another thread."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

# The older way to turn fused operations into loops, and fewer passes over them, compile a step in a third of the time;
# the steps are no slower, on some versions faster: the time goes into convolutions, which are library calls. Of the
# two libraries the newer one (YNNPACK, which "" leaves out) is a fifth slower with the few channels of `compact`, and
# less than a tenth faster with those of a whole VGG.
CPU_OPTIONS = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_experimental_ynn_fusion_type": "",
}


def is_traced(*trees: Any) -> bool:
    """Whether anything in them stands for an array within `jax.jit` or the like."""
    return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(trees))


def platform_of(x: Any) -> str:
    """The kind of device, "cpu", "gpu" or "tpu", where an array lies, or a shape is to lie; of what lies nowhere, the
    default one."""
    concrete = isinstance(x, jax.Array | jax.ShapeDtypeStruct) and not isinstance(x, jax.core.Tracer)
    sharding = x.sharding if concrete else None
    return jax.default_backend() if sharding is None else next(iter(sharding.device_set)).platform


@functools.cache
def compiler_options(*, platform: str = "cpu") -> dict[str, Any] | None:
    """Those of `CPU_OPTIONS` that this version of XLA knows; None on other devices."""
    if platform != "cpu" or jax.default_backend() != "cpu":
        return None
    known = {}
    for name, value in CPU_OPTIONS.items():
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # no such option
            jax.jit(jnp.negative, compiler_options={name: value}).lower(0.0).compile()
            known[name] = value
    return known or None


class Compiled:
    """A function that is compiled at its first call, with the compiler's options for the device of its arguments.

    Called while tracing, it is traced with the rest.
    """

    def __init__(
        self, function: Callable[..., Any], static_argnames: tuple[str, ...], donated: tuple[str, ...]
    ) -> None:
        self.function, self.static_argnames, self.donated = function, static_argnames, donated
        self._jitted: dict[str, Any] = {}
        functools.update_wrapper(self, function)

    def _for(self, arguments: Any) -> Any:
        """The jitted function for the device of the arguments, made once: it has the programs."""
        platform = next((platform_of(x) for x in jax.tree.leaves(arguments)), jax.default_backend())
        if platform not in self._jitted:
            self._jitted[platform] = jax.jit(
                self.function,
                static_argnames=self.static_argnames,
                donate_argnames=self.donated,
                compiler_options=compiler_options(platform=platform),
            )
        return self._jitted[platform]

    def __call__(self, *arguments: Any, **static: Any) -> Any:
        """The function's result; static arguments are given by name."""
        function = self.function if is_traced(*arguments) else self._for(arguments)
        return function(*arguments, **static)

    def ahead(self, *arguments: Any, placed: bool, **static: Any) -> tuple[Any, Any]:
        """Compiles for arguments of these shapes, without a call.

        Returns:
          The executable, `jax.stages.Compiled`, to be called with such arguments, without the static ones; and its
          result as shapes, if `placed` with the devices where it will lie.
        """
        lowered = self._for(arguments).lower(*arguments, **static)
        executable = lowered.compile()
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), lowered.out_info)
        if placed:
            shapes = jax.tree.map(
                lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
                shapes,
                executable.output_shardings,
            )
        return executable, shapes


def compiled(*static_argnames: str, donated: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Compiled]:
    """A decorator: `jax.jit` with the compiler's options; the memory of `donated` arguments is the result's to use."""
    return lambda function: Compiled(function, static_argnames, donated)


@contextlib.contextmanager
def on_a_thread(jobs: Sequence[Callable[[], Any]]) -> Iterator[list[Future]]:
    """Runs jobs, one after the other, on a thread beside the block; jobs not begun when it ends are dropped."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="compile")
    try:
        yield [pool.submit(job) for job in jobs]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
