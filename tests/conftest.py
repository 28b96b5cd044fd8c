"""Strict settings for every test: shapes checked on each call, no silent promotion, warnings are errors."""

import gc
import itertools
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the tests' time is compilation, and most of that is XLA's and LLVM's passes for speed, which change no result.
QUICK = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
QUICK.append(
    "--xla_cpu_parallel_codegen_split_count=1"
)  # of programs as small as these, parts cost more than they save
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 12):  # later ones have no such flag, and abort
    QUICK.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(QUICK))
# What one worker has compiled the others need not: the first process makes the folder, and they inherit its name.
if "PYTEST_XDIST_WORKER" not in os.environ:
    COMPILED = tempfile.TemporaryDirectory(prefix="jaxstyle-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.02"

# Traces are many objects that stay; to look through them as often as usual takes a fifteenth of the time.
gc.set_threshold(100_000, 20, 100)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background, which processes inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)

import jaxtyping

import jaxstyle
from closures import checked

# The hook would check functions within functions too, anew each time that they come to be, which takes longer than most
# of them do: of these only those that have shapes.
jaxtyping.jaxtyped = checked

# Every room whose signatures have shapes: all but the command line's, which has options instead. The hook stays, so
# that it is no matter when a file is imported.
ROOMS = [
    f"jaxstyle.{path.stem}"
    for path in Path(jaxstyle.__file__).parent.iterdir()
    if path.stem not in ("cli", "app", "__init__")
]
jaxtyping.install_import_hook(ROOMS, "beartype.beartype")
# The programs that tests start have the same package, wherever another one is installed.
PLACES = (str(Path(jaxstyle.__file__).parents[1]), os.environ.get("PYTHONPATH"))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, PLACES))

import jax
import pytest

from commandline import Said, picture
from jaxstyle.cli import cells, compare_networks, startup, upscaling
from jaxstyle.cli.main import main

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

NUMBERS = itertools.count()  # of caches
FILES = itertools.count(1)
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or leaves anything in, the user's cache."""
    monkeypatch.setenv("JAXSTYLE_CACHE", str(tmp_path_factory.getbasetemp() / f"cache{next(NUMBERS)}"))


@pytest.fixture(scope="module", autouse=True)
def _forget_programs() -> Iterator[None]:
    """Programs do not stay in memory, of which a worker would need 5 GB in the end; but those of a few files do, as
    neighbours share many."""
    yield
    if next(FILES) % 10 == 0:
        jax.clear_caches()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and weights beside a checkout, where there is one."""
    if not SHARED.is_dir():
        pytest.skip("needs the shared pictures and weights")
    return SHARED


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*arguments: object) -> Said:
        return Said(main([str(argument) for argument in arguments]), *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a test runs in, with two pictures. JAX is as its user has it, not as strict as in other tests:
    optax promotes types."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    picture(here / "c.png", 1)
    picture(here / "s.png", 2)
    for module in (startup, cells, compare_networks, upscaling):
        monkeypatch.setattr(module, "start_jax", lambda **_: None)
    monkeypatch.delenv("JAXSTYLE_DEBUG", raising=False)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield here


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files without quick tests are not even imported for the quick ones: imports would take most of their time."""
    quick = config.option.markexpr == "quick" and collection_path.name.startswith("test_") and collection_path.is_file()
    return True if quick and "mark.quick" not in collection_path.read_text() else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A slow test of a file of quick ones is not among the quick."""
    if config.option.markexpr == "quick":
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
