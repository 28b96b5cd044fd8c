"""`jaxstyle weights`: fetch, list, show, convert."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commandline import Said, listing, refused
from jaxstyle.networks import ARCHITECTURES
from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import WeightsInfo, registry

TINY = VGG(depths=(2, 1), widths=(4, 6))


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves tiny.safetensors, a network that only this test knows; yields the address."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    tensors = {}
    for n, shape in enumerate(TINY.kernel_shapes.values()):
        tensors[f"features.{n}.weight"] = rng.standard_normal((shape[3], shape[2], 3, 3), np.float32)
        tensors[f"features.{n}.bias"] = np.zeros(shape[3], np.float32)
    served = folder.parent / "served"
    served.mkdir()
    save_file(tensors, served / "tiny.safetensors")
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=served)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/tiny.safetensors"
        server.shutdown()
        thread.join()


def register(monkeypatch: pytest.MonkeyPatch, url: str, hash_: str, network: str = "tiny", size: int = 1000) -> None:
    more = ((url,), size, hash_)
    entry = WeightsInfo(network, "here", "tiny.safetensors", "torch", "torchvision", "CC0", "us", *more)
    monkeypatch.setattr(registry, "entries", lambda: (entry,))


def test_fetch_list_show_convert(
    call: Callable[..., Said], folder: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = folder.parent / "a [red] cache"
    monkeypatch.setenv("JAXSTYLE_CACHE", str(cache))
    served = (folder.parent / "served" / "tiny.safetensors").read_bytes()
    register(monkeypatch, server, f"sha256:{hashlib.sha256(served).hexdigest()}", size=len(served))
    row = "tiny conv1_1 ... pool2 (8) 0.0 MB CC0 here no"
    assert call("weights", "list").out.splitlines()[-1].split() == row.split()
    fetched = call("weights", "fetch", "tiny")
    assert fetched.code == 0 and fetched.out == f"{cache / 'tiny.h5'}\n"
    assert fetched.err.startswith("downloading ") and fetched.err.count("\n") == 1
    assert call("weights", "fetch", "tiny") == (0, fetched.out, "")  # there already
    listed = call("weights", "list")
    assert listed.code == 0 and str(cache / "tiny.h5") in listed.out and "CC0" in listed.out
    shown = call("weights", "show", "tiny")
    assert shown.code == 0 and "preprocessing: torchvision" in shown.out and "3 x 3 x 4 x 6" in shown.out
    converted = call("weights", "convert", cache / "tiny.h5", "-o", "mine.h5")
    assert converted == (0, "mine.h5\n", "")
    assert call("weights", "show", "mine.h5").out.splitlines()[-3:] == shown.out.splitlines()[-3:]


def test_a_download_with_another_hash_is_not_kept(
    call: Callable[..., Said], folder: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (folder.parent / "served" / "tiny.safetensors").stat().st_size
    register(monkeypatch, server, "sha256:" + "0" * 64, size=size)
    said = call("weights", "fetch", "tiny")
    said = said._replace(err=said.err.removeprefix("downloading 0.0 MB\n"))
    refused(said, 1, "127.0.0.1", "hash", "jaxstyle weights convert")
    assert listing(Path(os.environ["JAXSTYLE_CACHE"])) == set()


def test_without_a_connection_a_network_that_is_not_here_says_what_to_do(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    register(monkeypatch, "http://127.0.0.1:9/vgg19.h5", "md5:00", "vgg19")
    before = listing(folder)
    for arguments in (["transfer", "c.png", "s.png", "--network", "vgg19"], ["weights", "fetch", "vgg19"]):
        refused(call(*arguments), 1, "no connection", "http://127.0.0.1:9/vgg19.h5", "--weights FILE")
    assert listing(folder) == before
