"""Makes the compact network: VGG19's convolutions factorised, fitted one after the other, then tuned together.

    python scripts/train_compact.py PICTURES [PICTURES ...] --out weights/compact.h5 --unseen FOLDER

The fit (`factorise.py`) is linear algebra: some six minutes on two quiet cores. It explains most of VGG19's features
already; tuning raises the deep layers. It minimises the share of VGG19's features that stays unexplained, after each
ReLU, over crops of the pictures (feature distillation, Romero et al. 2014, https://arxiv.org/abs/1412.6550), by Adam
with steps relative to the size of each kernel, and a running mean of the weights. What has been reached is kept in
--checkpoint, and the same command goes on from there.

VGG19 is the one at hand (`jaxstyle weights fetch vgg19`), or `--weights FILE`. weights/README.md says what the shipped
file has reached, and with which command.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from factorise import fit
from flax import serialization
from PIL import Image, ImageOps
from training_crops import Pictures, random_batch, random_crop, read_pictures, stack

from jaxstyle.defaults import CONTENT_LAYERS, STYLE_LAYERS
from jaxstyle.losses import gram_matrix
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING, Network
from jaxstyle.weights import load_network, save_weights

STUDENT = ARCHITECTURES["compact"]
PREPROCESSED = "keras"  # as VGG19's weights want it
READ = tuple(sorted({*CONTENT_LAYERS, *STYLE_LAYERS}))  # what pictures are painted by
FITTED_ON, FITTED_SIDE = 160, 176  # crops, and their side in pixels
PLAIN = 0.6  # share of these that are plain crops of the pictures
UNSEEN_SIZES = (256, 512)
BITS = 8  # of the codebooks in the file
LONGEST = 60.0  # seconds between two steps that the clock counts: a stopped process does not grow older

Params = dict[str, dict[str, Any]]


# ---------------------------------------------------------------------------------------------- crops


def crops_to_fit(pictures: Pictures, key: jax.Array) -> np.ndarray:
    """Crops (n, side, side, 3), some plain, some as varied as `random_batch` makes them."""
    plain, varied = jax.random.split(key)
    count = round(PLAIN * FITTED_ON)
    crop = jax.jit(lambda key: random_crop(key, pictures, FITTED_SIDE))
    batch = jax.jit(lambda key: random_batch(key, pictures, 8, FITTED_SIDE))
    first = [np.asarray(crop(key)) for key in jax.random.split(plain, count)]
    others = [np.asarray(batch(key)) for key in jax.random.split(varied, -(-(FITTED_ON - count) // 8))]
    return np.concatenate([np.stack(first), *others])[:FITTED_ON]


# ---------------------------------------------------------------------------------------------- the fit


def fitted(teacher: Network, crops: np.ndarray) -> Params:
    """The factors of each convolution, fitted from shallow to deep."""

    def layers_of(module: Any) -> Callable[[Params, jax.Array, str], jax.Array]:
        def one(params: Params, x: jax.Array, name: str) -> jax.Array:
            return module.apply({"params": params}, x, name, method="layer")

        return jax.jit(one, static_argnums=2)

    true, own = layers_of(teacher.module), layers_of(STUDENT)
    inputs = [np.asarray(PREPROCESSING[PREPROCESSED](jnp.asarray(crop))) for crop in crops]
    answers, params = inputs, {}
    ranks = iter(STUDENT.ranks)
    for name in STUDENT.layer_names[:-1]:
        answers = [np.asarray(true(teacher.params, x, name)) for x in answers]
        if name == "conv1_1":
            params[name] = jax.tree.map(np.asarray, dict(teacher.params[name]))
        elif name.startswith("conv"):
            began = time.time()
            found = fit(inputs, answers, np.asarray(teacher.params[name]["kernel"]), next(ranks))
            factors = found.factors
            params |= {
                f"{name}_reduce": {"kernel": factors.reduce[None, None]},
                name: {"kernel": factors.kernel},
                f"{name}_expand": {"kernel": factors.expand[None, None], "bias": factors.bias},
            }
            told = f"unexplained {100 * found.reduced:.1f} % by the first factor, {100 * found.ranked:.1f} % in all"
            print(f"{name}: {told}; {time.time() - began:.0f} s", flush=True)
        inputs = [np.asarray(own(params, x, name)) for x in inputs]
    return params


# ---------------------------------------------------------------------------------------------- tuning


class Training(NamedTuple):
    """What tuning hands on: the weights over their scales, their running mean, Adam's state."""

    weights: Params
    mean: Params
    solver: Any


class Clock(NamedTuple):
    """How far tuning is."""

    steps: int
    seconds: float


def relu_layers(module: Any) -> tuple[str, ...]:
    """All layers after a ReLU."""
    return tuple(name for name in module.layer_names if name.startswith("relu"))


def features_of(module: Any, params: Params, images: jax.Array) -> dict[str, jax.Array]:
    """Features of a batch of images (n, h, w, 3) at each ReLU of the student."""

    def one(image: jax.Array) -> dict[str, jax.Array]:
        return module.apply({"params": params}, PREPROCESSING[PREPROCESSED](image), relu_layers(STUDENT))

    return jax.vmap(one)(images)


def scales_of(params: Params) -> Params:
    """The root mean square of each array: the unit that steps are taken in. conv1_1 is VGG19's and stays."""
    return jax.tree.map(lambda x: jnp.sqrt(jnp.mean(jnp.asarray(x) ** 2)) + 1e-3, params)


def unexplained_of(student: dict[str, jax.Array], teacher: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Squared errors at each layer."""
    return {name: jnp.sum((student[name] - x) ** 2) for name, x in teacher.items()}


def variances_of(teacher: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Sums of squares about each channel's mean, at each layer."""
    return {name: jnp.sum((x - x.mean((0, 1, 2), keepdims=True)) ** 2) for name, x in teacher.items()}


def tuned(teacher: Network, params: Params, pictures: Pictures, args: argparse.Namespace) -> Params:
    """The weights after `args.minutes` of feature distillation."""
    scales = scales_of(params)
    movable = {name: layer for name, layer in params.items() if name != "conv1_1"}
    first = jax.tree.map(lambda x, scale: jnp.asarray(x) / scale, movable, {name: scales[name] for name in movable})
    solver = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99))
    training, clock = Training(first, first, solver.init(first)), Clock(0, 0.0)
    if args.checkpoint.exists():
        training, clock = restore(args.checkpoint, training)
    weight = {name: 1.0 if name in READ else args.other_layers for name in relu_layers(STUDENT)}

    def whole(weights: Params) -> Params:
        moved = {name: jax.tree.map(jnp.multiply, layer, scales[name]) for name, layer in weights.items()}
        return {"conv1_1": params["conv1_1"], **moved}

    @jax.jit
    def crops(key: jax.Array) -> jax.Array:
        """Half of them plain."""
        plain, varied = jax.random.split(key)
        keys = jax.random.split(plain, args.batch // 2)
        some = jax.vmap(lambda key: random_crop(key, pictures, args.side))(keys)
        return jnp.concatenate([some, random_batch(varied, pictures, args.batch - len(some), args.side)])

    taught = jax.jit(lambda images: features_of(teacher.module, teacher.params, images))
    keys = (jax.random.fold_in(jax.random.key(args.seed), 2**31 + i) for i in range(12))
    variance = jax.tree.map(lambda *xs: sum(xs) / len(xs), *[variances_of(taught(crops(key))) for key in keys])

    @jax.jit
    def step(training: Training, images: jax.Array, wanted: Any, rate: jax.Array) -> tuple[Training, Any]:
        def loss(weights: Params) -> tuple[jax.Array, Any]:
            errors = unexplained_of(features_of(STUDENT, whole(weights), images), wanted)
            shares = {name: error / variance[name] for name, error in errors.items() if name in weight}
            return sum(weight[name] * share for name, share in shares.items()), shares

        gradient, shares = jax.grad(loss, has_aux=True)(training.weights)
        direction, state = solver.update(gradient, training.solver)
        weights = jax.tree.map(lambda x, d: x - rate * d, training.weights, direction)
        mean = jax.tree.map(lambda m, x: m + 0.01 * (x - m), training.mean, weights)
        return Training(weights, mean, state), shares

    total, saved = 60 * args.minutes, time.time()
    shown: dict[str, float] = {}
    last = time.time()
    while clock.seconds < total:
        images = crops(jax.random.fold_in(jax.random.key(args.seed), clock.steps))
        done = clock.seconds / total
        rate = args.rate * min(1.0, 50 * done + 0.01) * 0.5 * (1 + np.cos(np.pi * done))
        training, shares = step(training, images, taught(images), jnp.float32(rate))
        shares = {name: float(x) for name, x in shares.items()}
        shown = {name: 0.98 * shown.get(name, x) + 0.02 * x for name, x in shares.items()}
        now = time.time()
        clock, last = Clock(clock.steps + 1, clock.seconds + min(now - last, LONGEST)), now
        if clock.steps % args.look == 0:
            explained = " ".join(f"{name[4:]} {100 * (1 - x):.1f}" for name, x in shown.items())
            print(f"{clock.steps} steps, {clock.seconds / 60:.1f} min: {explained}", flush=True)
        if now - saved > args.every:
            keep(args.checkpoint, training, clock)
            saved = now
    keep(args.checkpoint, training, clock)
    print(f"{clock.steps} steps in {clock.seconds / 60:.1f} minutes", flush=True)
    return jax.tree.map(np.asarray, whole(training.mean))


def keep(path: Path, training: Training, clock: Clock) -> None:
    """Writes a checkpoint, whole."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(serialization.to_bytes({"training": training, "clock": clock}))
    part.replace(path)


def restore(path: Path, like: Training) -> tuple[Training, Clock]:
    """What a checkpoint holds."""
    found = serialization.from_bytes({"training": like, "clock": Clock(0, 0.0)}, path.read_bytes())
    return found["training"], Clock(int(found["clock"].steps), float(found["clock"].seconds))


# ---------------------------------------------------------------------------------------------- what it has reached


class Reached(NamedTuple):
    """Of each layer: explained variance and error of Gram matrices (mean over pictures), in per cent; dead channels."""

    explained: dict[str, float]
    gram: dict[str, float]
    dead: dict[str, int]


def reached(teacher: Network, params: Params, folder: Path) -> Reached:
    """How near the features are on pictures that nothing was fitted to: their middles, at 256 and 512 pixels.

    Explained variance is that of all positions of all pictures together, about each channel's mean over them. A channel
    is dead that fires nowhere in the student and somewhere in the teacher.
    """
    both = jax.jit(
        lambda params, image: (
            features_of(teacher.module, teacher.params, image[None]),
            features_of(STUDENT, params, image[None]),
        )
    )
    names = relu_layers(STUDENT)
    errors, squares, sums, counts = ({name: 0.0 for name in names} for _ in range(4))
    grams: dict[str, list[float]] = {name: [] for name in names}
    alive = {name: np.zeros((2, 1), bool) for name in names}
    for size in UNSEEN_SIZES:
        for picture in read_pictures([folder]):
            square = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
            wanted, found = both(params, jnp.asarray(square, jnp.float32) / 255)
            for name in names:
                x, y = (np.asarray(features[name][0], np.float64) for features in (wanted, found))
                errors[name] += ((x - y) ** 2).sum()
                squares[name] += (x**2).sum()
                sums[name] = sums[name] + x.sum((0, 1))
                counts[name] += x.shape[0] * x.shape[1]
                alive[name] = alive[name] | np.stack([a.max((0, 1)) > 0 for a in (x, y)])
                a, b = (np.asarray(gram_matrix(features[name][0]), np.float64) for features in (wanted, found))
                grams[name].append(((a - b) ** 2).sum() / (a**2).sum())
    variance = {name: squares[name] - (sums[name] ** 2).sum() / counts[name] for name in names}
    return Reached(
        {name: 100 * (1 - errors[name] / variance[name]) for name in names},
        {name: 100 * float(np.mean(grams[name])) for name in names},
        {name: int((alive[name][0] & ~alive[name][1]).sum()) for name in names},
    )


def told(found: Reached) -> str:
    """A line for each layer."""
    rows = [
        f"{name}: explained {found.explained[name]:.1f} %, Gram error {found.gram[name]:.2f} %, dead {found.dead[name]}"
        for name in found.explained
    ]
    return "\n".join(rows)


# ---------------------------------------------------------------------------------------------- command line


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path, help="folders of .jpg to learn from")
    parser.add_argument("--weights", help="file of VGG19's weights (default: those at hand)")
    parser.add_argument("--unseen", type=Path, help="folder of .jpg to evaluate on")
    parser.add_argument("--out", type=Path, help="where the network goes (.h5)")
    parser.add_argument("--fit", type=Path, default=Path("compact-fit.msgpack"), help="where the fit is kept")
    parser.add_argument("--checkpoint", type=Path, default=Path("compact-tuning.msgpack"))
    parser.add_argument("--minutes", type=float, default=60, help="of tuning, compiling apart")
    parser.add_argument("--every", type=float, default=60, help="seconds between checkpoints")
    parser.add_argument("--look", type=int, default=400, help="steps between lines")
    parser.add_argument("--batch", type=int, default=2, help="crops at a time, half of them plain")
    parser.add_argument("--side", type=int, default=144, help="of a crop, in pixels")
    parser.add_argument("--rate", type=float, default=5e-4, help="Adam's, relative to the size of each array")
    parser.add_argument("--other-layers", type=float, default=0.3, help="weight of layers that nothing is painted by")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Fits, tunes, evaluates, writes."""
    args = arguments(words)
    teacher = load_network("vgg19", args.weights)
    pictures = stack(read_pictures(args.pictures))
    if args.fit.exists():
        params = serialization.msgpack_restore(args.fit.read_bytes())
    else:
        params = fitted(teacher, crops_to_fit(pictures, jax.random.key(args.seed)))
        args.fit.write_bytes(serialization.msgpack_serialize(params))
    if args.minutes:
        params = tuned(teacher, params, pictures, args)
    if args.out:
        save_weights(
            args.out,
            params,
            network="compact",
            preprocessing=PREPROCESSED,
            source="scripts/train_compact.py, from the VGG19 of the Visual Geometry Group, Oxford",
            licence="CC BY 4.0",
            codebook_bits=BITS,
        )
        params = jax.tree.map(np.asarray, dict(load_network("compact", args.out).params))
    if args.unseen:
        print(told(reached(teacher, params, args.unseen)))


if __name__ == "__main__":
    main()
