"""`-` for standard input and output, and `--json`."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commandline import QUICK, Said, Stream, listing, picture, pixels, refused, same_record
from jaxstyle.cli.main import main
from jaxstyle.cli.messages import CommandError
from jaxstyle.cli.pipes import piped_out, source, tell
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import load_picture
from marks import slow

OPTIONS = ("--quiet", *QUICK)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(content: bytes, **options: Any) -> None:
        monkeypatch.setattr(sys, "stdin", Stream(content, **options))

    return give


def test_a_piped_picture_is_the_one_in_the_file(folder: Path, piped: Callable[..., None]) -> None:
    named = load_picture("c.png", 32)
    piped(Path("c.png").read_bytes())
    for _ in range(2):  # a pipe can be read once, and a picture is opened again
        held = load_picture(source("-"), 32)
        np.testing.assert_array_equal(held.pixels, named.pixels)
        assert (held.sha256, held.own_size, held.path) == (named.sha256, named.own_size, "-")
    piped(Path("s.png").read_bytes())
    assert load_picture(source("-")).sha256 == load_picture("s.png").sha256
    assert source("./-") == "./-"


@pytest.mark.parametrize("place", [slow("content"), slow("style"), slow("init"), "mask"])
def test_any_picture_may_come_through_a_pipe(
    call: Callable[..., Said], folder: Path, piped: Callable[..., None], place: str
) -> None:
    picture(folder / "m.png", 3, channels=3)
    Image.fromarray(np.full((48, 64), 200, np.uint8)).save("m.png")
    words = {"content": "c.png", "style": "s.png", "init": "s.png", "mask": "m.png"}

    def paint(out: str, names: dict[str, str]) -> None:
        more = ("--init", names["init"], "--masks", names["mask"])
        assert call("transfer", names["content"], names["style"], "-o", out, *more, *OPTIONS).code == 0

    paint("named.png", words)
    piped(Path(words[place]).read_bytes())
    paint("piped.png", words | {place: "-"})
    np.testing.assert_array_equal(pixels("named.png"), pixels("piped.png"))
    told = {"content": "content", "style": "styles", "init": "init", "mask": "masks"}[place]
    given, held = (same_record(folder / name)[told] for name in ("named.png", "piped.png"))
    if isinstance(given, list):
        (given,), (held,) = given, held
    assert held == given | {"file": "-"}


def test_the_name_of_a_result_of_a_pipe(call: Callable[..., Said], folder: Path, piped: Callable[..., None]) -> None:
    piped(Path("c.png").read_bytes())
    assert call("transfer", "-", "s.png", *OPTIONS).out == "stdin_s.png\n"


def test_a_result_on_standard_output(call: Callable[..., Said], folder: Path) -> None:
    """In a process of its own, as in a pipe."""
    assert call("transfer", "c.png", "s.png", "-o", "named.png", *OPTIONS).code == 0
    before = listing(folder)
    program = [sys.executable, "-m", "jaxstyle.cli", "transfer"]
    with open("c.png", "rb") as content:
        said = subprocess.run([*program, "-", "s.png", "-o", "-", *QUICK], stdin=content, capture_output=True)
    assert said.returncode == 0 and listing(folder) == before
    with Image.open(io.BytesIO(said.stdout)) as image:
        np.testing.assert_array_equal(np.asarray(image).astype(int), pixels("named.png"))
        record = json.loads(image.info["jaxstyle"])
    assert record["status"] == "done" and record["content"]["file"] == "-"
    last = said.stderr.decode().splitlines()[-1]
    assert last.startswith("standard output: 64 x 48, content "), last


@pytest.mark.slow
def test_standard_output_that_takes_nothing(folder: Path) -> None:
    words = [sys.executable, "-m", "jaxstyle.cli", "transfer", "c.png", "s.png", "-o", "-", *OPTIONS]
    with open("/dev/full", "wb") as full:
        said = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (said.returncode, said.stderr) == (
        1,
        "jaxstyle: standard output could not be written: No space left on device\n",
    )
    read, write = os.pipe()
    os.close(read)
    said = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (said.returncode, said.stderr) == (1, "jaxstyle: standard output could not be written: Broken pipe\n")


def test_what_there_is_goes_out_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(KeyboardInterrupt), piped_out() as place:
        place.write_bytes(b"so far")
        raise KeyboardInterrupt
    assert stream.buffer.getvalue() == b"so far"  # type: ignore[attr-defined]
    assert not place.parent.exists()
    with pytest.raises(InputError), piped_out():
        raise InputError("nothing yet")
    assert stream.buffer.getvalue() == b"so far"  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(CommandError, match="standard output could not be written"), piped_out() as place:
        place.write_bytes(b"more")


def test_what_cannot_be_piped(call: Callable[..., Said], folder: Path, piped: Callable[..., None]) -> None:
    content = Path("c.png").read_bytes()
    piped(content)
    refused(call("transfer", "-", "-"), 2, "- is given twice", "standard input")
    refused(call("transfer", "-", "s.png", "--init", "-"), 2, "- is given twice")
    refused(call("sweep", "-", "s.png", "-o", "out"), 2, "a sweep cannot take")
    refused(call("batch", "c.png", "--style", "-", "-o", "out"), 2, "a batch cannot take")
    refused(call("transfer", "c.png", "s.png", "-o", "-", "--json"), 2, "--json", "-o -")
    refused(call("transfer", "c.png", "s.png", "-o", "-", "--save-every", "3"), 2, "--save-every", "-o")
    piped(b"")
    refused(call("transfer", "-", "s.png"), 2, "standard input is empty")
    piped(b"text, and no picture")
    refused(call("transfer", "-", "s.png"), 2, "standard input is not a picture")
    piped(content[: len(content) // 2])
    refused(call("transfer", "-", "s.png"), 2, "standard input is damaged")
    piped(content, terminal=True)
    refused(call("transfer", "-", "s.png"), 2, "standard input", "terminal")
    assert listing(folder) == {"c.png", "s.png"}


def test_no_picture_goes_to_a_terminal(folder: Path) -> None:
    leader, follower = pty.openpty()
    words = [sys.executable, "-m", "jaxstyle.cli", "transfer", "c.png", "s.png", "-o", "-"]
    said = subprocess.run(words, stdout=follower, stderr=subprocess.PIPE, text=True)
    os.close(follower)
    os.close(leader)
    assert said.returncode == 2 and "terminal" in said.stderr


def test_facts_are_one_line_of_json(call: Callable[..., Said], folder: Path) -> None:
    said = call("transfer", "c.png", "s.png", "-o", "out.png", "--json", *QUICK)
    assert said.code == 0 and said.out.count("\n") == 1
    assert "steps, loss" in said.err  # progress is still told
    facts, record = json.loads(said.out), same_record(folder / "out.png")
    assert facts.pop("command") == "transfer" and facts.pop("files") == ["out.png", "out.json"]
    assert (facts.pop("width"), facts.pop("height")) == (64, 48)
    assert facts == record and facts["status"] == "done" and facts["seconds"] >= 0
    assert facts["losses"].keys() == {"total", "content", "style", "variation"}


def test_facts_of_names_and_numbers_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    tell("line", {"files": [Path("a\udcff\n.png")], "loss": float("nan"), "n": np.float32(0.5)}, as_json=True)
    out = capsys.readouterr().out
    assert out.isascii() and out.count("\n") == 1
    assert json.loads(out) == {"files": ["a\udcff\n.png"], "loss": None, "n": 0.5}
    tell("line", {}, as_json=False, piped=True)
    tell("other", {}, as_json=False, piped=True, quiet=True)
    assert capsys.readouterr() == ("", "line\n")


def test_facts_of_a_transfer_that_was_stopped(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jaxstyle.cli import painting

    whole = painting.transfer

    def stopped(*arguments: Any, on_progress: Any, **options: Any) -> Any:
        def watch(state: Any) -> None:
            on_progress(state)
            raise KeyboardInterrupt

        return whole(*arguments, on_progress=watch, **options)

    monkeypatch.setattr(painting, "transfer", stopped)
    assert main(["transfer", "c.png", "s.png", "-o", "out.png", "--json", *QUICK]) == 130
    facts = json.loads(capsys.readouterr().out)
    assert facts["status"] == "stopped" and facts["files"] == ["out.png", "out.json"] and facts["step"] == 2
    assert (folder / "out.png").exists()


def test_a_picture_of_a_few_pixels(call: Callable[..., Said], folder: Path, piped: Callable[..., None]) -> None:
    piped(picture(folder / "dot.png", 1, size=(8, 8)).read_bytes())
    refused(call("transfer", "-", "s.png", "--size", "64"), 2, "standard input is 8 x 8 pixels; at least 16")
