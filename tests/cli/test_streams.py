"""Standard output and error that are closed, full or gone; and names on them."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jaxstyle.cli.commands import presets
from jaxstyle.cli.main import main
from jaxstyle.cli.messages import printable, say
from jaxstyle.cli.streams import Lenient, with_names
from jaxstyle.files import as_word, quoted, shown

NAMES = [
    "plain.png",
    "two words.png",
    "it's.png",
    "caf\u00e9.png",
    "\udcff.png",
    "\x1b[31m.png",
    "a\nb",
    "\\",
    "\u202e.png",
    "$(x)`y`",
]


class Broken(io.StringIO):
    """A stream whose writing fails with an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.failure = error

    def write(self, text: str) -> int:
        raise self.failure


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device"), ValueError("closed")]
)
def test_what_cannot_be_written_is_dropped(error: Exception) -> None:
    stream = Lenient(Broken(error))
    assert print("text", file=stream) is None and stream.error is error and not stream.isatty()
    stream.flush()
    closed = Lenient(io.StringIO())
    closed.close()
    print("text", file=closed)
    assert isinstance(closed.error, ValueError)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command that says something on both streams and ends with a code."""

    def run(code: int | None, **streams: Any) -> int:
        def command(options: Any) -> int | None:
            sys.stdout.write("product\n")
            say("message")
            return code

        with monkeypatch.context() as patch:
            patch.setattr(presets, "run", command)
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            return main(["presets"])

    return run


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left"), ValueError("closed")]
)
@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_a_standard_error_that_is_gone_costs_nothing(
    ends: Callable[..., int], code: int, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in (Broken(error), None):
        assert ends(code, stderr=stream) == code
        assert capsys.readouterr().out == "product\n"


def test_a_standard_output_that_is_gone_matters_to_who_only_prints(
    ends: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    gone, full = BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")
    assert [ends(code, stdout=Broken(gone)) for code in (None, 0, 130)] == [1, 0, 130]
    assert capsys.readouterr().err == "message\n" * 3
    assert [ends(code, stdout=Broken(full)) for code in (None, 0, 130)] == [1, 1, 130]
    assert capsys.readouterr().err.count("jaxstyle: the output could not be written: No space left on device\n") == 3
    assert ends(None, stdout=None) == 0 == ends(0, stdout=None)


def test_a_reader_that_leaves_ends_no_transfer(tmp_path: Path) -> None:
    """`jaxstyle presets 2>&1 | head -1`: no traceback of Python's own at the end."""
    line = f'"{sys.executable}" -m jaxstyle.cli presets 2>err | head -1 >out; echo ${{PIPESTATUS[0]}} >code'
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
    assert (tmp_path / "code").read_text() in ("0\n", "1\n") and (tmp_path / "err").read_text() == ""
    assert (tmp_path / "out").read_text().count("\n") == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_takes_back_what_is_shown(name: str) -> None:
    for text in (quoted(name), shown(name) if name.isprintable() is False else quoted(name)):
        assert text.isprintable()
        back = subprocess.run(["bash", "-c", f"printf %s {text}"], capture_output=True, check=True).stdout
        assert back == os.fsencode(name)


def test_a_file_is_no_option() -> None:
    assert [as_word(name) for name in ("-x", "--out", "x-", "/-x", "./-x")] == ["./-x", "./--out", "x-", "/-x", "./-x"]


def test_messages_are_one_line_of_what_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        say(f"jaxstyle: {name} is wrong")
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and err[:-1].isprintable()
    assert printable("a\x1b\n\udcffé") == "a\\x1b\\n\\udcffé"
    assert main(["trans\x1b[31mfer"]) == 2 and main(["transfer", "\x1b]0;x\x07", "s", "-o", "x.png"]) == 2
    assert "\x1b" not in capsys.readouterr().err


LOCALES = [
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "C.UTF-8"},
    {"PYTHONIOENCODING": "latin-1"},
]


@pytest.mark.parametrize("locale", LOCALES, ids=str)
@pytest.mark.parametrize("name", [b"caf\xc3\xa9.png", b"o\xff.png", b"a b.png"])
def test_names_come_out_as_they_went_in(locale: dict[str, str], name: bytes) -> None:
    program = (
        "import sys; from jaxstyle.cli.streams import with_names; from jaxstyle.cli.messages import name_of; "
        "with_names(sys.stdout); print(name_of(sys.argv[1]), '\\u65e5')"
    )
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("LC_", "PYTHONUTF8"))
    } | locale
    line = [sys.executable.encode(), b"-c", program.encode(), name]
    done = subprocess.run(line, env=environment, capture_output=True, check=True)
    assert done.stdout.startswith(name + b" ") and done.stderr == b""


def test_on_a_terminal_a_name_is_no_command() -> None:
    program = "import sys; from jaxstyle.cli.messages import name_of; print(name_of('a\\x1b[31m.png'), name_of('a b'))"
    here, there = pty.openpty()
    subprocess.run([sys.executable, "-c", program], stdout=there, check=True)
    os.close(there)
    assert os.read(here, 200) == b"$'a\\x1b[31m.png' a b\r\n"
    os.close(here)


def test_streams_are_as_before_when_all_is_done() -> None:
    before = sys.stdout, sys.stderr
    assert main(["--version"]) == 0 and main(["nothing"]) == 2
    assert (sys.stdout, sys.stderr) == before
    with_names(object())  # a stream that knows no encodings
