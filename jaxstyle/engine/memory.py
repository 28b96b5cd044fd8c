"""How much memory a plan will need, known before it runs: as the compiler counts it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxstyle.engine.devices import gathered
from jaxstyle.engine.plan import Plan
from jaxstyle.engine.scales import scaled_size, scales_of
from jaxstyle.engine.steps import compile_scale, tiling_at
from jaxstyle.engine.tiles import can_be_tiled
from jaxstyle.errors import InputError
from jaxstyle.networks import Network
from jaxstyle.objective import LossTerms
from jaxstyle.solvers import Solver

# Of the features of all layers in one picture: what no step of it was seen to exceed (0.8 on CPU, 1.9 on TPU).
MOST = 3
TILES = (1024, 512, 256)  # sides in pixels that are tried; with smaller ones most of the work is on borders
HELD = 5  # pictures of the largest size beside programs and state: those given, before, so far, shown
KEPT_FREE = 0.1  # of what a device has free: for what the compiler does not count


def free_memory(device: Any) -> int | None:
    """Bytes that a program may have on a `jax.Device`; None where the device does not say, as CPUs."""
    stats = device.memory_stats() or {}
    if "bytes_limit" not in stats:
        return None
    return int((1 - KEPT_FREE) * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))


def bytes_needed(plan: Plan) -> int:
    """Bytes of the largest program that runs at the last scale, with its arguments and results, on each device.

    Arrays of the plan may be shapes.
    """
    largest = 0
    for executable in compile_scale(plan, len(plan.scales) - 1).all:
        memory = executable.memory_analysis()
        sizes = (memory.temp_size_in_bytes, memory.argument_size_in_bytes, memory.output_size_in_bytes)
        largest = max(largest, sum(sizes) - memory.alias_size_in_bytes)
    tiled = tiling_at(plan, len(plan.scales) - 1) is not None
    if tiled or (plan.program.solver.has_inner_loop and plan.on_cpu):
        largest += _state(plan) // _shares(plan)  # which is beside the programs, in none of them
    if tiled:
        largest += _held(plan.scales[-1].size)
    return largest


def in_memory(plan: Plan, *, available: int | None = None) -> Plan:
    """The plan of a transfer that fits: as it is, or else in tiles.

    Compiles only where it might not: where three times the features of all layers are more than there is.

    Args:
      plan: of a single picture.
      available: bytes; None for what the device has free, where it says so; where not, the plan stays as it is.

    Raises:
      InputError: it fits in no way; with what is needed, what there is, and the largest size that fits.
    """
    if plan.traced:
        return plan
    available = free_memory(plan.device) if available is None else available
    if available is None or (MOST * _features(plan) + _state(plan)) // _shares(plan) < available:
        return plan
    needed = _bytes_or_estimate(plan)
    if needed <= available:
        return plan
    for tile in TILES if plan.tile is None and can_be_tiled(plan.network, plan.program.objective) else ():
        tiled = dataclasses.replace(gathered(plan), tile=tile)
        if tiling_at(tiled, len(plan.scales) - 1) and (needed := _bytes_or_estimate(tiled)) <= available:
            return tiled
        plan = tiled
    raise too_large(plan.network, plan.scales[-1].picture, needed, available, lambda size: bytes_at(plan, size))


def check_least(size: tuple[int, int], solver: Solver, available: int) -> None:
    """Raises `InputError` where a picture of this (height, width) cannot be painted even in tiles: where the solver's
    state, and the pictures held beside it, are more than the bytes there are. Needs no picture and no compiler."""
    needed = _state_of(solver, size) + _held(size)
    if needed <= available:
        return
    height, width = size
    side = int(max(size) * math.sqrt(available / needed))
    what = f"{width} x {height} pixels need {_gigabytes(needed)} GB of memory or more"
    raise InputError(f"{what}, and {_gigabytes(available)} GB are free; a size above {side} cannot fit")


def _bytes_or_estimate(plan: Plan) -> int:
    """`bytes_needed`; compilers for accelerators refuse by themselves what does not fit."""
    try:
        return bytes_needed(plan)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return (MOST * _features(plan) + _state(plan)) // _shares(plan)


def _shares(plan: Plan) -> int:
    """Parts that the picture is in, each on a device with a memory of its own."""
    rows = plan.program.rows
    even = rows is not None and not plan.on_cpu and plan.scales[-1].size[0] % rows.mesh.size == 0
    return rows.mesh.size if rows is not None and even else 1


def too_large(
    network: Network, size: tuple[int, int], needed: int, available: int, at: Callable[[tuple[int, int]], int]
) -> InputError:
    """The refusal: looks for the largest size that fits, going down from where it should be."""
    height, width = size
    side = int(max(size) * math.sqrt(available / needed))
    least = ""
    while min(smaller := scaled_size(size, side / max(size), smallest=1)) >= network.module.smallest:
        if at(smaller) <= available:
            least = f"; size {side} would fit"
            break
        side = side * 9 // 10
    what = f"{width} x {height} pixels with {network.name} need some {_gigabytes(needed)} GB"
    return InputError(f"{what} of memory, and {_gigabytes(available)} GB are free{least}")


def _gigabytes(count: int) -> str:
    """Two digits, or all whole ones."""
    return f"{count / 1e9:.2g}" if count < 1e11 else f"{count / 1e9:.0f}"


def _features(plan: Plan) -> int:
    """Bytes of all layers' features up to the deepest wanted, of the largest picture: no compiler is asked."""
    tiling = tiling_at(plan, len(plan.scales) - 1)
    names = plan.network.layer_names
    deepest = max((names.index(layer) for layer in plan.program.objective.layers), default=0)
    largest = max((plan.inputs.content, *plan.inputs.styles), key=lambda x: math.prod(x.shape[-3:]))
    size = largest.shape[-3:-1] if tiling is None else tiling.shape
    shape = jax.ShapeDtypeStruct((*size, 3), largest.dtype)
    found = jax.eval_shape(lambda network, x: network.features(x, names[: deepest + 1]), plan.network, shape)
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in found.values())


def _state(plan: Plan) -> int:
    """Bytes of the solver's state at the last scale."""
    return _state_of(plan.program.solver, plan.scales[-1].size)


def _state_of(solver: Solver, size: tuple[int, int]) -> int:
    """Bytes of a solver's state for a picture of this (height, width)."""
    image = jax.ShapeDtypeStruct((*size, 3), jnp.float32)

    def evaluated(image: jax.Array) -> Any:
        return (jnp.zeros(()), LossTerms(*[jnp.zeros(())] * len(LossTerms._fields))), image

    found = jax.eval_shape(lambda image: solver.init(evaluated, image), image)
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(found))


def _held(size: tuple[int, int]) -> int:
    """Bytes of the pictures of this (height, width) that are held beside programs and state."""
    return HELD * 4 * 3 * math.prod(size)


def _where(plan: Plan, size: tuple[int, int]) -> jax.sharding.Sharding | None:
    """Where a picture of a single one's plan lies."""
    rows = plan.program.rows
    return None if rows is None else rows.of((*size, 3))


def bytes_at(plan: Plan, size: tuple[int, int]) -> int:
    """`bytes_needed` with the picture, and each style that is larger, at another size, and the same margin."""
    scales = scales_of([size], margin=plan.scales[-1].margin)
    smallest = plan.network.module.smallest

    def resized(picture: Any, size: tuple[int, int] | None = None) -> Any:
        own = picture.shape[-3:-1]
        size = size or scaled_size(own, min(1.0, scales[0].full / max(own)), smallest=smallest)
        return jax.ShapeDtypeStruct((*picture.shape[:-3], *size, 3), picture.dtype, sharding=_where(plan, size))

    inputs, program = plan.inputs, plan.program
    smaller = inputs._replace(
        content=resized(inputs.content, scales[0].size),
        styles=tuple(map(resized, inputs.styles)),
        start=None if inputs.start is None else resized(inputs.start),
    )
    if inputs.start is None and program.init is None:  # the start is the image of the scale before
        program = program._replace(init="content")
    return bytes_needed(dataclasses.replace(plan, inputs=smaller, program=program, scales=scales))
