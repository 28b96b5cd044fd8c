"""What a killed process has left the next one removes, and nothing that lives or is somebody else's."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaxstyle.errors import InputError
from jaxstyle.weights import convert, formats
from jaxstyle.weights.scratch import scratch_folder
from tiny_weights import line, random_params, save, write_safetensors

pytest.importorskip("fcntl")
pytestmark = pytest.mark.usefixtures("cache")

PROGRAM = """
import os, sys, time
from pathlib import Path
from jaxstyle.weights.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "part.h5").write_bytes(bytes(100))
    print(folder.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def others(tmp_path: Path) -> list[Path]:
    """What must stay in the folder: names like those of ours, and files."""
    folder = tmp_path / "out"
    folder.mkdir()
    names = (".jaxstyle-weights-0123", ".jaxstyle-weights-0123456789abcdef.h5", ".fetch-1", "a.h5.part")
    for name in names:
        (folder / name).mkdir()
        (folder / name / "kept").write_text("kept")
    (folder / ".jaxstyle-weights-fedcba9876543210").write_text("a file, not a folder")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("kept")
    (folder / ".jaxstyle-weights-00000000000000aa").symlink_to(tmp_path / "elsewhere")
    return sorted([*folder.rglob("*"), tmp_path / "elsewhere" / "kept"])


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that is at work in a folder there, and that folder's name."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


@pytest.mark.slow
def test_the_dead_ones_go_and_the_living_stay(tmp_path: Path, others: list[Path]) -> None:
    folder = tmp_path / "out"
    with at_work(folder) as (dead, killed), at_work(folder) as (_, held):
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        assert (folder / killed / "part.h5").exists()
        with scratch_folder(folder) as new:
            assert stat.S_IMODE(new.stat().st_mode) == 0o700
            assert not (folder / killed).exists()
            assert (folder / held / "part.h5").stat().st_size == 100
            with scratch_folder(folder) as second:  # this process's own are alive, too
                assert new.is_dir() and second.is_dir() and new != second
        assert not new.exists() and (folder / held).is_dir()
    params = random_params()
    convert(write_safetensors(tmp_path / "a.safetensors", params), folder / "a.h5")
    found = sorted([*folder.rglob("*"), tmp_path / "elsewhere" / "kept"])
    assert found == sorted([*others, folder / "a.h5"])


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("x")
        raise ZeroDivisionError
    assert not folder.exists()


def test_where_a_link_leads_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    save(tmp_path / "there" / "a.h5", random_params(seed=1))
    (tmp_path / "link.h5").symlink_to(Path("there") / "a.h5")
    save(tmp_path / "link.h5", random_params(seed=2))
    assert (tmp_path / "link.h5").is_symlink()
    wanted = save(tmp_path / "b.h5", random_params(seed=2))
    assert (tmp_path / "there" / "a.h5").read_bytes() == wanted.read_bytes()
    assert formats.read_attributes(tmp_path / "link.h5") == formats.read_attributes(wanted)
    names = [path.name for folder in (tmp_path, tmp_path / "there") for path in folder.iterdir()]
    assert sorted(names) == ["a.h5", "b.h5", "cache", "link.h5", "there"]


def test_permissions_stay_and_what_is_write_protected_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", random_params(seed=1))
    path.chmod(0o600)
    save(path, random_params(seed=2))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o400)
    before = path.read_bytes()
    assert "write-protected" in line(InputError, save, path, random_params(seed=3))
    assert path.read_bytes() == before and stat.S_IMODE(path.stat().st_mode) == 0o400
    (tmp_path / "folder.h5").mkdir()
    assert "it is a directory" in line(InputError, save, tmp_path / "folder.h5", random_params())
