"""What `tpu_check.py` and `gpu_check.py` share: programs compiled for devices that are not there, and what they need.

Traffic is counted from the compiled program: every operation's operands and results, where they lie in the device's
main memory, on TPUs as the tiles that they fill. Operations within loops count once a step.
"""

import argparse
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from benchmark_steps import operations
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from jaxstyle import Adam, Lbfgs, OptaxLbfgs
from jaxstyle.engine.inputs import Inputs
from jaxstyle.engine.plan import Plan, Program
from jaxstyle.engine.scales import Scale
from jaxstyle.engine.steps import compile_scale
from jaxstyle.networks import ARCHITECTURES, Network
from jaxstyle.objective import Weights, default_objective
from jaxstyle.onepass.files import load_any_style, load_styles
from jaxstyle.onepass.painters import AnyPainter, StylePainter
from jaxstyle.ops.compile import compiled, platform_of
from jaxstyle.solvers import Solver


class Chip(NamedTuple):
    """One of JAX's devices of a kind: main memory, and the speeds of matrix products by type and of that memory."""

    gib: float
    tflops: dict[str, float]
    gb_per_second: float


class Case(NamedTuple):
    """A program to compile: the solver, how many lanes (None: a transfer), on how many devices; how many evaluations of
    the loss are in a step (in a line search's loop, one); whether it is a tile's part of an evaluation."""

    solver: Solver
    lanes: int | None
    devices: int
    evaluations: int
    tile: bool = False


CASES = {
    "adam": Case(Adam(), None, 1, 1),
    "lbfgs": Case(Lbfgs(), None, 1, 1),
    "optax-lbfgs": Case(OptaxLbfgs(), None, 1, 1),
    "sweep": Case(Adam(), 8, 1, 1),
    "sweep-of-4": Case(Adam(), 8, 4, 1),
    "lbfgs-sweep-of-4": Case(Lbfgs(), 8, 4, 1),
    "tile": Case(Adam(), None, 1, 1, tile=True),
}
PAINTED = ("stylize", "stylize-any")  # in one pass: a shipped style, the style of any picture


def compiled_step(case: Case, devices: Sequence[Any], network: str, size: int, precision: str, steps: int) -> Any:
    """The chunk of steps that `transfer` or `sweep` would run on such devices, compiled by the same function.

    Of a tile, this large in a picture of four times the sides, it is what pulls the gradient back to its pixels."""
    split: NamedSharding | None = None
    whole: Any = SingleDeviceSharding(devices[0])
    if case.devices > 1:
        mesh = Mesh(np.asarray(devices[: case.devices]), ("lanes",))
        split, whole = NamedSharding(mesh, PartitionSpec("lanes")), NamedSharding(mesh, PartitionSpec())

    def shape(*sides: int, dtype: Any = jnp.float32, lanes: bool = False) -> jax.ShapeDtypeStruct:
        front = (case.lanes,) if lanes and case.lanes else ()
        return jax.ShapeDtypeStruct((*front, *sides), dtype, sharding=split if front and split else whole)

    dtype = jnp.dtype(precision).type
    module = ARCHITECTURES[network].clone(dtype=dtype)
    params = {  # as `Network.for_steps` makes them
        name: {k: shape(*x, dtype=dtype) for k, x in shapes.items()} for name, shapes in module.parameter_shapes.items()
    }
    net = Network(params, network, module, "torchvision").for_device(platform_of(shape()))
    side, key = size * 4 if case.tile else size, shape(dtype=jax.random.key(0).dtype)
    picture = shape(side, side, 3)
    weights = Weights(shape(), shape(lanes=True), shape())
    rate = shape() if isinstance(case.solver, Adam) else None
    inputs = Inputs(picture, (picture,), weights, None, key, rate)
    batched = frozenset({"weights.style"}) if case.lanes else None
    program = Program(default_objective(net), case.solver, 0.0, "content", batched, split)
    scales, tile = (Scale((side, side), side),), size if case.tile else None
    executables = compile_scale(Plan(net, inputs, program, scales, steps, steps, case.lanes, tile), 0)
    return executables.evaluate.pull if case.tile else executables.step


def compiled_painting(name: str, device: Any, size: int) -> Any:
    """What `stylize` would run on such a device for a picture of this size."""
    whole = SingleDeviceSharding(device)

    def shapes(tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), jnp.result_type(x), sharding=whole), tree)

    picture = jax.ShapeDtypeStruct((size, size, 3), jnp.float32, sharding=whole)
    strength = jax.ShapeDtypeStruct((), jnp.float32, sharding=whole)
    if name == "stylize":
        painter = shapes(styles := load_styles())
        style = jax.ShapeDtypeStruct((len(styles.styles),), jnp.float32, sharding=whole)
        return compiled()(StylePainter.paint).ahead(painter, picture, style, strength, placed=True)[0]
    painter = shapes(load_any_style())
    style = shapes(jax.eval_shape(AnyPainter.describe, painter, picture))
    return compiled()(AnyPainter.paint).ahead(painter, picture, style, strength, placed=True)[0]


# ------------------------------------------------------------------------------------- traffic of a compiled program

BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "f32": 4, "s32": 4, "u32": 4, "f64": 8, "s64": 8, "u64": 8}
SHAPE = re.compile(r"(\w+)\[([\d,]*)\](?:\{([\d,]*)(?::([^}]*))?\})?")
OPERATION = re.compile(r"\s*(?:ROOT )?%?([\w.\-]+) = (\([^=]*?\)|\S+) ([\w\-]+)\((.*)")
FREE = {"parameter", "get-tuple-element", "bitcast", "tuple", "constant", "after-all", "while", "call", "conditional"}


def bytes_in_memory(shapes: str) -> int:
    """Bytes that arrays of these types, as the compiler writes them, fill in the main memory (no space, S(n))."""
    total = 0
    for kind, sides, order, layout in SHAPE.findall(shapes):
        if kind not in BYTES or re.search(r"S\([1-9]", layout):
            continue
        own = [int(x) for x in sides.split(",") if x]
        minor_first = [own[int(i)] for i in order.split(",") if i] if order else own[::-1]
        if tile := re.search(r"T\(([\d,]+)\)", layout):
            for i, side in enumerate(reversed(tile[1].split(","))):
                if i < len(minor_first):
                    minor_first[i] = math.ceil(minor_first[i] / int(side)) * int(side)
        total += math.prod(minor_first) * BYTES[kind]
    return total


def traffic(program: str) -> int:
    """Bytes to and from the main memory in a compiled program's text: of each loop's body, once."""
    program = re.sub(r"/\*.*?\*/", "", program)  # "/*index=5*/", in long lists
    total, loops = 0, set(re.findall(r"\bbody=%([\w.\-]+)", program))
    for computation in re.split(r"\n(?=%|ENTRY )", program):
        name = re.match(r"(?:ENTRY )?%?([\w.\-]*)", computation)
        if not (computation.startswith("ENTRY ") or (name and name[1] in loops)):
            continue  # what is fused or called is counted where it is used
        shapes: dict[str, str] = {}
        for line in computation.split("\n")[1:]:
            if not (found := OPERATION.match(line)):
                continue
            result, kind, operation, rest = found.groups()
            shapes[result] = kind
            if operation in FREE or operation.endswith("-done"):
                continue
            operands = [shapes.get(x, "") for x in re.findall(r"%([\w.\-]+)", rest.split("), ")[0])]
            total += bytes_in_memory(kind)  # of a copy on its way, "copy-start", that is source and destination
            if not operation.endswith("-start"):
                total += sum(map(bytes_in_memory, operands))
    return total


# ------------------------------------------------------------------------------------------------------------- report


def row(case_name: str, chip_name: str, chip: Chip, devices: Sequence[Any], options: Any) -> dict[str, Any]:
    """One line of the table."""
    began = time.perf_counter()
    precision = options.precision or ("bfloat16" if "bfloat16" in chip.tflops else "float32")
    if case_name in PAINTED:
        precision = "float32"
        program = compiled_painting(case_name, devices[0], options.size)
    else:
        case = CASES[case_name]
        program = compiled_step(case, devices, options.network, options.size, precision, options.steps)
    seconds = time.perf_counter() - began
    memory = program.memory_analysis()
    held = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
    held -= memory.alias_size_in_bytes
    moved, flops = traffic(program.as_text()), (program.cost_analysis() or {}).get("flops")
    if flops is None and case_name in PAINTED:
        flops = math.nan
    elif flops is None:  # GPUs' compiler does not say
        flops = operations(options.network, options.size) * case.evaluations * (case.lanes or 1) / case.devices
    return {
        "chip": chip_name,
        "program": case_name,
        "precision": precision,
        "size": options.size,
        "compile s": round(seconds),
        "memory GiB": held / 2**30,
        "of GiB": chip.gib,
        "TFLOP a step": flops / 1e12,
        "GB a step": moved / 1e9,
        "arithmetic ms": flops / chip.tflops.get(precision, math.nan) / 1e9,
        "memory ms": moved / chip.gb_per_second / 1e6,
    }


def report(description: str, chips: Mapping[str, Chip], devices_of: Callable[[str], Sequence[Any]]) -> None:
    """Parses a script's command line, compiles, prints a table as it comes.

    Args:
      description: the script's.
      chips: by name.
      devices_of: the name of a chip -> at least four of JAX's devices of that kind.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--network", default="vgg19", choices=ARCHITECTURES)
    parser.add_argument("--precision", choices=["bfloat16", "float32"], help="(default: what jaxstyle takes there)")
    parser.add_argument("--chips", nargs="+", default=list(chips), choices=chips)
    programs = [*CASES, *PAINTED]
    parser.add_argument("--programs", nargs="+", default=programs, choices=programs)
    parser.add_argument("--steps", type=int, default=25, help="of a chunk (default: %(default)s)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for chip in options.chips:
        for name in options.programs:
            rows.append(row(name, chip, chips[chip], devices_of(chip), options))
            if len(rows) == 1:
                print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
            values = (f"{x:.3g}" if isinstance(x, float) else str(x) for x in rows[-1].values())
            print("| " + " | ".join(values) + " |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
