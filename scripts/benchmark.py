"""Every claim about time that this project makes is measured here.

    python scripts/benchmark.py step --network vgg19 --sizes 256 512     loss and gradient against eager PyTorch
    python scripts/benchmark.py overhead --size 512                      what `transfer` adds to its steps
    python scripts/benchmark.py solvers --size 256                       loss at 100 evaluations, PyTorch's L-BFGS too
    python scripts/benchmark.py command --sizes 384 512                  the whole command: seconds and peak memory
    python scripts/benchmark.py processes --sizes 128 --repeats 3        a sweep against a process for each picture
    python scripts/benchmark.py lanes --sizes 128 256 --repeats 3        seconds a picture by lanes side by side

PyTorch is needed for `step` and `solvers` (`pip install torch==2.13.0`). The two sides live in processes of their own
and take turns, one measuring while the other sleeps; medians are compared. `--json FILE` keeps the rows.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import benchmark_sweeps
import numpy as np

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
WEIGHTS = (1.0, 50.0, 3.0)


def random_problem(network: str, size: int) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray]:
    """He-normal parameters and three pictures (content, style, iterate), the same on both sides."""
    from jaxstyle.networks import ARCHITECTURES

    rng = np.random.default_rng(0)
    params = {
        name: {
            "kernel": np.float32(rng.normal(size=shape) * np.sqrt(2 / (9 * shape[2]))),
            "bias": np.zeros(shape[3], np.float32),
        }
        for name, shape in ARCHITECTURES[network].kernel_shapes.items()
    }
    return params, *(rng.random((size, size, 3), np.float32) for _ in range(3))


# ------------------------------------------------------------------------------------------------ the two sides


def jax_side(network: str, size: int) -> Callable[[], float]:
    """value-and-gradient of jaxstyle."""
    import jax

    from jaxstyle.allocator import keep_freed_memory
    from jaxstyle.compiling import compiler_options
    from jaxstyle.networks import ARCHITECTURES, Network
    from jaxstyle.objective import Weights, loss_terms, make_targets

    keep_freed_memory()
    params, content, style, image = random_problem(network, size)
    net = Network(jax.device_put(params), network, ARCHITECTURES[network], "torchvision")
    targets = jax.jit(make_targets)(net, content, [style])
    weights = jax.tree.map(np.float32, Weights(*WEIGHTS))
    loss = jax.jit(jax.value_and_grad(lambda *inputs: loss_terms(*inputs).total), compiler_options=compiler_options())
    image = jax.device_put(image)
    return lambda: float(jax.block_until_ready(loss(image, net, targets, weights))[0])


def torch_features(params: dict, network: str) -> Callable:
    """VGG in torch's own idiom: image (1, 3, h, w), channels last -> features by layer."""
    import torch
    import torch.nn.functional as F

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array.transpose(3, 2, 0, 1).copy()).contiguous(memory_format=torch.channels_last)

    kernels = {name: (tensor(p["kernel"]), torch.from_numpy(p["bias"])) for name, p in params.items()}
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

    edges = int(network == "compact")

    def pad(x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, (1, 1, 1, 1), mode="replicate") if edges else x

    def features(image: torch.Tensor) -> dict:
        x, found, block = (image - mean) / std, {}, 1
        for name, (kernel, bias) in kernels.items():
            if int(name[4]) != block:
                x, block = F.max_pool2d(x, 2), int(name[4])
            x = F.relu(F.conv2d(pad(x), kernel, bias, padding=1 - edges))
            found["relu" + name[4:]] = x
            if name == "conv5_1":
                return found
        return found

    return features


def torch_loss(network: str, params: dict, content: np.ndarray, style: np.ndarray) -> Callable:
    """The same terms as jaxstyle's default objective."""
    import torch

    features = torch_features(params, network)

    def tensor(image: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
        return x.contiguous(memory_format=torch.channels_last)

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


def torch_side(network: str, size: int) -> Callable[[], float]:
    """value-and-gradient of eager PyTorch, two threads, channels last."""
    import torch

    torch.set_num_threads(os.cpu_count() or 2)
    params, content, style, image = random_problem(network, size)
    loss = torch_loss(network, params, content, style)
    start = loss.tensor(image)

    def run() -> float:
        x = start.clone().requires_grad_()
        value = loss(x)
        value.backward()
        return value.item()

    return run


def serve(side: str, network: str, size: int) -> None:
    """A worker: for each line on stdin, one timed evaluation; a line of JSON out."""
    run = {"jax": jax_side, "torch": torch_side}[side](network, size)
    value = run()
    run()
    print(json.dumps({"value": value}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        run()
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


class Side:
    """A worker process."""

    def __init__(self, side: str, network: str, size: int) -> None:
        command = [sys.executable, __file__, "serve", side, network, str(size)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.value = json.loads(self.process.stdout.readline())["value"]

    def measure(self) -> float:
        """Seconds of one evaluation."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


# ------------------------------------------------------------------------------------------------ benchmarks


def step(options: argparse.Namespace) -> list[dict]:
    """Loss and gradient, jaxstyle against eager PyTorch, alternating."""
    rows = []
    for size in options.sizes:
        sides = {name: Side(name, options.network, size) for name in ("jax", "torch")}
        times = {name: [] for name in sides}
        for _ in range(options.repeats):
            for name, side in sides.items():
                times[name].append(side.measure())
        for side in sides.values():
            side.close()
        medians = {name: statistics.median(values) for name, values in times.items()}
        ratio = statistics.median(a / b for a, b in zip(times["jax"], times["torch"], strict=True))
        values = {f"{name}_loss": side.value for name, side in sides.items()}
        rows.append({"network": options.network, "size": size, **medians, "ratio": ratio, **values})
    return rows


def overhead(options: argparse.Namespace) -> list[dict]:
    """Seconds to the first look, and what a step inside `transfer` costs over the bare compiled one."""
    import jax

    import jaxstyle
    from jaxstyle.compiling import compiler_options

    net = jaxstyle.load_network("compact")
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


def solvers(options: argparse.Namespace) -> list[dict]:
    """Loss after 100 evaluations of the compact network's objective, from the content."""
    import jax
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
        params = jax.tree.map(np.array, dict(net.params))
        loss = torch_loss("compact", params, content, style)
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
        row["torch lbfgs"] = loss(x).item()
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


def command(options: argparse.Namespace) -> list[dict]:
    """`jaxstyle transfer` as a person runs it: cold (nothing compiled before), then again."""
    import jaxstyle

    folder = Path(jaxstyle.__file__).parent / "demo"
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as scratch:
            for state in ("cold", "warm"):
                line = [sys.executable, "-m", "jaxstyle.cli", "transfer", folder / "content.jpg"]
                line += [
                    folder / "style_strokes.jpg",
                    "-o",
                    f"{scratch}/out.png",
                    "--size",
                    str(size),
                    "--quiet",
                ]
                began = time.perf_counter()
                subprocess.run(
                    line, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "JAXSTYLE_CACHE": scratch}
                )
                peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
                rows.append({"size": size, "cache": state, "seconds": time.perf_counter() - began, "peak_mb": peak})
    return rows


BENCHMARKS = {
    "step": step,
    "overhead": overhead,
    "solvers": solvers,
    "command": command,
    "processes": benchmark_sweeps.processes,
    "lanes": benchmark_sweeps.lanes,
}


def show(rows: list[dict]) -> None:
    """A table in Markdown."""
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")


def main() -> None:
    """Parses the command line and prints a table."""
    if sys.argv[1:2] == ["serve"]:
        return serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--network", default="compact")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--weights", help="file of the network's weights")
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = BENCHMARKS[options.benchmark](options)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
