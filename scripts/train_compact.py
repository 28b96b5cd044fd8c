"""Trains the compact network: VGG19's layout at a quarter of its width, taught by VGG19's own features.

    python scripts/train_compact.py PICTURES [PICTURES ...] --teacher vgg19 --out weights/compact.h5

The student sees crops of the pictures; at five style layers (and, with a teacher that has them, at the layers between)
a 1x1 map and a ReLU predict the teacher's features from the student's. The loss is the share of the teacher's
variance that stays unexplained, summed over the layers (feature distillation after Romero et al. 2014,
https://arxiv.org/abs/1412.6550). The maps of style and content layers are kept, gently, near multiples of orthogonal
ones, so that distances between Gram matrices of the student stand for distances between Gram matrices of the teacher.
They are thrown away at the end. Channels that die on the way are recycled (recycling.py).

Teachers: `vgg19` (downloaded, or `--weights FILE`), or a folder with the two `.npz` files named in `load_folder`:
the first five convolutions of VGG19, and a public approximation for the deep layers.

Cost: on two quiet CPU cores 0.6 s a step at `--batch 16`, its crops included. The file in this repository took 88
minutes on two shared ones, with an earlier version of this program; weights/README.md says what it reached. With glibc,
GLIBC_TUNABLES=glibc.malloc.hugetlb=1 makes a step a third faster. On an accelerator, where this has not been tried yet,
the teachers compute in bfloat16, and a larger `--batch` should pay.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image, ImageOps
from recycling import dead_channels, recycle, recycled, told
from training_crops import Pictures, random_batch, read_pictures, stack

from jaxstyle.defaults import CONTENT_LAYERS, STYLE_LAYERS
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.weights import load_network, save_weights

Features = dict[str, jax.Array]
STUDENT = ARCHITECTURES["compact"]
PREPROCESSING_KIND = "torchvision"
SIZES = (128, 256, 512)  # sides of the crops, one batch of each in turn
MEASURED = 24  # batches of the middle size, from which the teacher's statistics are taken
RECYCLED_EVERY = 400  # steps, in the first half of the training
LONGEST = 60  # seconds between two steps that the clock counts: a stopped process does not grow older
UNSEEN_SIZES = (256, 512)
TEACHER_DTYPE = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16


class Teacher(NamedTuple):
    """Two parts, since the shallow layers of the real network are wide, hence dear, and easily learnt.

    Each maps a batch of RGB images in [0, 1] to features by name: the student's layer, and after a colon, where
    there is one, which of several things that the layer is to predict. The wide part sees only a `share` of a batch.
    """

    wide: Callable[[jax.Array], Features]
    deep: Callable[[jax.Array], Features]
    share: float


# ---------------------------------------------------------------------------------------------- teachers


def conv(x: jax.Array, kernel: np.ndarray, bias: np.ndarray, pad: str = "reflect") -> jax.Array:
    """A convolution of a batch, in its type, with torch's kernel layout (out, in, height, width)."""
    if kernel.shape[-1] == 3:
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=pad)
    dims = ("NHWC", "OIHW", "NHWC")
    kernel, bias = (jnp.asarray(array, x.dtype) for array in (kernel, bias))
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=dims) + bias


def max_pool(x: jax.Array) -> jax.Array:
    """2x2, stride 2, without a gradient."""
    return nn.max_pool(x, (2, 2), (2, 2))


def load_folder(folder: Path) -> Teacher:
    """The teacher in two files: VGG19 to conv3_1, channels normalised, and its quarter-width approximation.

    The approximation teaches relu4_1 and relu5_1 by its own maps to VGG19's channels, and what it has itself from
    relu1_2 on, under the name "own".
    """
    wide = dict(np.load(folder / "vgg19_caffe_normalised_conv0_to_conv3_1.npz"))
    deep = dict(np.load(folder / "vgg19_quarter_width_relu1_1_to_relu5_1.npz"))

    def run(tensors: dict[str, np.ndarray], names: list[str], x: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        for name in names:
            if name == "conv0":  # the preprocessing: up to 255, which bfloat16 would round
                x = conv(x, tensors["conv0_weight"], tensors["conv0_bias"]).astype(TEACHER_DTYPE)
            elif name == "pool":
                x = max_pool(x)
            else:
                x = jax.nn.relu(conv(x, tensors[f"{name}_weight"], tensors[f"{name}_bias"]))
                yield name, x

    def wide_features(images: jax.Array) -> Features:
        names = ["conv0", "conv1_1", "conv1_2", "pool", "conv2_1", "conv2_2", "pool", "conv3_1"]
        return {f"relu{name[-3:]}": x for name, x in run(wide, names, images) if name.endswith("_1")}

    def deep_features(images: jax.Array) -> Features:
        names = ["conv0"]
        for block, depth in enumerate(STUDENT.depths, 1):
            names += [f"conv{block}{i}" for i in range(1, depth + 1)] + ["pool"]
        found = {}
        for name, x in run(deep, names[:-1], images):
            layer = f"relu{name[-2]}_{name[-1]}"
            if layer in ("relu4_1", "relu5_1"):
                found[layer] = jax.nn.relu(conv(x, deep[f"{name}_aux_weight"], deep[f"{name}_aux_bias"]))
            if layer != "relu1_1":
                found[f"{layer}:own"] = x
        return found

    return Teacher(wide_features, deep_features, 0.25)


def load_vgg19(weights: str | None) -> Teacher:
    """The real VGG19. Every layer is taught by it; relu4_2, the content layer, as well."""
    net = load_network("vgg19", weights, dtype=TEACHER_DTYPE)
    features = jax.vmap(lambda image: net.features(image, (*STYLE_LAYERS, *CONTENT_LAYERS)))
    return Teacher(features, lambda images: {}, 1.0)


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


def student_layers(names: Any) -> dict[str, str]:
    """The student's layer that each thing taught is predicted from."""
    return {name: name.partition(":")[0] for name in sorted(names)}


def variances(teacher: Teacher, images: list[jax.Array]) -> dict[str, np.ndarray]:
    """The variance of each channel of each teacher layer: that within a batch, averaged."""

    @jax.jit
    def of_batch(images: jax.Array) -> Features:
        features = teacher.wide(images) | teacher.deep(images)
        return {name: x.astype(jnp.float32).var((0, 1, 2)) for name, x in features.items()}

    parts = [of_batch(batch) for batch in images]
    return {name: np.mean([part[name] for part in parts], 0) for name in sorted(parts[0])}


def measure(teacher: Teacher, images: list[jax.Array]) -> dict[str, Target]:
    """Statistics of each teacher layer over some batches.

    A few channels of a normalised network hardly ever fire, and have a hundred times the variance of the others.
    No channel is given more than four times the median one's.
    """
    targets = {}
    for name, variance in variances(teacher, images).items():
        scale = np.minimum(1, np.sqrt(4 * np.median(variance[variance > 1e-8]) / (variance + 1e-12)))
        targets[name] = Target(jnp.asarray(scale), jnp.asarray(np.sum(scale**2 * variance)))
    return targets


def crookedness(kernel: jax.Array) -> jax.Array:
    """Zero when the rows of a map (c, k) are orthogonal and of one length."""
    products = kernel @ kernel.T
    products = products * (kernel.shape[0] / jnp.trace(products))
    return jnp.mean((products - jnp.eye(kernel.shape[0])) ** 2) * kernel.shape[0]


def thin(x: jax.Array, name: str) -> jax.Array:
    """The layers of the first two blocks are large and easy: every fourth or second position is enough."""
    step = {"relu1": 4, "relu2": 2}.get(name[:5], 1)
    return x[:, ::step, ::step]


def student_features(params: Any, images: jax.Array, layers: tuple[str, ...]) -> Features:
    """The student's features of a batch."""
    prepare = PREPROCESSING[PREPROCESSING_KIND]
    return jax.vmap(lambda image: STUDENT.apply({"params": params}, prepare(image), layers))(images)


def losses(state: Any, images: jax.Array, teacher: Teacher, targets: dict[str, Target], wide_count: int) -> Features:
    """Unexplained share of the variance of each thing taught, and under "crooked" how far the maps of the layers in
    use are from orthogonal."""
    params, heads = state
    layers = student_layers(targets)
    features = student_features(params, images, tuple(sorted(set(layers.values()))))
    taught = teacher.wide(images[:wide_count]) | teacher.deep(images)
    out = {}
    for name, layer in layers.items():
        target = thin(taught[name], name).astype(jnp.float32) * targets[name].scale
        predicted = heads[name](thin(features[layer][: len(target)], name))
        out[name] = jnp.mean(jnp.sum((predicted - jax.lax.stop_gradient(target)) ** 2, -1)) / targets[name].variance
    in_use = [name for name, layer in layers.items() if name in STYLE_LAYERS or layer in CONTENT_LAYERS]
    return out | {"crooked": sum(crookedness(heads[name].kernel) for name in in_use)}


# ---------------------------------------------------------------------------------------------- training


def initialise(key: jax.Array, teacher: Teacher, targets: dict[str, Target], images: jax.Array) -> Any:
    """Convolutions scaled to unit mean square on real pictures (Mishkin and Matas 2015,
    https://arxiv.org/abs/1511.06422), and maps by least squares: training starts with all layers awake."""
    params: dict[str, Any] = {}
    for name, shape in STUDENT.kernel_shapes.items():
        key, sub = jax.random.split(key)
        params[name] = {"kernel": jax.nn.initializers.orthogonal()(sub, shape), "bias": jnp.zeros(shape[-1])}
        x = student_features(params, images, (name,))[name]
        params[name]["kernel"] /= x.std()
        params[name]["bias"] -= x.mean((0, 1, 2)) / x.std() - 0.1
    return params, fitted_heads(params, teacher, targets, images)


def fitted_heads(params: Any, teacher: Teacher, targets: dict[str, Target], images: jax.Array) -> dict[str, Head]:
    """Maps by least squares, before their ReLU."""
    layers = student_layers(targets)
    features = student_features(params, images, tuple(sorted(set(layers.values()))))
    taught = teacher.wide(images) | teacher.deep(images)
    heads = {}
    for name, layer in layers.items():
        x = thin(features[layer], name).reshape(-1, features[layer].shape[-1])
        x = jnp.concatenate([x, jnp.ones((len(x), 1))], 1)
        y = (thin(taught[name], name).astype(jnp.float32) * targets[name].scale).reshape(len(x), -1)
        solution = jnp.linalg.solve(x.T @ x / len(x) + 1e-3 * jnp.eye(x.shape[1]), x.T @ y / len(x))
        heads[name] = Head(solution[:-1], solution[-1])
    return heads


def total(parts: Features, args: argparse.Namespace) -> jax.Array:
    """The number that is minimised."""
    weights = dict.fromkeys(STYLE_LAYERS, 1.0) | {"relu4_1": args.deep_weight, "relu5_1": args.deep_weight}
    weights |= {"crooked": args.crooked_weight}
    return sum(weights.get(name, args.hidden_weight) * value for name, value in parts.items())


class Training(NamedTuple):
    """All that a step changes. `smooth` holds running averages of the losses."""

    state: Any
    opt_state: Any
    average: Any
    smooth: Features


def batch_shapes(args: argparse.Namespace) -> list[tuple[int, int]]:
    """(crops, side) of the batches, in turn: all of the same number of pixels."""
    return [(max(1, args.batch * SIZES[0] ** 2 // side**2), side) for side in SIZES]


def measured(pictures: Pictures, args: argparse.Namespace) -> list[jax.Array]:
    """The batches from which the teacher's statistics are taken."""
    make = jax.jit(random_batch, static_argnums=(2, 3))
    count, side = batch_shapes(args)[len(SIZES) // 2]
    return [make(key, pictures, count, side) for key in jax.random.split(jax.random.key(args.seed), MEASURED)]


def compile_steps(
    training: Training,
    solver: Any,
    pictures: Pictures,
    teacher: Teacher,
    targets: dict[str, Target],
    args: argparse.Namespace,
) -> list[Callable[..., Training]]:
    """The compiled step for each shape of batches: (training, pictures, number of step, rate, decay) -> training."""

    def step(training: Training, pictures: Pictures, i: Any, rate: Any, decay: Any, count: int, side: int) -> Training:
        images = random_batch(jax.random.fold_in(jax.random.key(args.seed), i), pictures, count, side)

        def loss(state: Any) -> tuple[jax.Array, Features]:
            parts = losses(state, images, teacher, targets, max(1, int(count * teacher.share)))
            return total(parts, args), parts

        grads, parts = jax.grad(loss, has_aux=True)(training.state)
        opt_state = training.opt_state
        opt_state.hyperparams["learning_rate"] = rate
        updates, opt_state = solver.update(grads, opt_state)
        state = optax.apply_updates(training.state, updates)
        average = jax.tree.map(lambda a, x: decay * a + (1 - decay) * x, training.average, state)
        slow = jnp.minimum(decay, 0.99)
        smooth = {name: slow * training.smooth[name] + (1 - slow) * value for name, value in parts.items()}
        return Training(state, opt_state, average, smooth)

    numbers = (np.int32(0), np.float32(0), np.float32(0))
    jitted = jax.jit(step, donate_argnums=0, static_argnums=(5, 6))
    return [jitted.lower(training, pictures, *numbers, *shape).compile() for shape in batch_shapes(args)]


def train(teacher: Teacher, pictures: Pictures, args: argparse.Namespace) -> tuple[Any, dict[str, Target]]:
    """Adam with a cosine that is driven by the clock, and a running average of the weights, which is what is kept."""
    shapes = batch_shapes(args)
    first = measured(pictures, args)
    targets = measure(teacher, first)
    if args.start:
        (params, heads), _ = recycled(jax.random.key(args.seed), student_features, load(args.start), first)
        fitted = jax.jit(lambda params, images: fitted_heads(params, teacher, targets, images))(params, first[0])
        state = params, {name: heads.get(name, head) for name, head in fitted.items()}
    else:
        initial = jax.jit(lambda key, images: initialise(key, teacher, targets, images))
        state = initial(jax.random.key(args.seed), first[0])
    solver = optax.inject_hyperparams(optax.adam)(learning_rate=args.rate, b2=0.99)
    smooth = {name: jnp.zeros(()) for name in (*targets, "crooked")}
    training = Training(state, solver.init(state), jax.tree.map(jnp.copy, state), smooth)
    steps = compile_steps(training, solver, pictures, teacher, targets, args)
    unseen = evaluation(teacher, targets, args.unseen) if args.unseen else None
    if unseen:
        unseen(state)  # compiled here, off the clock
    print(f"ready: batches of {shapes}, {len(pictures.pixels)} pictures", flush=True)

    last = time.time()
    elapsed = saved = 0.0
    i = seen = 0
    while (done := elapsed / (60 * args.minutes)) < 1:
        rate = args.rate * min(1.0, (i + 1) / args.warm_up) * 0.5 * (1 + np.cos(np.pi * done))
        decay = min(0.999, (i + 1) / (i + 20))
        training = steps[i % len(steps)](training, pictures, np.int32(i), np.float32(rate), np.float32(decay))
        seen += shapes[i % len(shapes)][0]
        i += 1
        if i % 50 == 0:  # the only place where the host waits for the device
            explained = told_apart(training.smooth)
            print(f"{i} steps, {seen} crops, {elapsed:.0f} s, {i / elapsed:.1f} steps/s: {explained}", flush=True)
            if elapsed - saved > args.every:
                saved = elapsed
                save(training.average, args.checkpoint, seen)
        if i % args.look == 0:
            print(f"    {told(dead_channels(student_features, training.average[0], first))}", flush=True)
            if unseen:
                print(f"    unseen: {told_apart(unseen(training.average))}", flush=True)
        if i % RECYCLED_EVERY == 0 and done < 0.5:
            training = recycle(jax.random.key(i), student_features, training, solver, first)
        now = time.time()
        elapsed, last = elapsed + min(now - last, LONGEST), now
    save(training.average, args.checkpoint, seen)
    print(f"{i} steps, {seen} crops in {elapsed / 60:.1f} minutes", flush=True)
    return training.average, targets


def told_apart(parts: Features) -> str:
    """Explained variance in per cent: of the style layers, and then of what is between."""
    explained = {name: f"{100 * (1 - float(value)):.1f}" for name, value in parts.items() if name != "crooked"}
    style = " ".join(explained.pop(name) for name in STYLE_LAYERS)
    hidden = " ".join(f"{name[4:7]} {value}" for name, value in explained.items())
    return f"{style} | {hidden} | crooked {float(parts['crooked']):.3f}"


def evaluation(teacher: Teacher, targets: dict[str, Target], folder: Path) -> Callable[[Any], Features]:
    """A function from a state to the losses on pictures that are not trained on: their middles, at 256 and 512 px.

    What is unexplained is told as a share of the variance on these very pictures.
    """
    batches = []
    for size in UNSEEN_SIZES:
        squares = [ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS) for picture in read_pictures([folder])]
        batches.append(jnp.asarray(np.stack([np.asarray(square, np.float32) / 255 for square in squares])))
    variance = variances(teacher, batches)
    own = {k: Target(target.scale, jnp.sum(target.scale**2 * variance[k])) for k, target in targets.items()}
    parts = jax.jit(lambda state, images: losses(state, images, teacher, own, len(images)))
    return lambda state: jax.tree.map(lambda *x: sum(x) / len(x), *[parts(state, images) for images in batches])


def save(state: Any, file: Path, seen: int) -> None:
    """Checkpoint of the student and its maps, float32."""
    params, heads = state
    flat = {f"{name}/{kind}": x for name, layer in params.items() for kind, x in layer.items()}
    flat |= {f"head/{name}/{kind}": x for name, head in heads.items() for kind, x in head._asdict().items()}
    np.savez(file, seen=seen, **flat)


def load(file: Path) -> Any:
    """The student and its maps from a checkpoint."""
    params: dict[str, Any] = {}
    heads: dict[str, Any] = {}
    for path, x in dict(np.load(file)).items():
        if "/" in path:  # all but the count of crops
            *kind, name, part = path.split("/")
            (heads if kind else params).setdefault(name, {})[part] = jnp.asarray(x)
    return params, {name: Head(**head) for name, head in heads.items()}


# ---------------------------------------------------------------------------------------------- command line


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path, help="folders of .jpg to train on")
    parser.add_argument("--teacher", default="vgg19", help="vgg19, or a folder with the two .npz files")
    parser.add_argument("--weights", help="file of VGG19 weights, for --teacher vgg19")
    parser.add_argument("--unseen", type=Path, help="folder of pictures to evaluate on")
    parser.add_argument("--out", type=Path, help="where the network goes (.h5, float16)")
    parser.add_argument("--start", type=Path, help="checkpoint to go on from, instead of a random network")
    parser.add_argument("--checkpoint", type=Path, default=Path("compact-checkpoint.npz"))
    parser.add_argument("--evaluate", action="store_true", help="do not train: evaluate and export the checkpoint")
    parser.add_argument("--minutes", type=float, default=90, help="of training; compiling comes before")
    parser.add_argument("--every", type=float, default=75, help="seconds between checkpoints")
    parser.add_argument("--look", type=int, default=400, help="steps between evaluations")
    parser.add_argument("--batch", type=int, default=16, help="crops of 128 px at a time, fewer of larger ones")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--warm-up", type=int, default=200, help="steps until the full rate")
    parser.add_argument("--deep-weight", type=float, default=2, help="of relu4_1 and relu5_1")
    parser.add_argument("--hidden-weight", type=float, default=0.3, help="of all that is not a style layer")
    parser.add_argument("--crooked-weight", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Trains, evaluates, exports."""
    args = arguments()
    teacher = load_vgg19(args.weights) if args.teacher == "vgg19" else load_folder(Path(args.teacher))
    pictures = stack(read_pictures(args.pictures))
    if args.evaluate:
        state = load(args.checkpoint)
        targets = measure(teacher, measured(pictures, args))
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
        print(f"unseen: {told_apart(evaluation(teacher, targets, args.unseen)(state))}")


if __name__ == "__main__":
    main()
