"""Random weights in the layouts of torchvision and Keras, and the networks themselves in plain torch, as an oracle."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Tensors = dict[str, np.ndarray]  # a state dict's: kernels OIHW

VGG_DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4), "vgg19_bn": (2, 2, 4, 4, 4)}
VGG_WIDTHS = (64, 128, 256, 512, 512)
ALEXNET = {0: (11, 3, 64), 3: (5, 64, 192), 6: (3, 192, 384), 8: (3, 384, 256), 10: (3, 256, 256)}
DENSE_DEPTHS = (6, 12, 24, 16)
PARTS = ("weight", "bias", "running_mean", "running_var")


def kernel(rng: np.random.Generator, size: int, before: int, width: int) -> np.ndarray:
    """He-normal, OIHW."""
    scale = np.float32(np.sqrt(2 / (size * size * before)))
    return rng.standard_normal((width, before, size, size), np.float32) * scale


def offsets(rng: np.random.Generator, width: int) -> np.ndarray:
    return rng.standard_normal(width, np.float32) * np.float32(0.1)


def normalisation(rng: np.random.Generator, name: str, width: int) -> Tensors:
    """Scales and variances about one, small offsets and means."""
    about_one = [rng.uniform(0.5, 1.5, width).astype(np.float32) for _ in range(2)]
    four = (about_one[0], offsets(rng, width), offsets(rng, width), about_one[1])
    return {f"{name}.{part}": array for part, array in zip(PARTS, four, strict=True)}


def vgg_places(name: str) -> Iterator[tuple[str, int, int, int]]:
    """(our name, number in `features`, channels before, channels) of each convolution."""
    n, before, step = 0, 3, 3 if name.endswith("_bn") else 2
    for block, (depth, width) in enumerate(zip(VGG_DEPTHS[name], VGG_WIDTHS, strict=True), 1):
        for i in range(1, depth + 1):
            yield f"conv{block}_{i}", n, before, width
            n, before = n + step, width
        n += 1


def dense_places(depths: tuple[int, ...], growth: int, width: int) -> Iterator[tuple[str, int, int, int]]:
    """(torchvision's name, kernel's size or 0 for a normalisation, channels before, channels) of each layer."""
    yield "conv0", 7, 3, width
    yield "norm0", 0, width, width
    for b, depth in enumerate(depths, 1):
        for i in range(1, depth + 1):
            layer = f"denseblock{b}.denselayer{i}"
            yield f"{layer}.norm1", 0, width, width
            yield f"{layer}.conv1", 1, width, 4 * growth
            yield f"{layer}.norm2", 0, 4 * growth, 4 * growth
            yield f"{layer}.conv2", 3, 4 * growth, growth
            width += growth
        if b < len(depths):
            yield f"transition{b}.norm", 0, width, width
            yield f"transition{b}.conv", 1, width, width // 2
            width //= 2
    yield "norm5", 0, width, width


def state_dict(network: str, seed: int = 0, **dense: Any) -> Tensors:
    """Random weights under torchvision's names, with something of a classifier."""
    rng = np.random.default_rng(seed)
    tensors: Tensors = {}
    if network == "densenet121":
        for name, size, before, width in dense_places(**({"depths": DENSE_DEPTHS, "growth": 32, "width": 64} | dense)):
            key = f"features.{name}"
            tensors |= {f"{key}.weight": kernel(rng, size, before, width)} if size else normalisation(rng, key, width)
    elif network == "alexnet":
        for n, (size, before, width) in ALEXNET.items():
            tensors[f"features.{n}.weight"] = kernel(rng, size, before, width)
            tensors[f"features.{n}.bias"] = offsets(rng, width)
    else:
        for _, n, before, width in vgg_places(network):
            tensors[f"features.{n}.weight"] = kernel(rng, 3, before, width)
            tensors[f"features.{n}.bias"] = offsets(rng, width)
            if network.endswith("_bn"):
                tensors |= normalisation(rng, f"features.{n + 1}", width)
    return tensors | {"classifier.1.weight": np.ones((3, 4), np.float32), "classifier.1.bias": np.ones(3, np.float32)}


def old_names(tensors: Tensors) -> Tensors:
    """`norm.1` for `norm1`, as torchvision's own files of DenseNet still have it."""

    def old(key: str) -> str:
        for part in ("norm", "conv"):
            for i in "12":
                key = key.replace(f".{part}{i}.", f".{part}.{i}.") if "denselayer" in key else key
        return key

    return {old(key): array for key, array in tensors.items()}


def keras_names(network: str) -> dict[str, str]:
    """Keras' name of each layer by torchvision's, in Keras' order."""
    if network != "densenet121":
        return {f"features.{n}": f"block{name[4]}_conv{name[6]}" for name, n, _, _ in vgg_places(network)}
    found = {"features.conv0": "conv1/conv", "features.norm0": "conv1/bn"}
    parts = {"norm1": "0_bn", "conv1": "1_conv", "norm2": "1_bn", "conv2": "2_conv"}
    for b, depth in enumerate(DENSE_DEPTHS, 1):
        for i in range(1, depth + 1):
            for theirs, keras in parts.items():
                found[f"features.denseblock{b}.denselayer{i}.{theirs}"] = f"conv{b + 1}_block{i}_{keras}"
        if b < len(DENSE_DEPTHS):
            found |= {f"features.transition{b}.{part[0]}": f"pool{b + 1}_{part[1]}" for part in TRANSITION}
    return found | {"features.norm5": "bn"}


TRANSITION = (("norm", "bn"), ("conv", "conv"))


def write_keras(path: Path, network: str, tensors: Tensors, *, old: bool = True) -> Path:
    """Keras' "notop" file, with layers that have no weights in it too; today's Keras has no slash in names."""
    names = ["input_1"]
    with h5py.File(path, "w") as file:
        for theirs, slashed in keras_names(network).items():
            name = slashed if old else slashed.replace("/", "_")
            group = file.create_group(name)
            arrays = {part: tensors[f"{theirs}.{part}"] for part in PARTS if f"{theirs}.{part}" in tensors}
            arrays["weight"] = (
                arrays["weight"].transpose(2, 3, 1, 0) if arrays["weight"].ndim == 4 else arrays["weight"]
            )
            called = ("gamma", "beta", "moving_mean", "moving_variance") if len(arrays) == 4 else ("kernel", "bias")
            inside = [f"{name}/{word}:0" for word in called[: len(arrays)]]
            for word, array in zip(inside, arrays.values(), strict=True):
                group[word] = array
            group.attrs["weight_names"] = np.array(inside, np.bytes_ if old else object)
            names += [name, f"after_{len(names)}"]
        for name in names:
            file.require_group(name).attrs.setdefault("weight_names", np.zeros(0))
        file.attrs["layer_names"] = np.array(names, np.bytes_ if old else object)
    return path


# The networks in plain torch: image (h, w, 3), preprocessed, -> features (h', w', c) by our layers' names.


def torch_features(
    network: str, tensors: Tensors, image: np.ndarray, *, epsilon: float = 1e-5, pooling: str = "max",
    padding: str = "zero", depths: tuple[int, ...] = DENSE_DEPTHS,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Every named layer of a network, by the operations of torch.nn.functional alone."""
    import torch
    import torch.nn.functional as F

    mode = {"zero": "constant", "edge": "replicate", "reflect": "reflect", "periodic": "circular"}[padding]
    found: dict[str, Any] = {}

    def padded(x: Any, size: int, stride: int, border: int) -> Any:
        after = size - stride - border if padding == "periodic" else border
        return F.pad(x, (border, after, border, after), mode=mode) if border or after else x

    def conv(x: Any, name: str, stride: int = 1, border: int | None = None) -> Any:
        weight, bias = (tensors.get(f"features.{name}.{part}") for part in ("weight", "bias"))
        assert weight is not None
        size = weight.shape[2]
        x = padded(x, size, stride, size // 2 if border is None else border)
        return F.conv2d(x, torch.from_numpy(weight), None if bias is None else torch.from_numpy(bias), stride)

    def norm(x: Any, name: str) -> Any:
        scale, offset, mean, variance = (torch.from_numpy(tensors[f"features.{name}.{part}"]) for part in PARTS)
        return F.batch_norm(x, mean, variance, scale, offset, eps=epsilon)

    def pool(x: Any, size: int, border: int = 0) -> Any:
        kind = F.max_pool2d if pooling == "max" else F.avg_pool2d
        return kind(padded(x, size, 2, border), size, 2)

    def keep(name: str, x: Any) -> Any:
        found[name] = x
        return x

    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    if network == "alexnet":
        for k, n in enumerate(ALEXNET, 1):
            x = keep(f"conv{k}", conv(x, str(n), *((4, 2) if k == 1 else ())))
            x = keep(f"relu{k}", F.relu(x))
            x = keep(f"pool{k}", pool(x, 3)) if k in (1, 2, 5) else x
    elif network == "densenet121":
        x = keep("relu0", F.relu(norm(conv(x, "conv0", 2), "norm0")))
        x = keep("pool0", pool(x, 3, 1))
        for b, depth in enumerate(depths, 1):
            for i in range(1, depth + 1):
                layer = f"denseblock{b}.denselayer{i}"
                new = conv(F.relu(norm(x, f"{layer}.norm1")), f"{layer}.conv1")
                x = torch.cat([x, conv(F.relu(norm(new, f"{layer}.norm2")), f"{layer}.conv2")], 1)
            keep(f"dense{b}", x)
            if b < len(depths):
                x = conv(F.relu(norm(x, f"transition{b}.norm")), f"transition{b}.conv")
                x = keep(f"trans{b}", F.avg_pool2d(x, 2, 2))
        keep("norm5", norm(x, "norm5"))
    else:
        for name, n, _, _ in vgg_places(network):
            if name.endswith("_1") and name != "conv1_1":
                x = keep(f"pool{int(name[4]) - 1}", pool(x, 2))
            x = conv(x, str(n))
            x = keep(name, norm(x, str(n + 1)) if network.endswith("_bn") else x)
            x = keep(f"relu{name[4:]}", F.relu(x))
        keep("pool5", pool(x, 2))
    return {name: x[0].permute(1, 2, 0).detach().numpy() for name, x in found.items()}
