"""Trains the compact network: VGG19's layout at a quarter of its width, taught by VGG19's own features.

    python scripts/train_compact.py PICTURES [PICTURES ...] --teacher vgg19 --out weights/compact.h5

The student sees crops of the pictures; at five style layers (and, with a teacher that has them, some layers between)
a 1x1 map and a ReLU predict the teacher's features from the student's. The loss is the share of the teacher's
variance that stays unexplained, summed over the layers (feature distillation after Romero et al. 2014,
https://arxiv.org/abs/1412.6550). The maps are kept, gently, near multiples of orthogonal ones, so that distances
between Gram matrices of the student stand for distances between Gram matrices of the teacher. They are thrown away at
the end.

Teachers: `vgg19` (downloaded, or `--weights FILE`), or a folder with the two `.npz` files named in `load_folder`:
the first five convolutions of VGG19, and a public approximation for the deep layers.

Cost: 88 minutes on two CPU cores, shared with other work, for the file in this repository; weights/README.md says what
it reached. With glibc, GLIBC_TUNABLES=glibc.malloc.hugetlb=1 makes a step a third faster.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image
from training_crops import batches, load_pictures

from jaxstyle.defaults import STYLE_LAYERS
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import load_network, save_weights

Features = dict[str, jax.Array]
# Zero padding trains a quarter faster than the edge padding that the network is used with.
STUDENT = ARCHITECTURES["compact"].clone(padding="zero")
PREPROCESSING_KIND = "torchvision"
SHAPES = [(16, 128), (4, 256)]  # (crops, side) of the batches, in turn
MEASURED = 24  # batches from which the teacher's statistics are taken


class Teacher(NamedTuple):
    """Two parts, since the shallow layers of the real network are wide, hence dear, and easily learnt.

    Each maps a batch of RGB images in [0, 1] to features by the student's layer name. The wide part sees only a
    `share` of each batch.
    """

    wide: Callable[[jax.Array], Features]
    deep: Callable[[jax.Array], Features]
    channels: dict[str, int]
    share: float


# ---------------------------------------------------------------------------------------------- teachers


def conv(x: jax.Array, kernel: np.ndarray, bias: np.ndarray, pad: str = "reflect") -> jax.Array:
    """A convolution of a batch, with torch's kernel layout (out, in, height, width)."""
    if kernel.shape[-1] == 3:
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=pad)
    dims = ("NHWC", "OIHW", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=dims) + bias


def max_pool(x: jax.Array) -> jax.Array:
    """2x2, stride 2, without a gradient."""
    return nn.max_pool(x, (2, 2), (2, 2))


def load_folder(folder: Path) -> Teacher:
    """The teacher in two files: VGG19 to conv3_1, channels normalised, and its quarter-width approximation."""
    wide = dict(np.load(folder / "vgg19_caffe_normalised_conv0_to_conv3_1.npz"))
    deep = dict(np.load(folder / "vgg19_quarter_width_relu1_1_to_relu5_1.npz"))

    def run(tensors: dict[str, np.ndarray], names: list[str], x: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        for name in names:
            if name.startswith("pool"):
                x = max_pool(x)
                continue
            x = conv(x, tensors[f"{name}_weight"], tensors[f"{name}_bias"])
            x = x if name == "conv0" else jax.nn.relu(x)
            yield name, x

    def wide_features(images: jax.Array) -> Features:
        names = ["conv0", "conv1_1", "conv1_2", "pool", "conv2_1", "conv2_2", "pool", "conv3_1"]
        taps = {"conv1_1": "relu1_1", "conv2_1": "relu2_1", "conv3_1": "relu3_1"}
        return {taps[name]: x for name, x in run(wide, names, images) if name in taps}

    def deep_features(images: jax.Array) -> Features:
        names = ["conv0", "conv11", "conv12", "pool", "conv21", "conv22", "pool"]
        names += [
            "conv31",
            "conv32",
            "conv33",
            "conv34",
            "pool",
            "conv41",
            "conv42",
            "conv43",
            "conv44",
            "pool",
            "conv51",
        ]
        found = dict(run(deep, names, images))
        for name in ("41", "51"):
            aux = conv(found[f"conv{name}"], deep[f"conv{name}_aux_weight"], deep[f"conv{name}_aux_bias"])
            found[f"aux{name}"] = jax.nn.relu(aux)
        hidden = {"relu3_3": "conv33", "relu4_2": "conv42", "relu4_4": "conv44"}
        taps = {"relu4_1": "aux41", "relu5_1": "aux51"} | hidden
        return {layer: found[name] for layer, name in taps.items()}

    probe = jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(wide_features, probe) | jax.eval_shape(deep_features, probe)
    return Teacher(wide_features, deep_features, {name: x.shape[-1] for name, x in shapes.items()}, 0.25)


def load_vgg19(weights: str | None) -> Teacher:
    """The real VGG19. Every layer is taught by it; relu4_2, the content layer, as well."""
    net = load_network("vgg19", weights)
    features = jax.vmap(lambda image, layers: net.features(image, layers), in_axes=(0, None))
    layers = (*STYLE_LAYERS, "relu4_2")
    shapes = jax.eval_shape(functools.partial(features, layers=layers), jnp.zeros((1, 64, 64, 3)))
    return Teacher(
        lambda images: features(images, layers),
        lambda images: {},
        {k: v.shape[-1] for k, v in shapes.items()},
        1.0,
    )


# ---------------------------------------------------------------------------------------------- loss


class Target(NamedTuple):
    """How a teacher layer is learnt: its channels times `scale` (t,); `variance` is that of all of them together."""

    scale: jax.Array
    variance: jax.Array


class Head(NamedTuple):
    """A 1x1 map from the student's channels to the teacher's: kernel (c, t), bias (t,)."""

    kernel: jax.Array
    bias: jax.Array

    def __call__(self, x: jax.Array) -> jax.Array:
        """The prediction of the teacher's features, which are never negative."""
        return jax.nn.relu(x @ self.kernel + self.bias)


def measure(teacher: Teacher, images: list[jax.Array]) -> dict[str, Target]:
    """Statistics of each teacher layer over some batches.

    A few channels of a normalised network hardly ever fire, and have a hundred times the variance of the others.
    No channel is given more than four times the median one's.
    """
    features = jax.jit(lambda x: teacher.wide(x) | teacher.deep(x))
    variances: dict[str, list[np.ndarray]] = {}
    for batch in images:
        for layer, x in features(batch).items():
            variances.setdefault(layer, []).append(np.asarray(x).var((0, 1, 2)))
    targets = {}
    for layer, parts in variances.items():
        variance = np.mean(parts, 0)
        scale = np.minimum(1, np.sqrt(4 * np.median(variance[variance > 1e-8]) / (variance + 1e-12)))
        targets[layer] = Target(jnp.asarray(scale), jnp.asarray(np.sum(scale**2 * variance)))
    return targets


def crookedness(kernel: jax.Array) -> jax.Array:
    """Zero when the rows of a map (c, k) are orthogonal and of one length."""
    products = kernel @ kernel.T
    products = products * (kernel.shape[0] / jnp.trace(products))
    return jnp.mean((products - jnp.eye(kernel.shape[0])) ** 2) * kernel.shape[0]


def thin(x: jax.Array, layer: str) -> jax.Array:
    """The two shallowest style layers are large and easy: every fourth or second position is enough."""
    step = {"relu1_1": 4, "relu2_1": 2}.get(layer, 1)
    return x[:, ::step, ::step]


def student_features(params: Any, images: jax.Array, layers: tuple[str, ...], module: VGG = STUDENT) -> Features:
    """The student's features of a batch."""
    prepare = PREPROCESSING[PREPROCESSING_KIND]
    return jax.vmap(lambda image: module.apply({"params": params}, prepare(image), layers))(images)


def losses(
    state: Any,
    images: jax.Array,
    teacher: Teacher,
    targets: dict[str, Target],
    wide_count: int,
    module: VGG = STUDENT,
) -> Features:
    """Unexplained share of the variance by layer, and under "crooked" how far the maps are from orthogonal."""
    params, heads = state
    layers = tuple(sorted(targets))
    features = student_features(params, images, layers, module)
    taught = teacher.wide(images[:wide_count]) | teacher.deep(images)
    out = {}
    for layer in layers:
        wanted = jax.lax.stop_gradient(thin(taught[layer], layer) * targets[layer].scale)
        x = thin(features[layer][: len(wanted)], layer)
        out[layer] = jnp.mean(jnp.sum((heads[layer](x) - wanted) ** 2, -1)) / targets[layer].variance
    return out | {"crooked": sum(crookedness(heads[layer].kernel) for layer in layers)}


# ---------------------------------------------------------------------------------------------- training


def initialise(key: jax.Array, teacher: Teacher, targets: dict[str, Target], images: jax.Array) -> Any:
    """Convolutions scaled to unit mean square on real pictures (Mishkin and Matas 2015,
    https://arxiv.org/abs/1511.06422), and maps by least squares: training starts with all layers awake."""
    params: dict[str, Any] = {}
    for name, shape in STUDENT.kernel_shapes.items():
        key, sub = jax.random.split(key)
        params[name] = {"kernel": jax.nn.initializers.orthogonal()(sub, shape), "bias": jnp.zeros(shape[-1])}
        x = jax.jit(student_features, static_argnums=2)(params, images, (name,))[name]
        params[name]["kernel"] /= x.std()
        params[name]["bias"] -= x.mean((0, 1, 2)) / x.std() - 0.1
    features = student_features(params, images, tuple(targets))
    taught = teacher.wide(images) | teacher.deep(images)
    heads = {}
    for layer, target in targets.items():
        x = features[layer].reshape(-1, features[layer].shape[-1])
        x = jnp.concatenate([x, jnp.ones((len(x), 1))], 1)
        y = (taught[layer] * target.scale).reshape(len(x), -1)
        solution = jnp.linalg.solve(x.T @ x / len(x) + 1e-3 * jnp.eye(x.shape[1]), x.T @ y / len(x))
        heads[layer] = Head(solution[:-1], solution[-1])
    return params, heads


def total(parts: Features, args: argparse.Namespace) -> jax.Array:
    """The number that is minimised."""
    hidden = [value for layer, value in parts.items() if layer not in (*STYLE_LAYERS, "crooked")]
    style = sum(parts[layer] for layer in STYLE_LAYERS)
    return style + args.hidden_weight * sum(hidden) + args.crooked_weight * parts["crooked"]


def train(teacher: Teacher, pictures: list[Image.Image], args: argparse.Namespace) -> tuple[Any, dict[str, Target]]:
    """Adam with a cosine that is driven by the clock, and a running average of the weights, which is what is kept."""
    stream = batches(pictures, SHAPES, args.seed)
    first = [jnp.asarray(next(stream), jnp.float32) / 255 for _ in range(MEASURED)]
    targets = measure(teacher, first)
    state = initialise(jax.random.key(args.seed), teacher, targets, first[0])
    solver = optax.inject_hyperparams(optax.adam)(learning_rate=args.rate, b2=0.99)
    opt_state, average = solver.init(state), jax.tree.map(jnp.copy, state)

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(state: Any, opt_state: Any, average: Any, batch: jax.Array, rate: jax.Array, decay: jax.Array) -> Any:
        images = batch.astype(jnp.float32) / 255

        def loss(state: Any) -> tuple[jax.Array, Features]:
            parts = losses(state, images, teacher, targets, max(1, int(len(images) * teacher.share)))
            return total(parts, args), parts

        grads, parts = jax.grad(loss, has_aux=True)(state)
        opt_state.hyperparams["learning_rate"] = rate
        updates, opt_state = solver.update(grads, opt_state)
        state = optax.apply_updates(state, updates)
        average = jax.tree.map(lambda a, x: decay * a + (1 - decay) * x, average, state)
        return state, opt_state, average, parts

    start, seen, smooth = time.time(), 0, {}
    for i, batch in enumerate(stream):
        done = (time.time() - start) / (60 * args.minutes)
        if done >= 1:
            break
        rate = args.rate * min(1.0, (i + 1) / 100) * 0.5 * (1 + np.cos(np.pi * done))
        decay = min(0.998, (i + 1) / (i + 20))
        state, opt_state, average, parts = step(state, opt_state, average, batch, np.float32(rate), np.float32(decay))
        seen += len(batch)
        for name, value in parts.items():
            smooth[name] = 0.98 * smooth.get(name, float(value)) + 0.02 * float(value)
        if i % 100 == 99:
            explained = " ".join(f"{k} {100 * (1 - v):.1f}" for k, v in smooth.items() if k.startswith("relu"))
            clock = f"{i + 1} steps, {seen} crops, {100 * done:.1f} % of the time"
            print(f"{clock}: {explained} crooked {smooth['crooked']:.3f}", flush=True)
        if i % 1000 == 999:
            save(average, args, seen)
    save(average, args, seen)
    return average, targets


def save(state: Any, args: argparse.Namespace, seen: int) -> None:
    """Checkpoint of the student and its maps, float32."""
    params, heads = state
    flat = {f"{name}/{kind}": x for name, layer in params.items() for kind, x in layer.items()}
    flat |= {f"head/{name}/{kind}": x for name, head in heads.items() for kind, x in head._asdict().items()}
    np.savez(args.checkpoint, seen=seen, **flat)


def load(checkpoint: Path) -> Any:
    """The student and its maps from a checkpoint."""
    params: dict[str, Any] = {}
    heads: dict[str, Any] = {}
    for path, x in dict(np.load(checkpoint)).items():
        if "/" in path:  # all but the count of crops
            *kind, name, part = path.split("/")
            (heads if kind else params).setdefault(name, {})[part] = jnp.asarray(x)
    return params, {name: Head(**head) for name, head in heads.items()}


# ---------------------------------------------------------------------------------------------- command line


def evaluate(state: Any, teacher: Teacher, targets: dict[str, Target], pictures: list[Image.Image]) -> dict[str, float]:
    """Explained variance (per cent) of each teacher layer on whole pictures at 256 and 512 px that were not seen."""
    parts = jax.jit(lambda images: losses(state, images, teacher, targets, len(images), ARCHITECTURES["compact"]))
    rows = []
    for picture in pictures:
        for size in (256, 512):
            copy = picture.copy()
            copy.thumbnail((size, size), Image.Resampling.LANCZOS)
            crop = copy.crop((0, 0, copy.width // 16 * 16, copy.height // 16 * 16))
            rows.append(parts(jnp.asarray(crop, jnp.float32)[None] / 255))
    return {k: 100 * (1 - float(np.mean([row[k] for row in rows]))) for k in rows[0] if k.startswith("relu")}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path, help="folders of .jpg to train on")
    parser.add_argument("--teacher", default="vgg19", help="vgg19, or a folder with the two .npz files")
    parser.add_argument("--weights", help="file of VGG19 weights, for --teacher vgg19")
    parser.add_argument("--unseen", type=Path, help="folder of pictures to evaluate on")
    parser.add_argument("--out", type=Path, help="where the network goes (.h5, float16)")
    parser.add_argument("--checkpoint", type=Path, default=Path("compact-checkpoint.npz"))
    parser.add_argument("--evaluate", action="store_true", help="do not train: evaluate and export the checkpoint")
    parser.add_argument("--minutes", type=float, default=88)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--hidden-weight", type=float, default=0.3, help="of layers that are neither style nor content")
    parser.add_argument("--crooked-weight", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Trains, evaluates, exports."""
    args = arguments()
    teacher = load_vgg19(args.weights) if args.teacher == "vgg19" else load_folder(Path(args.teacher))
    pictures = load_pictures(args.pictures)
    if args.evaluate:
        state, stream = load(args.checkpoint), batches(pictures, SHAPES, args.seed)
        targets = measure(teacher, [jnp.asarray(next(stream), jnp.float32) / 255 for _ in range(MEASURED)])
    else:
        state, targets = train(teacher, pictures, args)
    if args.out:
        source = f"scripts/train_compact.py --teacher {Path(args.teacher).name}"
        save_weights(
            args.out,
            state[0],
            network="compact",
            preprocessing=PREPROCESSING_KIND,
            source=source,
            licence="MIT",
            dtype=np.float16,
        )
    if args.unseen:
        print(json.dumps(evaluate(state, teacher, targets, load_pictures([args.unseen])), indent=1))


if __name__ == "__main__":
    main()
