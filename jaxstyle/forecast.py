"""How much memory a transfer will need, known before it runs: as the compiler counts it."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxstyle.errors import InputError
from jaxstyle.lanes import Inputs
from jaxstyle.networks import Network
from jaxstyle.programs import Program, Scale, compile_ahead, scales_of
from jaxstyle.starts import scaled_size

# Of the features of all layers in one picture: what no step of it was seen to exceed (0.8 on CPU, 1.9 on TPU).
MOST = 3
KEPT_FREE = 0.1  # of what a device has free: for what the compiler does not count


def free_memory(device: Any) -> int | None:
    """Bytes that a program may have on a `jax.Device`; None where the device does not say, as CPUs."""
    stats = device.memory_stats() or {}
    if "bytes_limit" not in stats:
        return None
    return int((1 - KEPT_FREE) * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))


def bytes_needed(
    network: Network, inputs: Inputs, program: Program, last: Scale, count: int, before: tuple[int, int] | None
) -> int:
    """Bytes of the largest program that runs at the last scale, with its arguments and results, on each device.

    Args:
      network, inputs, program: as given to `paint`; arrays may be shapes.
      last: the scale.
      count: steps of a chunk.
      before: size of the scale before.
    """
    largest = 0
    for compiled in compile_ahead(network, inputs, before, last, program, count):
        memory = compiled.memory_analysis()
        sizes = (memory.temp_size_in_bytes, memory.argument_size_in_bytes, memory.output_size_in_bytes)
        largest = max(largest, sum(sizes) - memory.alias_size_in_bytes)
    return largest


def check_memory(
    network: Network,
    inputs: Inputs,
    program: Program,
    last: Scale,
    count: int,
    before: tuple[int, int] | None,
    available: int | None,
) -> None:
    """Refuses a transfer that does not fit.

    Compiles only where it might not: where three times the features of all layers are more than there is.

    Args:
      network, inputs, program, last, count, before: as for `bytes_needed`.
      available: bytes; None for unknown, and nothing is refused.

    Raises:
      InputError: with what is needed, what there is, and the largest size that fits.
    """
    if available is None or MOST * _features(network, inputs, program) < available:
        return
    try:
        needed = bytes_needed(network, inputs, program, last, count, before)
    except jax.errors.JaxRuntimeError as error:  # compilers for accelerators refuse by themselves
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        needed = MOST * _features(network, inputs, program)
    if needed > available:
        at = functools.partial(bytes_at, network, inputs, program, count, last.margin)
        raise too_large(network, last.picture, needed, available, at)


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
    what = f"{width} x {height} pixels with {network.name} need some {needed / 1e9:.2g} GB"
    return InputError(f"{what} of memory, and {available / 1e9:.2g} GB are free{least}")


def _features(network: Network, inputs: Inputs, program: Program) -> int:
    """Bytes of all layers' features up to the deepest wanted, of the largest picture: no compiler is asked."""
    names = network.layer_names
    deepest = max((names.index(layer) for layer in program.objective.layers), default=0)
    pictures: Sequence[Any] = [inputs.content, *inputs.styles]
    largest = max(pictures, key=lambda x: math.prod(x.shape[-3:]))
    shape = jax.ShapeDtypeStruct(largest.shape[-3:], largest.dtype)
    found = jax.eval_shape(lambda network, x: network.features(x, names[: deepest + 1]), network, shape)
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in found.values())


def bytes_at(network: Network, inputs: Inputs, program: Program, count: int, margin: int, size: tuple[int, int]) -> int:
    """`bytes_needed` with the picture, and each style that is larger, at another size, and the same margin."""
    (scale,) = scales_of([size], init="content" if inputs.start is None else None, margin=margin)

    def resized(picture: Any) -> Any:
        own = picture.shape[-3:-1]
        ratio = min(1.0, scale.full / max(own))
        own = scale.size if picture is inputs.content else scaled_size(own, ratio, smallest=network.module.smallest)
        return jax.ShapeDtypeStruct((*picture.shape[:-3], *own, 3), picture.dtype)

    start = None if inputs.start is None else resized(inputs.start)
    smaller = inputs._replace(
        content=resized(inputs.content), styles=tuple(resized(style) for style in inputs.styles), start=start
    )
    return bytes_needed(network, smaller, program, scale, count, None)
