"""`jaxstyle sweep`: what is left in the folder, going on, and what is refused."""

import io
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commandline import LANES, SWEEP, SWEPT, Said, listing, picture, pixels, refused, shell, start
from jaxstyle.cli import cells
from jaxstyle.cli.outputs import is_leftover
from jaxstyle.pictures.write import read_record

pytestmark = pytest.mark.usefixtures("folder")


# ------------------------------------------------------------------------------------------------------- the whole way


def test_a_sweep(call: Callable[..., Said], folder: Path) -> None:
    said = call("sweep", *SWEEP, "--style-weight", "10", "100", "--tv-weight", "0", "3", "30", "--quiet")
    assert said == (0, "out/report.html\n", "")
    names = {f"out/cell_{i}_{j}.{end}" for i in range(2) for j in range(3) for end in ("png", "json")}
    assert listing(folder) == names | {"c.png", "s.png", "out", "out/sheet.png", "out/report.html", "out/sweep.json"}
    summary = json.loads(Path("out/sweep.json").read_text())
    assert summary["status"] == "done"
    assert [cell["index"] for cell in summary["cells"]] == [[i, j] for i in range(2) for j in range(3)]
    for cell in summary["cells"]:
        i, j = cell["index"]
        assert (cell["settings"]["style_weight"], cell["settings"]["tv_weight"]) == ([10, 100][i], [0, 3, 30][j])
        assert cell["status"] == "done" and cell["seconds"] > 0
        assert set(cell["curves"]) == {"total", "content", "style", "variation"}
        assert all(len(curve) == 2 for curve in cell["curves"].values())
        record = read_record(f"out/{cell['file']}")
        assert record["settings"]["style_weight"] == cell["settings"]["style_weight"]
        assert record["losses"] == cell["losses"] and record["styles"][0]["file"] == "s.png"
        # Each cell is what the command on the page makes, at its own size.
        words = cell["command"].split()
        assert words[0] == "jaxstyle"
        assert call(*words[1:], "--size", "64", "--quiet").code == 0
        np.testing.assert_array_equal(pixels(Path(cell["file"])), pixels(Path("out", cell["file"])))
        assert read_record(cell["file"])["settings"] == record["settings"]
    with Image.open("out/sheet.png") as sheet:
        assert sheet.width > 3 * 64
    page = Path("out/report.html").read_text()
    assert "style weight" in page and "tv weight" in page


@pytest.mark.slow
def test_whatever_varies_cells_are_the_transfers(call: Callable[..., Said], folder: Path) -> None:
    """Lanes (mix, seed, rate, per-layer weights) and other programs (start, average, steps) alike."""
    picture(folder / "t.png", 3)
    grids = [
        ("--mix", "1,0", "1,3", "--init", "noise", "content", "--seed", "4", "5"),
        ("--layer-weights", "1,1", "0,1", "--average", "0", "0.5", "--rate", "0.01", "0.05", "--optimizer", "adam"),
        ("--optimizer", "lbfgs", "adam", "--steps", "1", "2"),
    ]
    for k, options in enumerate(grids):
        base = ("c.png", "s.png", "t.png", "-o", f"out{k}", "--size", "64", *SWEPT)
        steps = () if "--steps" in options else ("--steps", "2")
        assert call("sweep", *base, *options, *steps, "--quiet").code == 0
        for cell in json.loads(Path(f"out{k}/sweep.json").read_text())["cells"]:
            assert call(*cell["command"].split()[1:], "--size", "64", "--quiet").code == 0
            off = np.abs(pixels(Path(cell["file"])) - pixels(Path(f"out{k}", cell["file"])))
            assert off.max() <= 1, cell["command"]


@pytest.mark.slow
def test_style_losses_and_presets_are_axes_like_others(call: Callable[..., Said], folder: Path) -> None:
    # The content term of that preset is a sum of squares, beside which a relative style loss is nothing.
    axes = ("--style-loss", "gram", "cmd", "--preset", "default", "gatys", "--content-weight", "1e-9")
    line = ("sweep", *SWEEP, *axes, "--quiet")
    assert call(*line).code == 0
    found = {}
    for i, loss in enumerate(("gram", "cmd")):
        for j, preset in enumerate(("default", "gatys")):
            made = read_record(f"out/cell_{i}_{j}.png")["settings"]
            assert (made["style_loss"], made["preset"]) == (loss, preset)
            assert (made["optimizer"], made["init"]) == ("lbfgs", ("content", "noise")[j])
            assert (made["min_size"], made["pooling"]) == ((None, None), (64, "average"))[j]
            found[loss, preset] = pixels(f"out/cell_{i}_{j}.png")
    assert all((a != b).any() for a, b in itertools.combinations(found.values(), 2))
    # The cell's picture is where the next one begins; its loss goes with it.
    again = call("transfer", "--from", "out/cell_1_0.png", "-o", "again.png", "--quiet")
    assert again.code == 0 and read_record("again.png")["settings"]["style_loss"] == "cmd"


@pytest.mark.slow
def test_several_contents_and_each_style_by_itself(call: Callable[..., Said], folder: Path) -> None:
    picture(folder / "t.png", 3)
    picture(folder / "d.png", 4)
    picture(folder / "tall.png", 5, size=(40, 64))  # of another shape: another program
    line = ("c.png", "s.png", "t.png", "-o", "out", "--size", "64", "--steps", "1", *SWEPT)
    assert call("sweep", *line, "--contents", "d.png", "tall.png", "--each-style", "--quiet").code == 0
    summary = json.loads(Path("out/sweep.json").read_text())
    assert summary["identity"]["axes"] == {"content": ["c", "d", "tall"], "style": ["s", "t"]}
    assert pixels(Path("out/cell_2_1.png")).shape == (64, 40, 3)
    for cell in summary["cells"]:
        assert call(*cell["command"].split()[1:], "--size", "64", "--quiet").code == 0
        np.testing.assert_allclose(pixels(Path(cell["file"])), pixels(Path("out", cell["file"])), atol=1)


# ------------------------------------------------------------------------------------------------------------ going on


def test_the_same_command_again_runs_nothing(call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("sweep", *SWEEP, "--style-weight", "10", "100", "1000")
    assert call(*line, "--quiet").code == 0
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("cell*")}
    monkeypatch.setattr(cells, "batches", lambda *_, **__: pytest.fail("nothing is left to run"))
    said = call(*line)
    assert said.code == 0 and "3 of 3 pictures are there already" in said.err
    assert {path.name: path.stat().st_mtime_ns for path in Path("out").glob("cell*")} == before


@pytest.mark.slow
def test_only_what_is_missing_or_of_another_make_runs(
    call: Callable[..., Said],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = ("sweep", *SWEEP, "--style-weight", "10", "100", "1000", "10000", "--quiet")
    assert call(*line).code == 0
    kept = {path.name: path.read_bytes() for path in Path("out").glob("cell*.png")}
    Path("out/cell_1.png").unlink()
    Path("out/cell_2.png").write_bytes(b"cut short")
    Path("out/cell_3.png").write_bytes(kept["cell_0.png"])  # a good picture, but with another weight
    Path("out/cell_3.json").unlink()
    for name in ("cell_1", "cell_2"):
        Path(f"out/{name}.json").write_text("{}")
    refused(call(*line), 2, "out/cell_1.json is there already, and no result of jaxstyle", "--overwrite")
    ran: list[int] = []
    real = cells.batches

    def watched(plan: Any, **options: Any) -> Any:
        ran.extend(options["chosen"])
        return real(plan, **options)

    monkeypatch.setattr(cells, "batches", watched)
    assert call(*line, "--overwrite").code == 0
    assert ran == [1, 2, 3]
    made = {path.name: path for path in Path("out").glob("cell*.png")}
    assert made.keys() == kept.keys()
    for name, content in kept.items():
        with Image.open(io.BytesIO(content)) as image:
            np.testing.assert_allclose(pixels(made[name]), np.asarray(image).astype(int), atol=1)
        assert read_record(f"out/{name}")["settings"]["style_weight"] == 10 ** (1 + int(name[5]))


@pytest.mark.slow
def test_a_killed_run_loses_the_batch_in_flight(folder: Path) -> None:
    """Ctrl-C says how far it came, and the same command goes on."""
    line = ["sweep", *SWEEP, *LANES, "--style-weight", "1", "2", "3", "--lanes", "1"]
    line[line.index("--steps") + 1] = "200"
    for kind in (signal.SIGINT, signal.SIGKILL):
        process = start(*line)
        done = len(list(Path("out").glob("cell*.png"))) if Path("out").exists() else 0
        while len(list(Path("out").glob("cell*.png"))) == done and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, kind)
        _, said = process.communicate(timeout=60)
        if kind == signal.SIGINT:
            assert process.returncode == 130, said
            count = len(list(Path("out").glob("cell*.png")))
            assert f"stopped; {count} of 3 pictures are in out; the same command goes on" in said
            assert Path("out/sheet.png").exists() and Path("out/report.html").exists()
            assert json.loads(Path("out/sweep.json").read_text())["status"] == "stopped"
        others = [path.name for path in Path("out").iterdir() if path.suffix not in (".png", ".json", ".html")]
        assert all(map(is_leftover, others)) and not (others and kind == signal.SIGINT)
    done = shell(*line)
    assert done.returncode == 0 and "of 3 pictures are there already" in done.stderr
    assert len(list(Path("out").glob("cell*.png"))) == 3
    assert not [path for path in Path("out").iterdir() if is_leftover(path.name)]


def test_a_failure_keeps_what_is_done(call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    real, line = cells.save_result, ("sweep", *SWEEP, "--style-weight", "10", "100", "--lanes", "1", "--quiet")

    def failing(path: Path, *rest: Any, **options: Any) -> None:
        if path.name == "cell_1.png":
            raise RuntimeError("RESOURCE_EXHAUSTED: no\nmemory")
        real(path, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "save_result", failing)
        refused(call(*line), 1, "RESOURCE_EXHAUSTED", "the same command goes on")
    assert json.loads(Path("out/sweep.json").read_text())["status"] == "failed"
    assert call(*line).code == 0
    assert json.loads(Path("out/sweep.json").read_text())["status"] == "done"


@pytest.mark.slow
def test_a_size_that_does_not_fit_the_memory_is_refused(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "available_memory", lambda: 3 * 10**6)
    refused(call("sweep", *SWEEP), 2, "64 x 48 pixels with compact need some", "0.003 GB are free", "size")
    assert listing(folder) == {"c.png", "s.png"}


# ----------------------------------------------------------------------------------------------------------- the folder


def test_a_folder_of_another_sweep_is_refused(call: Callable[..., Said], folder: Path) -> None:
    line = ("sweep", *SWEEP, "--style-weight", "10", "100", "--quiet")
    assert call(*line).code == 0
    refused(call("sweep", *SWEEP, "--style-weight", "10", "200"), 2, "another sweep", "10 100", "10 200", "-o")
    refused(call(*line, "--tv-weight", "9"), 2, "other pictures, settings or weights")
    picture(folder / "s.png", 8)
    refused(call(*line), 2, "other pictures, settings or weights")
    Path("out/sweep.json").write_text("{")
    refused(call(*line), 2, "sweep.json cannot be read")
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("mine")
    refused(call("sweep", *SWEEP[:3], "full", *SWEEP[4:]), 2, "full is not empty")
    refused(call("sweep", *SWEEP[:3], "c.png", *SWEEP[4:]), 2, "c.png")
    refused(call("sweep", *SWEEP[:3], "c.png/out", *SWEEP[4:]), 2, "cannot make the folder c.png/out")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder in which nobody can write")
def test_a_read_only_folder_is_refused(call: Callable[..., Said]) -> None:
    refused(call("sweep", *SWEEP[:3], "/proc/sweep", *SWEEP[4:]), 2, "cannot make the folder /proc/sweep")


@pytest.mark.slow
def test_one_host_of_several_is_the_whole(folder: Path) -> None:
    """`--distributed` with a single host: its share is everything."""
    environment = os.environ | {
        "JAX_COORDINATOR_ADDRESS": "localhost:12765",
        "JAX_NUM_PROCESSES": "1",
        "JAX_PROCESS_ID": "0",
        "JAX_PLATFORMS": "cpu",
    }
    line = [sys.executable, "-m", "jaxstyle.cli", "sweep", *SWEEP, "--style-weight", "1", "2", "3", "--distributed"]
    done = subprocess.run([*line, "--quiet"], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "out/report.html\n"), done.stderr
    assert len(list(Path("out").glob("cell*.png"))) == 3


def hosts(count: int, *more: str) -> list[subprocess.Popen[str]]:
    """The same sweep on so many hosts, which are processes here."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    line = [sys.executable, "-m", "jaxstyle.cli", "sweep", *SWEEP, "--style-weight", "1", "2", "3", "4"]
    shared = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(count), "JAX_PLATFORMS": "cpu"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [
        subprocess.Popen(
            [*line, "--distributed", "--quiet", *more], env=os.environ | shared | {"JAX_PROCESS_ID": str(i)}, **pipes
        )
        for i in range(count)
    ]


@pytest.mark.slow
def test_two_hosts_share_a_sweep(folder: Path, call: Callable[..., Said]) -> None:
    both = hosts(2)
    said = [host.communicate(timeout=200) for host in both]
    assert [host.returncode for host in both] == [0, 0], said
    shared = {path.name: pixels(path) for path in Path("out").glob("cell*.png")}
    assert len(shared) == 4 and Path("out/report.html").exists()
    alone = ("--style-weight", "1", "2", "3", "4", "--lanes", "1")
    assert call("sweep", *SWEEP[:3], "alone", *SWEEP[4:], *alone).code == 0
    for name, image in shared.items():
        np.testing.assert_array_equal(image, pixels(Path("alone") / name))


@pytest.mark.slow
def test_a_sweep_goes_on_where_one_of_two_hosts_was_killed(folder: Path, call: Callable[..., Said]) -> None:
    first, second = hosts(2, "--lanes", "1", "--steps", "60")
    while not list(Path("out").glob("cell*.png")):
        assert second.poll() is None, second.communicate()
        time.sleep(0.01)
    second.kill()
    second.communicate()
    _, said = first.communicate(timeout=300)
    assert first.returncode and "another host did not come to the end" in said and "the same command goes on" in said
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("cell*.png")}
    assert 2 <= len(before) < 4
    again = call("sweep", *SWEEP, "--style-weight", "1", "2", "3", "4", "--lanes", "1", "--steps", "60")
    assert again.code == 0 and f"{len(before)} of 4 pictures are there already" in again.err
    after = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("cell*.png")}
    assert len(after) == 4 and before.items() <= after.items()
