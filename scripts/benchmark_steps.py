"""Steps by themselves: milliseconds, arithmetic against the device's best, memory. Run by benchmark.py."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmark_problem import STYLE_LAYERS, WEIGHTS, random_problem


class Evaluation(NamedTuple):
    """Value and gradient, compiled: `run` is one, and gives the loss; the rest is what it is of."""

    run: Callable[[], float]
    problem: tuple
    image: object


def jax_evaluation(network: str, size: int, precision: str) -> Evaluation:
    """Value and gradient of jaxstyle's loss."""
    import jax

    from jaxstyle.cli.startup import keep_freed_memory
    from jaxstyle.networks import ARCHITECTURES, Network
    from jaxstyle.objective import Weights, loss_terms, make_targets
    from jaxstyle.ops.compile import compiler_options

    keep_freed_memory()
    params, content, style, image = random_problem(network, size)
    module = ARCHITECTURES[network].clone(dtype=jax.numpy.dtype(precision).type)
    net = Network(jax.device_put(params), network, module, "torchvision").for_steps()
    targets = jax.jit(make_targets)(net, content, [style])
    weights = jax.device_put(jax.tree.map(np.float32, Weights(*WEIGHTS)))
    options = compiler_options(platform=jax.default_backend())
    loss = jax.jit(jax.value_and_grad(lambda *inputs: loss_terms(*inputs).total), compiler_options=options)
    image = jax.device_put(image)
    problem = (net, targets, weights)
    return Evaluation(lambda: float(jax.block_until_ready(loss(image, *problem))[0]), problem, image)


def operations(network: str, size: int) -> float:
    """Multiplications and additions, counted as two, of the convolutions and Gram matrices of a value and gradient."""
    from jaxstyle.networks import ARCHITECTURES

    total = 0.0
    for name, shapes in ARCHITECTURES[network].parameter_shapes.items():
        height, width, before, after = shapes["kernel"]
        positions = (size // 2 ** (int(name[4]) - 1)) ** 2
        if int(name[4]) < 5 or name.startswith("conv5_1"):
            total += 2 * 2 * positions * height * width * before * after  # there and back
        if "bias" in shapes and "relu" + name[4:].removesuffix("_expand") in STYLE_LAYERS:
            total += 2 * 2 * positions * after**2
    return total


def matrix_peak(precision: str) -> float:
    """Operations a second of the best of some products of two square matrices."""
    import jax

    side = 2048 if jax.default_backend() == "cpu" else 8192
    a = jax.random.normal(jax.random.key(0), (side, side), precision)  # of ones, GPUs make faster products
    product = jax.jit(lambda a: a @ a)
    times = []
    for _ in range(8):
        began = time.perf_counter()
        jax.block_until_ready(product(a))
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times)


def measure_step(network: str, size: str, precision: str, repeats: str) -> None:
    """A worker, of which the peak of memory is this program's alone: prints a row as JSON."""
    import resource

    import jax

    from jaxstyle import Adam
    from jaxstyle.engine.plan import Program
    from jaxstyle.engine.steps import Problem, compiled_first, compiled_step
    from jaxstyle.objective import Objective

    evaluation = jax_evaluation(network, int(size), precision)
    problem, program = Problem(*evaluation.problem), Program(Objective(), Adam())
    state = [compiled_first(problem, evaluation.image, np.float32(0.015), program=program)]

    def step() -> None:
        state[0], _ = jax.block_until_ready(compiled_step(problem, state[0], program=program))

    medians = []
    for run in (evaluation.run, step):
        run()
        times = []
        for _ in range(int(repeats)):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        medians.append(statistics.median(times))
    stats = jax.devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    best = matrix_peak(precision)
    speed = operations(network, int(size)) / medians[0]
    row = {
        "network": network,
        "size": int(size),
        "precision": precision,
        "loss and gradient, ms": 1e3 * medians[0],
        "Adam step, ms": 1e3 * medians[1],
        "GFLOP/s": speed / 1e9,
        "of the best product": speed / best,
        "peak memory, MB": peak / 2**20,
    }
    print(json.dumps(row))


def steps(options: argparse.Namespace) -> Iterator[dict]:
    """Each row from a process of its own."""
    for precision in options.precisions:
        for size in options.sizes:
            script = str(Path(__file__).with_name("benchmark.py"))
            line = [sys.executable, script, "measure-step", options.network, size, precision, options.repeats]
            found = subprocess.run([str(word) for word in line], check=True, capture_output=True, text=True)
            yield json.loads(found.stdout.splitlines()[-1])


def overhead(options: argparse.Namespace) -> list[dict]:
    """Seconds to the first look, and what a step inside `transfer` costs over the bare compiled one."""
    import jax

    import jaxstyle
    from jaxstyle.ops.compile import compiler_options

    net = jaxstyle.load_network("compact").for_steps()  # on both sides: `transfer` does so too
    folder = Path(jaxstyle.__file__).parent / "demo"
    content, style = (
        jaxstyle.load_image(folder / f"{name}.jpg", options.size) for name in ("content", "style_strokes")
    )
    began, marks = time.perf_counter(), []
    jaxstyle.transfer(
        content,
        style,
        network=net,
        steps=100,
        min_size=options.size,
        on_progress=lambda _: marks.append(time.perf_counter()),
    )
    inside = statistics.median(np.diff(marks)) / 10
    targets = jax.jit(jaxstyle.make_targets)(net, content, [style])
    weights = jax.tree.map(np.float32, jaxstyle.Weights())
    loss = jax.jit(
        jax.value_and_grad(lambda *inputs: jaxstyle.loss_terms(*inputs).total), compiler_options=compiler_options()
    )
    image, bare = jax.device_put(content), []
    for _ in range(30):
        start = time.perf_counter()
        jax.block_until_ready(loss(image, net, targets, weights))
        bare.append(time.perf_counter() - start)
    bare = statistics.median(bare)
    return [
        {
            "size": options.size,
            "start": marks[0] - began - 10 * inside,
            "step": inside,
            "bare": bare,
            "ratio": inside / bare,
        }
    ]
