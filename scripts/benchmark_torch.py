"""jaxstyle against PyTorch: the same terms, written in torch's own idiom. Run by benchmark.py."""

import argparse
import functools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from benchmark_problem import STYLE_LAYERS, WEIGHTS, arrays_of, random_problem
from benchmark_steps import jax_evaluation


def torch_features(params: dict, device: str = "cpu") -> Callable:
    """VGG in torch's own idiom: image (1, 3, h, w), channels last -> features by layer."""
    import torch
    import torch.nn.functional as F

    def tensor(array: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(array.transpose(3, 2, 0, 1).copy())
        return x.contiguous(memory_format=torch.channels_last).to(device)

    kernels = {
        name: (tensor(p["kernel"]), torch.from_numpy(p["bias"]).to(device) if "bias" in p else None)
        for name, p in params.items()
    }
    mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], device=device).view(1, 3, 1, 1)

    def features(image: torch.Tensor) -> dict:
        x, found, block = (image - mean) / std, {}, 1
        for name, (kernel, bias) in kernels.items():
            if int(name[4]) != block:
                x, block = F.max_pool2d(x, 2), int(name[4])
            x = F.conv2d(x, kernel, bias, padding=kernel.shape[2] // 2)
            if bias is not None:  # only the last of a factorised convolution has one, and is rectified
                x = F.relu(x)
                found["relu" + name[4:].removesuffix("_expand")] = x
            if "relu5_1" in found:
                break
        return found

    return features


def torch_loss(
    params: dict, content: np.ndarray, style: np.ndarray, precision: str = "float32", device: str = "cpu"
) -> Callable:
    """The same terms as jaxstyle's default objective; bfloat16 by autocast, with Gram matrices in float32."""
    import torch

    plain = torch_features(params, device)

    def features(image: torch.Tensor) -> dict:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            found = plain(image)
        return {name: x.float() for name, x in found.items()}

    def tensor(image: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
        return x.contiguous(memory_format=torch.channels_last).to(device)

    def gram(x: torch.Tensor) -> torch.Tensor:
        flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        return flat.T @ flat / flat.shape[0]

    with torch.no_grad():
        kept = features(tensor(content))["relu4_2"]
        grams = {layer: gram(x) for layer, x in features(tensor(style)).items() if layer in STYLE_LAYERS}

    def loss(image: torch.Tensor) -> torch.Tensor:
        found = features(image)
        content_term = ((found["relu4_2"] - kept) ** 2).sum() / (kept**2).sum()
        style_terms = [((gram(found[k]) - g) ** 2).sum() / (g**2).sum() for k, g in grams.items()]
        below, right = image[..., 1:, :] - image[..., :-1, :], image[..., 1:] - image[..., :-1]
        variation = (below**2).mean() + (right**2).mean()
        return WEIGHTS[0] * content_term + WEIGHTS[1] * sum(style_terms) / 5 + WEIGHTS[2] * variation

    loss.tensor = tensor
    return loss


def torch_side(network: str, size: int, precision: str, compiled: bool) -> Callable[[], float]:
    """value-and-gradient of PyTorch with its best settings: channels last, all cores, TF32 and cuDNN's tuning."""
    import torch

    os.environ["JAX_PLATFORMS"] = "cpu"  # which only makes the problem here, and leaves the device's memory alone
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    params, content, style, image = random_problem(network, size)
    loss = torch_loss(params, content, style, precision, device)
    start = loss.tensor(image)
    evaluate = torch.compile(loss) if compiled else loss

    def run() -> float:
        x = start.clone().requires_grad_()
        value = evaluate(x)
        value.backward()
        if device == "cuda":
            torch.cuda.synchronize()
        return value.item()

    return run


SIDES = {
    "jax": lambda *problem: jax_evaluation(*problem).run,
    "torch": lambda *problem: torch_side(*problem, compiled=False),
    "torch.compile": lambda *problem: torch_side(*problem, compiled=True),
}


def serve(side: str, network: str, size: str, precision: str, threads: str) -> None:
    """A worker: for each line on stdin, one timed evaluation; a line of JSON out."""
    keep_to(int(threads))
    run = SIDES[side](network, int(size), precision)
    value = run()
    run()
    print(json.dumps({"value": value}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter(), time.process_time()
        run()
        taken = time.perf_counter() - began[0], time.process_time() - began[1]
        print(json.dumps(dict(zip(("clock", "processor"), taken, strict=True))), flush=True)


def keep_to(threads: int) -> None:
    """Leaves this process, in which nothing runs yet, so many cores; 0 for all."""
    if threads:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


class Side:
    """A worker process, that gets ready while others do.

    Args:
      name: in `SIDES`.
      problem: network, size and precision.
      threads: cores that it may use; 0 for all.
    """

    def __init__(self, name: str, *problem: object, threads: int = 0) -> None:
        command = [sys.executable, str(Path(__file__).with_name("benchmark.py")), "serve", name]
        command += [str(word) for word in (*problem, threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.time = "processor" if threads == 1 else "clock"

    @functools.cached_property
    def value(self) -> float:
        """The loss, as soon as the process is ready to measure."""
        return json.loads(self.process.stdout.readline())["value"]

    def measure(self) -> float:
        """Seconds of one evaluation: by the clock, or, of one thread, that it had a core, which others' work on the
        machine hardly changes."""
        assert math.isfinite(self.value)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())[self.time]

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def against_torch(options: argparse.Namespace) -> Iterator[dict]:
    """Loss and gradient: seconds of each side, and the median of the ratios of evaluations made in turn."""
    for precision in options.precisions:
        for size in options.sizes:
            start = functools.partial(Side, threads=options.threads)
            names = ["jax", "torch", *["torch.compile"] * options.compile]
            sides = {name: start(name, options.network, size, precision) for name in names}
            if options.beside:
                sides[options.beside] = start("jax", options.beside, size, precision)
            times: dict[str, list[float]] = {name: [] for name in sides}
            for side in sides.values():
                assert math.isfinite(side.value)  # none is busy with its start when another is measured
            for _ in range(options.repeats):
                for name, side in sides.items():
                    times[name].append(side.measure())
            for side in sides.values():
                side.close()
            row = {"network": options.network, "precision": precision, "size": size}
            row |= {name: statistics.median(values) for name, values in times.items()}
            for name in [*sides][1:]:
                pairs = zip(times["jax"], times[name], strict=True)
                row[f"jax / {name}"] = statistics.median(a / b for a, b in pairs)
            yield row | {f"loss, {name}": side.value for name, side in sides.items()}


def timed_adam(
    net: object, content: np.ndarray, style: np.ndarray, steps: int, rate: float
) -> list[tuple[float, float]]:
    """(seconds since the start, loss) at every step of PyTorch's Adam from the content, pixels kept within [0, 1]."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    loss = torch_loss(arrays_of(net.params), content, style)
    x = loss.tensor(content).contiguous().requires_grad_()
    solver, curve, began = torch.optim.Adam([x], lr=rate), [], time.perf_counter()
    for _ in range(steps):
        solver.zero_grad()
        value = loss(x)
        value.backward()
        solver.step()
        with torch.no_grad():
            x.clamp_(0, 1)
        curve.append((time.perf_counter() - began, value.item()))
    return curve


def solvers(options: argparse.Namespace) -> list[dict]:
    """Loss after 100 evaluations of the compact network's objective, from the content."""
    import torch

    import jaxstyle

    net = jaxstyle.load_network("compact")
    folder = Path(jaxstyle.__file__).parent / "demo"
    rows = []
    for style_name in ("style_strokes", "style_pattern"):
        content, style = (jaxstyle.load_image(folder / f"{n}.jpg", options.size) for n in ("content", style_name))
        row = {"style": style_name, "size": options.size}
        for name, solver in (
            ("adam", jaxstyle.Adam()),
            ("lbfgs", jaxstyle.Lbfgs()),
            ("lbfgs zoom", jaxstyle.Lbfgs(line_search="zoom")),
            ("optax-lbfgs", jaxstyle.OptaxLbfgs()),
        ):
            row[name] = loss_at(net, content, style, solver, options.evaluations)
        loss = torch_loss(arrays_of(net.params), content, style)
        x = loss.tensor(content).contiguous().requires_grad_()
        solver = torch.optim.LBFGS(
            [x],
            lr=1,
            history_size=10,
            max_iter=options.evaluations * 2,
            max_eval=options.evaluations,
            tolerance_grad=0,
            tolerance_change=0,
        )
        values = []

        def closure() -> torch.Tensor:
            solver.zero_grad()  # noqa: B023 - called within this turn of the loop
            value = loss(x)  # noqa: B023
            value.backward()
            values.append(value.item())  # noqa: B023
            return value

        solver.step(closure)
        row["torch lbfgs"] = loss(x.detach().clamp(0, 1)).item()  # of the picture that would be saved
        rows.append(row)
    return rows


def loss_at(net: object, content: np.ndarray, style: np.ndarray, solver: object, evaluations: int) -> float:
    """The loss reached when a solver has used up its evaluations."""
    import jax

    from jaxstyle.objective import Weights, loss_terms, make_targets

    targets = jax.jit(make_targets)(net, content, [style])
    weights = jax.tree.map(np.float32, Weights(*WEIGHTS))

    def loss(image: jax.Array) -> tuple:
        terms = loss_terms(image, net, targets, weights)
        return terms.total, terms

    compiled = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(content).compile()
    values = []

    def counted(image: jax.Array) -> tuple:
        result = compiled(image)
        values.append(float(result[0][0]))
        return result

    image = jax.device_put(content)
    state = solver.init(counted, image)
    while len(values) < evaluations:
        image, state, _ = solver.step(counted, image, state)
    return float(compiled(image)[0][0])
