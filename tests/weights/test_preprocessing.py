"""One answer for one file, whatever it is called: its hash, its layers' names, its numbers, and its own name last."""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from commandline import Said
from containers import pickled, zip_file
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES
from jaxstyle.networks.layers import Convolution
from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import WeightsInfo, convert, formats, load_network, registry, show
from jaxstyle.weights.preprocessing import by_kernels
from tiny_weights import Params, line, random_params, save, write_keras
from weight_files import state_dict

pytestmark = pytest.mark.usefixtures("cache")

FIVE = VGG(depths=(2, 2, 1), widths=(8, 10, 12))
KINDS = ("keras", "torchvision")


@pytest.fixture(autouse=True)
def _five(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of as many convolutions as are looked at."""
    monkeypatch.setitem(ARCHITECTURES, "five", FIVE)


def kernels_of(kind: str, seed: int = 0, gain: float | None = None, tilt: float = 1.3) -> Params:
    """Weights whose numbers say what they were trained to see: their norms, and which colour is heavier."""
    params = random_params(FIVE, seed)
    first = params["conv1_1"]["kernel"]
    first /= np.sqrt(np.square(first).sum((0, 1, 3)))[:, None]
    first[:, :, 2 if kind == "keras" else 0] *= tilt
    for layer in params.values():
        norms = np.sqrt(np.square(layer["kernel"]).sum((0, 1, 2)))
        layer["kernel"] *= np.float32(gain or {"keras": 0.6, "torchvision": 1.2}[kind]) / norms
    return params


def as_layers(params: Params) -> dict[str, Convolution]:
    return {name: Convolution(**layer) for name, layer in params.items()}


def write_torch(path: Path, params: Params, caffe: bool = False) -> Path:
    """A torch file with torchvision's names of layers, or Caffe's."""
    tensors = state_dict(as_layers(params))
    if caffe:
        tensors = {
            f"{name}.{part}": tensors[key]
            for name, keys in zip(params, zip(*[iter(tensors)] * 2, strict=True), strict=True)
            for part, key in zip(("weight", "bias"), keys, strict=True)
        }
    zip_file(path, *pickled(tensors))
    return path


def answers(path: Path, out: Path, said: list[str]) -> set[str]:
    """What each of the three that must agree says of a file."""
    convert(path, out, notice=said.append)
    return {
        load_network("five", path, notice=said.append).preprocessing,
        show(path, notice=said.append)["preprocessing"],
        show(out)["preprocessing"],
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.pth", "vgg19-d01eb7cb.pth", "vgg19-dcbb9e9d.pth", "vgg19-d01eb7cb.safetensors"])
def test_the_name_does_not_change_the_answer(kind: str, name: str, tmp_path: Path) -> None:
    params = kernels_of(kind)
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(state_dict(as_layers(params)), path)
    else:
        write_torch(path, params)
    said: list[str] = []
    assert answers(path, tmp_path / "out.h5", said) == {kind}
    of_name = {"vgg19-d01eb7cb": "keras", "vgg19-dcbb9e9d": "torchvision"}.get(path.stem, kind)
    lies = f"{path}: preprocessing {kind}, by its first kernels; the file's name would be {of_name} "
    assert said == ([] if of_name == kind else [lies + "(--preprocessing says which)"] * 3)


def test_where_the_numbers_say_nothing_the_name_does(tmp_path: Path) -> None:
    params = kernels_of("keras", tilt=1.0)
    for name, kind in {
        "vgg19-d01eb7cb.pth": "keras",
        "vgg19-dcbb9e9d.pth": "torchvision",
        "a.pth": "torchvision",
    }.items():
        said: list[str] = []
        assert answers(write_torch(tmp_path / name, params), tmp_path / "out.h5", said) == {kind} and not said


def test_caffes_names_in_a_torch_file(tmp_path: Path) -> None:
    said: list[str] = []
    path = write_torch(tmp_path / "vgg_conv.pth", kernels_of("keras"), caffe=True)
    assert answers(path, tmp_path / "out.h5", said) == {"keras"} and not said
    path = write_torch(tmp_path / "b.pth", kernels_of("torchvision"), caffe=True)
    assert answers(path, tmp_path / "out.h5", said) == {"keras"}
    assert len(said) == 3
    assert all("by the names of its layers; its first kernels would be torchvision" in one for one in said)


def test_keras_names_decide_for_networks_that_are_not_known(tmp_path: Path) -> None:
    params = {name: kernels_of("torchvision")[name] for name in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")}
    params["conv3_2"] = {"kernel": np.ones((3, 3, 12, 12), np.float32), "bias": np.ones(12, np.float32)}
    found = show(write_keras(tmp_path / "a.h5", params))
    assert (found["network"], found["preprocessing"]) == (None, "keras")


@pytest.mark.parametrize("kind", KINDS)
def test_the_hash_comes_before_everything(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = KINDS[kind == KINDS[0]]
    path = write_torch(tmp_path / "a.pth", kernels_of(other), caffe=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = WeightsInfo("five", "theirs", "x.pth", "torch", kind, "CC0", "them", hash=f"sha256:{digest}")
    monkeypatch.setattr(registry, "entries", lambda: (replace(entry, hash="sha256:00"), entry))
    said: list[str] = []
    assert answers(path, tmp_path / "out.h5", said) == {kind}
    assert len(said) == 3 and all("by its hash; " in one and f"would be {other} (" in one for one in said)


@pytest.mark.parametrize("kind", KINDS)
def test_the_user_has_the_last_word(kind: str, tmp_path: Path, call: Callable[..., Said]) -> None:
    other = KINDS[kind == KINDS[0]]
    path = write_torch(tmp_path / "vgg19-d01eb7cb.pth", kernels_of(other))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # and nothing is in doubt then
        assert load_network("five", path, preprocessing=kind).preprocessing == kind
        assert show(path, preprocessing=kind)["preprocessing"] == kind
    said = call("weights", "show", path, "--preprocessing", kind)
    assert said.code == 0 and f"preprocessing: {kind}\n" in said.out and not said.err
    said = call("weights", "convert", path, "-o", tmp_path / "out.h5", "--preprocessing", kind)
    assert said.code == 0 and not said.err and load_network("five", tmp_path / "out.h5").preprocessing == kind
    for function in (lambda: load_network("five", path, preprocessing="bgr"), lambda: show(path, preprocessing="bgr")):
        assert "keras, torchvision" in line(InputError, function)


def test_the_command_line_says_what_is_in_doubt(tmp_path: Path, call: Callable[..., Said]) -> None:
    path = write_torch(tmp_path / "vgg19-d01eb7cb.pth", kernels_of("torchvision"))
    for words in (("show", path), ("convert", path, "-o", tmp_path / "out.h5")):
        said = call("weights", *words)
        assert said.code == 0 and said.err.count("\n") == 1 and "--preprocessing says which" in said.err


def test_in_a_library_it_is_a_warning(tmp_path: Path) -> None:
    path = write_torch(tmp_path / "vgg19-d01eb7cb.pth", kernels_of("torchvision"))
    with pytest.warns(UserWarning, match="by its first kernels; the file's name would be keras"):
        assert load_network("five", path).preprocessing == "torchvision"


def test_a_file_of_ours_is_taken_at_its_word(tmp_path: Path) -> None:
    path = save(tmp_path / "vgg19-d01eb7cb.h5", kernels_of("keras"), "five", preprocessing="torchvision")
    said: list[str] = []
    assert load_network("five", path, notice=said.append).preprocessing == "torchvision" and not said


# The numbers


def by_numbers(kernels: list[np.ndarray]) -> str:
    layers = {f"features.{n}": Convolution(kernel, None) for n, kernel in enumerate(kernels)}
    return by_kernels(formats.WeightsFile("torch", layers, "torchvision"))


REAL = {
    "vgg19_oxford_8bit.npz": "keras",
    "vgg19_caffe_normalised_conv0_to_conv3_1.npz": "keras",
    "vgg19_quarter_width_relu1_1_to_relu5_1.npz": "keras",
    "vgg19_torchvision_conv1_1_to_conv3_1.npz": "torchvision",
}


@pytest.mark.parametrize("name", REAL)
def test_real_weights(name: str, shared: Path) -> None:
    with np.load(shared / "weights" / name) as arrays:
        coded = [arrays[f"{key[:-5]}table"][arrays[key]] for key in arrays if key.endswith("/codes")]
        plain = [arrays[k].transpose(2, 3, 1, 0) for k in arrays if k.endswith("_weight") and k != "conv0_weight"]
    kernels = [*coded, *plain]
    assert by_numbers(kernels) == REAL[name]
    # Neither the scale nor the order of colours is enough: with the other's, nothing is said.
    assert by_numbers([kernels[0][:, :, ::-1], *kernels[1:]]) == ""
    factor = np.float32(1.6 if REAL[name] == "keras" else 1 / 1.6)
    rescaled = [kernel * (factor if "oxford" in name or "torchvision" in name else 3) for kernel in kernels]
    assert by_numbers(rescaled) == ""
    assert by_numbers(kernels[:4]) == "" and by_numbers(kernels[1:]) == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_made_weights(kind: str, seed: int) -> None:
    def kernels(**options: float) -> list[np.ndarray]:
        return [layer["kernel"] for layer in kernels_of(kind, seed, **options).values()]

    assert by_numbers(kernels()) == kind
    assert by_numbers(kernels(tilt=1.0)) == ""  # no colour is heavier by far
    assert by_numbers(kernels(gain=0.92)) == "" and by_numbers(kernels(gain=30.0)) == ""
    grey = [kernel[:, :, :1] if n == 0 else kernel for n, kernel in enumerate(kernels())]
    assert by_numbers(grey) == ""
    wide = [np.tile(kernel, (2, 2, 1, 1)) for kernel in kernels()]
    assert by_numbers(wide) == ""
