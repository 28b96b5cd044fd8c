"""What completes words in a shell, by a shell; and that no other command waits for it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commandline import Said, refused
from jaxstyle import defaults
from jaxstyle.cli.main import command_names

pytestmark = pytest.mark.quick


@pytest.fixture
def script(call: Callable[..., Said], tmp_path: Path) -> Path:
    pytest.importorskip("shtab")
    said = call("completion", "bash")
    assert said.code == 0 and said.err == ""
    path = tmp_path / "completion"
    path.write_text(said.out)
    return path


def completed(script: Path, *words: str) -> set[str]:
    line = " ".join(f"'{word}'" for word in words)
    commands = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_jaxstyle"
    done = subprocess.run(
        ["bash", "-c", f"{commands}; printf '%s\\n' \"${{COMPREPLY[@]}}\""], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_values(script: Path) -> None:
    assert completed(script, "jaxstyle", "") == set(command_names())
    assert completed(script, "jaxstyle", "tran") == {"transfer"}
    assert {"--style-weight", "--style-loss", "--style-scale"} <= completed(script, "jaxstyle", "transfer", "--style-")
    assert completed(script, "jaxstyle", "transfer", "--network", "") == set(defaults.NETWORKS)
    assert completed(script, "jaxstyle", "sweep", "--color", "l") == {"luminance", "lab"}
    assert completed(script, "jaxstyle", "weights", "") == {"list", "fetch", "convert", "show"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_have_every_option_too(call: Callable[..., Said], shell: str) -> None:
    pytest.importorskip("shtab")
    said = call("completion", shell)
    assert said.code == 0 and all(word in said.out for word in ("style-weight", "evaluate", "luminance", "convert"))


def test_a_shell_that_is_none(call: Callable[..., Said]) -> None:
    refused(call("completion", "tcsh"), 2, "'tcsh' is not one of bash, zsh, fish")


def test_help_waits_for_neither_the_library_nor_the_commands() -> None:
    code = (
        "import sys; from jaxstyle.cli.main import main; main(['--help']); "
        "sys.exit(bool({'shtab', 'jax', 'gradio', 'jaxstyle.cli.commands.transfer'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
