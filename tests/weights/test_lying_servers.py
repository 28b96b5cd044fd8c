"""Servers that send too much, too slowly or nonsense: no more is kept than the file has, and the next one is tried."""

import hashlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jaxstyle.weights import DownloadError, WeightsInfo, download, fetch, load_network, registry
from tiny_weights import assert_params, line, random_params, write_keras

pytestmark = pytest.mark.usefixtures("cache")

HEAD = b"HTTP/1.1 200 OK\r\n"
PATIENCE = 0.5  # seconds here


class Server(socketserver.ThreadingTCPServer):
    """Answers /NAME as its answer of that name does, which gets what it may send with."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answers: dict[str, Callable[[Callable[[bytes], object]], None]]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.closing = answers, threading.Event()
        self.sent: dict[str, int] = dict.fromkeys(answers, 0)

    def handle_error(self, request: object, client_address: object) -> None:
        """The client has gone, as it should."""


class Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        name = self.rfile.readline().split()[1][1:].decode()
        while self.rfile.readline().strip():
            pass

        def send(data: bytes) -> None:
            if self.server.closing.is_set():
                raise ConnectionError
            self.server.sent[name] += len(data)
            self.wfile.write(data)
            self.wfile.flush()

        self.server.answers[name](send)


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return write_keras(tmp_path / "served.h5", random_params()).read_bytes()


@pytest.fixture
def server(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "PATIENCE", PATIENCE)

    def for_ever(send: Callable[[bytes], object], data: bytes, pause: float = 0.0) -> None:
        while True:
            send(data)
            time.sleep(pause)

    def answer(*head: bytes) -> bytes:
        return HEAD + b"".join(part + b"\r\n" for part in head) + b"\r\n"

    length = b"Content-Length: %d" % len(content)

    def good(send: Callable[[bytes], object]) -> None:
        send(answer(length) + content)

    def endless(send: Callable[[bytes], object]) -> None:
        send(answer() + content)
        for_ever(send, bytes(1 << 16))

    def endless_chunks(send: Callable[[bytes], object]) -> None:
        send(answer(b"Transfer-Encoding: chunked"))
        for_ever(send, b"10000\r\n" + bytes(1 << 16) + b"\r\n")

    def a_byte_now_and_then(send: Callable[[bytes], object]) -> None:
        send(answer(length))
        for_ever(send, b"x", PATIENCE / 20)

    def a_header_now_and_then(send: Callable[[bytes], object]) -> None:
        send(HEAD)
        for_ever(send, b"X", PATIENCE / 20)

    def nothing(send: Callable[[bytes], object]) -> None:
        for_ever(send, b"", PATIENCE / 20)

    def half(send: Callable[[bytes], object]) -> None:
        send(answer(length) + content[: len(content) // 2])
        for_ever(send, b"", PATIENCE / 20)

    def bad_length(send: Callable[[bytes], object]) -> None:
        send(answer(b"Content-Length: -x") + content[:100])

    def huge_length(send: Callable[[bytes], object]) -> None:
        send(answer(b"Content-Length: 999999999999999999999") + content + b"more")

    def bad_chunks(send: Callable[[bytes], object]) -> None:
        send(answer(b"Transfer-Encoding: chunked") + b"what?\r\n" + content)

    def no_http(send: Callable[[bytes], object]) -> None:
        send(bytes(range(256)) * 10)

    def to_itself(send: Callable[[bytes], object]) -> None:
        send(b"HTTP/1.1 302 Found\r\nLocation: /to_itself\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def nowhere(send: Callable[[bytes], object]) -> None:
        send(b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n")

    answers = [
        good, endless, endless_chunks, a_byte_now_and_then, a_header_now_and_then, nothing, half, bad_length,
        huge_length, bad_chunks, no_http, to_itself, nowhere,
    ]  # fmt: skip
    with Server({one.__name__: one for one in answers}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def register(server: Server, content: bytes, *names: str, size: int | None = None) -> WeightsInfo:
    urls = tuple(f"http://127.0.0.1:{server.server_address[1]}/{name}" for name in names)
    digest = "md5:" + hashlib.md5(content).hexdigest()
    size = len(content) if size is None else size
    return WeightsInfo("tiny", "keras", "tiny.h5", "keras", "keras", "CC0", "them", urls, size, digest)


REASONS = {
    "endless": "more came than the {size} bytes that the file has",
    "endless_chunks": "more came than the {size} bytes that the file has",
    "a_byte_now_and_then": "no 64 kB in 0.5 s",
    "a_header_now_and_then": "no 64 kB in 0.5 s",
    "nothing": "no 64 kB in 0.5 s",
    "half": "no 64 kB in 0.5 s",
    "bad_length": "",
    "huge_length": "",
    "bad_chunks": "",
    "no_http": "",
    "to_itself": "TooManyRedirects",
    "nowhere": "",
}


@pytest.mark.parametrize("name", REASONS)
def test_the_next_mirror_is_tried_and_nothing_left(
    name: str, server: Server, content: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "entries", lambda: (register(server, content, name, "good"),))
    done: list[int] = []
    assert_params(load_network("tiny", progress=lambda so_far, total: done.append(so_far)).params, random_params())
    assert [path.name for path in cache.iterdir()] == ["tiny.h5"]
    assert max(done) == len(content)
    (cache / "tiny.h5").unlink()
    monkeypatch.setattr(registry, "entries", lambda: (register(server, content, name),))
    message = line(DownloadError, fetch, "tiny")
    assert REASONS[name].format(size=len(content)) in message and "--weights FILE" in message
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", ["endless", "endless_chunks"])
def test_of_an_unknown_size_no_more_than_the_limit_is_written(
    name: str, server: Server, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MOST", 3_000_000)
    reason = download.download(register(server, content, name, size=0), tmp_path / "a", None)
    assert reason.endswith("more came than the 3000000 bytes that any such file has")
    assert (tmp_path / "a").stat().st_size <= 3_000_000
    assert server.sent[name] < 100_000_000  # it has been left


def test_a_full_disk_is_no_fault_of_the_server(server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match="No space left"):
        download.download(register(server, content, "good", "good"), full, None)
