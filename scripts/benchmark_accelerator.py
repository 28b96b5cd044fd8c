"""What an accelerator makes of the program: whether it is right there, and how fast. Run by benchmark.py, and with all
else that wants a device by accelerator_day.sh."""

import argparse
import contextlib
import functools
import importlib.metadata
import importlib.util
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from benchmark_problem import STYLE_LAYERS, WEIGHTS, random_problem
from benchmark_steps import matrix_peak, operations
from benchmark_torch import Side

PACKAGES = "jax jaxlib jax-cuda13-plugin jax-cuda12-plugin flax optax jaxopt h5py pillow safetensors jaxtyping beartype"
PACKAGES += " grain orbax-checkpoint pytest torch triton"
# Type of the convolutions, and JAX's precision of products of float32: None is the default, TF32 on NVIDIA's cards.
PRECISIONS = {
    "float32, highest": ("float32", "highest"),
    "float32": ("float32", None),
    "bfloat16": ("bfloat16", None),
}
SIDES = {"PyTorch": ("torch", "float32"), "PyTorch compiled": ("torch.compile", "bfloat16")}


def versions(_: argparse.Namespace) -> Iterator[dict]:
    """Packages, those that are missing too, and devices."""
    yield {"what": "Python", "version": sys.version.split()[0]}
    for name in PACKAGES.split():
        try:
            yield {"what": name, "version": importlib.metadata.version(name)}
        except importlib.metadata.PackageNotFoundError:
            yield {"what": name, "version": "missing"}
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,power.limit", "--format=csv,noheader"]
        yield {
            "what": "card",
            "version": subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip(),
        }
    import jax

    yield {
        "what": "device",
        "version": f"{jax.devices()[0].device_kind}, {len(jax.devices())} of {jax.default_backend()}",
    }


def agreement(options: argparse.Namespace) -> Iterator[dict]:
    """Features, loss and gradient on the device against those on the CPU in float32: |difference| / |the CPU's|."""
    import jax

    for network in options.networks:
        for size in options.sizes:
            found = functools.partial(_evaluated, network, size)
            reference = found(jax.devices("cpu")[0], "float32, highest")
            for precision in PRECISIONS:
                here = found(jax.devices()[0], precision)
                errors = {name: _distance(here[name], value) for name, value in reference.items()}
                yield {"network": network, "size": size, "precision": precision, **errors}


def _evaluated(network: str, size: int, device: Any, precision: str) -> dict[str, np.ndarray]:
    """Features by layer, loss and gradient, computed on a device."""
    import jax

    from jaxstyle.networks import ARCHITECTURES, Network
    from jaxstyle.objective import Weights, loss_terms, make_targets

    kind, products = PRECISIONS[precision]
    params, *pictures = random_problem(network, size)
    module = ARCHITECTURES[network].clone(dtype=jax.numpy.dtype(kind).type)
    with jax.default_device(device), jax.default_matmul_precision(products):
        net = Network(jax.device_put(params, device), network, module, "torchvision").for_steps()
        content, style, image = jax.device_put(pictures, device)
        weights = jax.device_put(jax.tree.map(np.float32, Weights(*WEIGHTS)), device)
        targets = jax.jit(make_targets)(net, content, [style])
        loss = jax.value_and_grad(lambda *inputs: loss_terms(*inputs).total)
        layers = (*STYLE_LAYERS, "relu4_2")
        features, (value, gradient) = jax.jit(lambda *inputs: (inputs[1].features(inputs[0], layers), loss(*inputs)))(
            image, net, targets, weights
        )
    return {name: np.float64(x) for name, x in (features | {"loss": value, "gradient": gradient}).items()}


def _distance(value: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


class Running(NamedTuple):
    """A program ready to be measured: one call is `pictures` steps, and memory is what the compiler counts."""

    seconds: Callable[[], float]
    memory: float


def accelerated(options: argparse.Namespace) -> Iterator[dict]:
    """Milliseconds of a step of Adam for each picture: by precision, alone and in lanes, against PyTorch's loss and
    gradient; in turns, medians.

    PyTorch's own best of one kind each: eager with TF32 and channels last, and compiled with bfloat16.
    """
    peaks = {name: _peak(name) for name in PRECISIONS}
    for size in options.sizes:
        for network in options.networks:
            yield from _beside_torch(network, size, options, peaks)


def _peak(precision: str) -> float:
    import jax

    kind, products = PRECISIONS[precision]
    with jax.default_matmul_precision(products):
        return matrix_peak(kind)


def _beside_torch(network: str, size: int, options: argparse.Namespace, peaks: dict[str, float]) -> Iterator[dict]:
    """The rows of one network at one size: all programs are made ready at once, PyTorch's in processes of their own."""
    others = {}
    if importlib.util.find_spec("torch"):
        others = {name: Side(side, network, size, kind) for name, (side, kind) in SIDES.items()}
    keys = [(precision, lanes) for lanes in options.lanes for precision in PRECISIONS]
    ready: dict[Any, Running] = {}
    notes: dict[Any, str] = {}
    with ThreadPoolExecutor(len(keys)) as pool:
        futures = {key: pool.submit(_prepared, network, size, *key, options.steps) for key in keys}
        for key, future in futures.items():
            try:
                ready[key] = future.result()
            except Exception as error:  # too large for the device, say: the others are measured
                notes[key] = _line(error)
    for name, side in others.items():
        try:
            assert np.isfinite(side.value)
            ready[name] = Running(side.measure, math.nan)
        except Exception as error:
            notes[name] = _line(error)
    times: dict[Any, list[float]] = {key: [] for key in ready}
    for _ in range(options.repeats):
        for key in [key for key in ready if key not in notes]:
            try:
                times[key].append(ready[key].seconds())
            except Exception as error:
                notes[key] = _line(error)
    for side in others.values():
        side.close()
    medians = {key: statistics.median(values) for key, values in times.items() if values}
    for key in [*others, *keys]:
        what, lanes = (f"jaxstyle, {key[0]}", key[1]) if isinstance(key, tuple) else (key, 1)
        seconds = medians.get(key, math.nan) / lanes
        row = {"network": network, "size": size, "what": what, "lanes": lanes, "ms": 1e3 * seconds}
        peak = peaks[key[0]] if isinstance(key, tuple) else peaks[SIDES[key][1]]
        row["of the peak"] = operations(network, size) / seconds / peak
        row["memory, GiB"] = ready[key].memory / 2**30 if key in ready else math.nan
        row |= {f"/ {name}": seconds / medians.get(name, math.nan) for name in SIDES}
        yield row | {"note": notes.get(key, "")}


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120].replace("|", "/")


def _prepared(network: str, size: int, precision: str, lanes: int, steps: int) -> Running:
    """A chunk of steps of Adam, compiled as `transfer` and `sweep` compile it."""
    import jax

    from jaxstyle import Adam, Weights
    from jaxstyle.engine.plan import make_plan
    from jaxstyle.engine.steps import compile_scale, make_runner
    from jaxstyle.networks import ARCHITECTURES, Network

    kind, products = PRECISIONS[precision]
    params, content, style, _ = random_problem(network, size)
    module = ARCHITECTURES[network].clone(dtype=jax.numpy.dtype(kind).type)
    net = Network(jax.device_put(params), network, module, "torchvision")
    weights = Weights(style=np.geomspace(5, 300, lanes, dtype=np.float32) if lanes > 1 else 30.0)
    with jax.default_matmul_precision(products):
        plan, _ = make_plan(
            content,
            style if lanes > 1 else [style],
            network=net,
            weights=weights,
            solver=Adam(),
            steps=steps,
            min_size=size,
            batch=lanes > 1,
        )
        executables = compile_scale(plan, 0)
    memory = executables.step.memory_analysis()
    held = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
    started: list[Any] = []

    def seconds() -> float:
        if not started:  # only now, so that what does not fit into memory is no other program's trouble
            runner = make_runner(plan, executables, None)
            started.extend([runner, jax.block_until_ready(runner.advance(runner.first, plan.chunk))[0]])
        runner, state = started
        began = time.perf_counter()
        started[1] = jax.block_until_ready(runner.advance(state, plan.chunk))[0]
        return (time.perf_counter() - began) / plan.chunk

    return Running(seconds, held - memory.alias_size_in_bytes)


def random_weights(options: argparse.Namespace) -> Iterator[dict]:
    """A file of random weights, where the real ones are not at hand: a step takes as long with them."""
    from jaxstyle.networks import random_network
    from jaxstyle.weights import save_weights

    net = random_network(options.network)
    about = {"network": options.network, "source": "random", "licence": "none"}
    save_weights(options.weights, net.params, preprocessing=net.preprocessing, **about)
    yield {"network": options.network, "file": options.weights}
