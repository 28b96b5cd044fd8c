"""What commands write: nothing of anybody else's is replaced or removed, by any of them, and no two write at once."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commandline import Said
from jaxstyle.cli import cells, compare_networks, startup
from jaxstyle.cli import outputs as module
from jaxstyle.cli.claim import claim_file
from jaxstyle.cli.contents import file_names
from jaxstyle.cli.messages import CommandError
from jaxstyle.cli.outputs import Outputs, numbered
from jaxstyle.errors import InputError
from jaxstyle.files import key_of, temporary_for
from jaxstyle.marks import UNSEALED, sealed
from jaxstyle.pictures.write import encode, save_image
from jaxstyle.studies.figures import new_figure, save_figure
from jaxstyle.weights import load_network, save_weights

QUICK = ("--size", "32", "--steps", "1", "--quiet")
SHALLOW = ("--content-layers", "relu2_1", "--style-layers", "relu2_1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a test runs in, with pictures."""
    for starting in (startup, cells, compare_networks):
        monkeypatch.setattr(starting, "start_jax", lambda **_: None)
    here = tmp_path / "here"
    (here / "in").mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("JAXSTYLE_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for name in ("c.png", "s.png", "in/0001.jpg", "in/0002.jpg"):
        Image.fromarray(draw.integers(0, 256, (32, 48, 3), dtype=np.uint8)).save(name)
    return here


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((16, 16, 3), np.float32)


# ------------------------------------------------------------------------------------- whose a file is, which is there


def theirs(path: Path) -> None:
    """A file of that kind, as another program writes it."""
    texts = {".json": '{"shapes": []}', ".pdf": "%PDF-1.4 a thesis", ".html": "<h1>mine</h1>", ".h5": "no HDF5"}
    if path.suffix in texts:
        path.write_text(texts[path.suffix])
    else:
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path)


def ours(path: Path) -> None:
    """A file of that kind, as jaxstyle writes it."""
    if path.suffix == ".h5":
        save_weights(
            path, load_network("compact").params, network="compact", preprocessing="keras", source="", licence=""
        )
    elif path.suffix == ".pdf":
        save_figure(path.with_name("figure.png"), new_figure(2.0, 1.0), {})
        path.with_name("figure.pdf").rename(path)
    elif path.suffix in (".json", ".html"):
        path.write_bytes(sealed(f'{{"seal": "{UNSEALED}"}}'.encode()))
    else:
        save_image(path, pixels(), {"a": 1})
        path.with_suffix(".json").unlink()


KINDS = ("x.png", "x.jpg", "x.jpeg", "x.webp", "x.tif", "x.tiff", "x.json", "x.pdf", "x.html", "x.h5")


@pytest.mark.parametrize("name", KINDS)
def test_files_of_ours_are_replaced_and_others_are_not(folder: Path, name: str) -> None:
    path = folder / name
    Outputs(read=(), overwrite=False).add(path)
    ours(path)
    Outputs(read=(), overwrite=False).add(path)
    path.unlink()
    theirs(path)
    with pytest.raises(InputError, match=f"{name} is there already, and no result of jaxstyle"):
        Outputs(read=(), overwrite=False).add(path)
    Outputs(read=(), overwrite=True).add(path)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "x.h5"])
def test_a_file_of_ours_that_was_changed_is_theirs(folder: Path, name: str) -> None:
    path = folder / name
    ours(path)
    if path.suffix in (".json", ".html", ".pdf"):
        path.write_bytes(path.read_bytes() + b"a note")
    else:
        with Image.open(path) as picture:
            kept = {key: value for key, value in picture.info.items() if key == "xmp"}
            changed = picture.convert("RGB").transpose(Image.Transpose.ROTATE_90)
        changed.save(path, **kept)
    with pytest.raises(InputError, match="or changed since"):
        Outputs(read=(), overwrite=False).add(path)


def test_a_strangers_json_beside_a_picture_makes_it_no_record_of_ours(folder: Path) -> None:
    for text in ("{}", '{"status": "done", "versions": {"jaxstyle": "0.1.0"}}'):
        theirs(folder / "x.png")
        (folder / "x.json").write_text(text)
        with pytest.raises(InputError, match=r"x\.png is there already"):
            Outputs(read=(), overwrite=False).add_pictures(folder / "x.png")


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_read_is_never_replaced(folder: Path, overwrite: bool) -> None:
    ours(folder / "x.png")
    (folder / "soft.png").symlink_to("x.png")
    os.link(folder / "x.png", folder / "hard.png")
    outputs = Outputs(read=["x.png", "absent.png", "no\0name", None], overwrite=overwrite)
    for name in ("x.png", "./in/../x.png", "soft.png", "hard.png"):
        with pytest.raises(InputError, match=r"would replace x\.png, which is read"):
            outputs.add(Path(name))


def test_places_that_no_file_can_have(folder: Path) -> None:
    outputs = Outputs(read=(), overwrite=True)
    os.mkfifo("pipe.json")
    for name, word in (("in", "a directory"), ("pipe.json", "not a plain file"), ("a" * 300, "name too long")):
        with pytest.raises(InputError, match=word):
            outputs.add(Path(name))
    for name in ("no/x.json", "c.png/x.json"):
        with pytest.raises(InputError, match="cannot be written"):
            outputs.add(Path(name))
    ours(folder / "x.png")
    (folder / "x.png").chmod(0o444)
    with pytest.raises(InputError, match=r"x\.png cannot be written: it is write-protected"):
        outputs.add(Path("x.png"))


def test_two_results_have_two_places(folder: Path) -> None:
    outputs = Outputs(read=(), overwrite=False)
    outputs.add_pictures(Path("a.png"))
    for name in ("a.json", "./A.PNG"):
        with pytest.raises(InputError, match="two results would be"):
            outputs.add(Path(name))


def test_pictures_on_the_way(folder: Path) -> None:
    for name in ("x_00003.png", "x_00004.png", "x_00012.png", "x_3.png", "y_00003.png", "x_000030.png"):
        theirs(folder / name)
    (folder / "x_00006.json").write_text("{}")

    def add(every: int, last: int) -> None:
        Outputs(read=(), overwrite=False).add_numbered(Path("x.png"), every, last)

    add(5, 1000)  # none of these will be written
    add(3, 2)
    for every, last, name in (
        (3, 5, "x_00003.png"),
        (2, 5, "x_00004.png"),
        (6, 11, "x_00006.json"),
        (12, 12, "x_00012.png"),
    ):
        with pytest.raises(InputError, match=name):
            add(every, last)
    assert numbered(Path("x.png"), 1234567).name == "x_1234567.png"


def test_what_comes_during_the_run_is_left_too(folder: Path) -> None:
    outputs = Outputs(read=(), overwrite=False)
    outputs.add_pictures(Path("x.png"), Path("y.png"))
    outputs.add(Path("p.html"))
    ours(folder / "x.png")
    for name in ("y.png", "p.html"):
        theirs(folder / name)
    before = contents(folder)
    assert outputs.free(Path("x.png")) == Path("x.png")
    assert outputs.free(Path("y.png")) == Path("y_2.png")
    theirs(folder / "y_2.png")
    assert outputs.free(Path("y.png")) == Path("y_3.png")
    with pytest.raises(CommandError, match=r"p\.html has come there since"), outputs.writing(Path("p.html")):
        pytest.fail("it was allowed")
    assert contents(folder) == before | {"y_2.png": (folder / "y_2.png").read_bytes()}
    ours(folder / "z.json")
    again = Outputs(read=(), overwrite=False)
    again.add(Path("z.json"))
    for _ in range(2):
        with again.writing(Path("z.json")):
            ours(folder / "z.json")


def test_what_cannot_be_written_is_named_with_what_helps(folder: Path) -> None:
    outputs = Outputs(read=(), overwrite=False)
    for error, words in (
        (OSError(28, "No space left on device"), "x.json could not be written: No space left on device; make room"),
        (OSError(5, "Input/output error"), "x.json could not be written: Input/output error"),
    ):
        with pytest.raises(CommandError, match=words), outputs.writing(Path("x.json")):
            raise error


# ------------------------------------------------------------------------------------------------------- every command


def in_the_way(*names: str) -> list[str]:
    return [name for name in names if name not in ("c.png", "s.png")]


COMMANDS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "transfer": (("transfer", "c.png", "s.png"), in_the_way("c_s.png", "c_s.json")),
    "transfer -o": (("transfer", "c.png", "s.png", "-o", "x.jpg"), in_the_way("x.jpg", "x.json")),
    "save-every": (
        ("transfer", "c.png", "s.png", "-o", "x.png", "--save-every", "1", "--min-size", "32"),
        in_the_way("x_00001.png", "x_00001.json", "x.json"),
    ),
    "sweep": (("sweep", "c.png", "s.png", "-o", "d"), in_the_way("d/notes.txt", "d/cell.png", "d/sweep.json")),
    "batch": (
        ("batch", "in", "--style", "s.png", "-o", "d"),
        in_the_way("d/0001.png", "d/0002.json", "d/sheet.png", "d/report.html", "d/sweep.json"),
    ),
    "batch in place": (
        ("batch", "in", "--style", "s.png", "-o", "in", "--lanes", "1"),
        in_the_way("in/0001.json", "in/report.html"),
    ),
    "ablate": (("ablate", "c.png", "s.png", "-o", "d"), in_the_way("d/ablation.png", "d/ablation.pdf", "d/x")),
    "texture": (
        ("texture", "s.png", "-o", "x.png", "--layers", "relu1_1", "relu2_1"),
        in_the_way("x.png", "x.pdf", "x.json", "x_1_relu1_1.png", "x_2_relu2_1.json", "x_3_coarse_to_fine.png"),
    ),
    "reconstruct": (("reconstruct", "c.png"), in_the_way(*(f"c_reconstructions.{x}" for x in ("png", "pdf", "json")))),
    "features": (
        ("features", "c.png", "-o", "thesis.png", "--layer", "relu1_1"),
        in_the_way("thesis.png", "thesis.pdf", "thesis.json"),
    ),
    "compare": (("compare", "c.png", "s.png"), in_the_way(*(f"c_s_comparison.{x}" for x in ("png", "pdf", "json")))),
    "compare --networks": (
        ("compare", "c.png", "s.png", "-o", "x.png", "--networks", "compact", "vgg19", "--random-weights"),
        in_the_way("x.png", "x.pdf"),
    ),
    "demo": (("demo", "-o", "d"), in_the_way("d/harbour_strokes.png", "d/harbour_pattern.json")),
    "weights convert": (("weights", "convert", "w.h5", "-o", "x.h5"), in_the_way("x.h5")),
}
CASES = [(kind, name) for kind, (_, names) in COMMANDS.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda x: x)
def test_no_command_replaces_a_strangers_file(call: Callable[..., Said], folder: Path, kind: str, name: str) -> None:
    words, _ = COMMANDS[kind]
    if kind == "weights convert":
        ours(folder / "w.h5")
    (folder / name).parent.mkdir(exist_ok=True)
    theirs(folder / name) if "." in name and not name.endswith(".txt") else (folder / name).write_text("mine")
    before = contents(folder)
    said = call(*words, *([] if words[0] in ("demo", "weights", "ablate", "compare", "texture") else QUICK[:2]))
    assert (said.code, said.out, said.err[:10], said.err.count("\n")) == (2, "", "jaxstyle: ", 1), said
    assert "d is not empty" in said.err or name in said.err
    assert contents(folder) == before


def test_an_input_on_the_way_is_kept(call: Callable[..., Said], folder: Path) -> None:
    """Even one that jaxstyle made."""
    save_image("x_00001.png", pixels(), {"a": 1})
    before = contents(folder)
    said = call("transfer", "x_00001.png", "s.png", "-o", "x.png", "--save-every", "1", *QUICK)
    assert said.code == 2 and "x_00001.png would replace x_00001.png, which is read" in said.err
    assert contents(folder) == before


def test_with_overwrite_they_are_replaced_and_the_rest_of_a_folder_stays(
    call: Callable[..., Said], folder: Path
) -> None:
    (folder / "d").mkdir()
    for name in ("x.png", "x.json", "d/cell.png", "d/cell.json", "d/report.html", "d/sweep.json", "d/notes.json"):
        theirs(folder / name)
    assert call("transfer", "c.png", "s.png", "-o", "x.png", "--overwrite", *QUICK, *SHALLOW).code == 0
    assert call("sweep", "c.png", "s.png", "-o", "d", "--overwrite", *QUICK, *SHALLOW).code == 0
    assert (folder / "d/notes.json").read_text() == '{"shapes": []}'
    for name in ("x.png", "x.json", "d/cell.png", "d/cell.json", "d/report.html", "d/sweep.json", "d/sheet.png"):
        assert module.is_ours(folder / name), name


@pytest.mark.slow
def test_what_commands_leave_is_theirs_to_replace(call: Callable[..., Said], folder: Path) -> None:
    """The same commands again, with other settings too, need no --overwrite; and everything has its mark."""
    for weight in ("1", "2"):
        line = ("--style-weight", weight, *QUICK, *SHALLOW)
        assert call("transfer", "c.png", "s.png", "-o", "x.webp", "--save-every", "1", *line).code == 0
        assert call("batch", "in", "--style", "s.png", "-o", "d", *line).code == 0
    assert call("sweep", "c.png", "s.png", "-o", "e", *QUICK, *SHALLOW).code == 0
    for _ in range(2):
        assert call("features", "c.png", "--layer", "relu1_1", "-o", "f.png", "--quiet", "--count", "2").code == 0
    made = set(contents(folder)) - {"c.png", "s.png", "in/0001.jpg", "in/0002.jpg"}
    assert len(made) == 2 + 2 + 7 + 5 + 3
    assert all(module.is_ours(folder / name) for name in made), made


def test_results_of_a_batch_have_names_of_their_own() -> None:
    names = file_names(["a/sheet.jpg", "a/sweep.jpg", "a/Report.png", "sheet_jpg.png", "x.png", "b/x.jpg"])
    assert names == ["sheet_jpg.png", "sweep_jpg.png", "Report_png.png", "sheet_jpg_2.png", "x_png.png", "x_jpg.png"]
    for name in ("a" * 252, "a" * 251 + ".jpg", "é" * 126, "日" * 84, "\udcff" * 255):
        made = file_names([name, f"b/{name}", f"c/{name}"])
        assert len(set(made)) == 3
        assert all(len(os.fsencode(Path(one).with_suffix(".json"))) <= 255 for one in made)
        assert all(Path(one).stem[:70] == name[:70] for one in made)


@pytest.mark.slow
def test_a_name_of_252_bytes_and_one_that_is_no_text(call: Callable[..., Said], folder: Path) -> None:
    long, odd = "a" * 252, os.fsdecode(b"o\xff\x1b[31m.png")
    for name in (long, odd):
        (folder / "in/0001.jpg").rename(folder / name)
        (folder / "in/0002.jpg").rename(folder / "in/0001.jpg") if name == long else None
    said = call("batch", long, odd, "--style", "s.png", "-o", "d", *QUICK, *SHALLOW)
    assert said == (0, "d/report.html\n", "")
    cells = json.loads((folder / "d/sweep.json").read_text())["cells"]
    assert len(list((folder / "d").glob("*.png"))) == 3 and len(cells) == 2
    command = cells[1]["command"]
    assert command.isprintable() and command.isascii()
    made = subprocess.run(["bash", "-c", f'set -- {command}; printf %s "$3"'], capture_output=True, check=True)
    assert os.fsdecode(made.stdout) == odd


# --------------------------------------------------------------------------------------------------------- two at once


HOLD = """
import sys, time
from pathlib import Path
from jaxstyle.cli.outputs import Outputs
outputs = Outputs(read=(), overwrite=False)
outputs.add(Path("x.json"))
with outputs.claimed(sys.argv[1] or None):
    print("held", flush=True)
    sys.stdin.read()
print("left", flush=True)
"""


@pytest.fixture
def hold(folder: Path) -> Iterator[Callable[[str], Any]]:
    """Starts a process that claims x.json until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(identity: str) -> Any:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(HOLD), identity],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def claim(identity: str | None) -> Any:
    outputs = Outputs(read=(), overwrite=False)
    outputs.add(Path("x.json"))
    return outputs.claimed(identity)


def test_a_claim_is_shared_by_the_same_job_only(folder: Path, hold: Callable[[str], Any]) -> None:
    process = hold("ab")
    for identity in ("cd", "", None):
        with pytest.raises(InputError, match=r"another run of jaxstyle is writing x\.json"), claim(identity):
            pytest.fail("it was claimed twice")
    with claim("ab"):
        process.communicate()
        with pytest.raises(InputError), claim("cd"):  # ours is left
            pytest.fail("it was claimed twice")
        assert claim_file(Path("x.json")).exists()
    assert not claim_file(Path("x.json")).exists()
    with claim("cd"):
        pass
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_a_dead_process_claims_nothing_and_what_it_left_is_removed(folder: Path, hold: Callable[[str], Any]) -> None:
    process = hold("")
    mine, other = temporary_for(Path("x.json")), temporary_for(Path("y.json"))
    strangers = [Path(".jaxstyle-notes.tmp"), Path(f".jaxstyle-{'g' * 16}-{'0' * 16}.tmp"), Path("x.json.tmp")]
    old = Path(f".jaxstyle-{'0' * 16}.tmp")  # of a version that gave them no keys
    for path in (mine, other, old, *strangers):
        path.write_text("half")
    with pytest.raises(InputError), claim(None):
        pytest.fail("it was claimed twice")
    assert mine.exists()  # it may be the living one's
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert claim_file(Path("x.json")).exists()
    with claim(None):
        assert not mine.exists() and other.exists() and old.exists()
    assert all(path.exists() for path in strangers)
    assert not claim_file(Path("x.json")).exists()


def test_in_a_folder_of_its_own_a_job_removes_what_is_old(folder: Path) -> None:
    old, new = (Path("in", f".jaxstyle-{digit * 16}.tmp") for digit in "01")
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (time.time() - 7200,) * 2)
    for own in (False, True):
        outputs = Outputs(read=(), overwrite=False)
        outputs.add(Path("in/x.json"))
        with outputs.claimed("ab", own_folder=own):
            assert old.exists() is not own and new.exists()


def test_leftovers_of_pictures_on_the_way_are_removed(folder: Path) -> None:
    picture = Path("x.png").absolute()
    left = [temporary_for(numbered(picture, 6)), temporary_for(numbered(picture, 9).with_suffix(".json"))]
    other = temporary_for(numbered(picture, 7))
    for path in (*left, other):
        path.write_text("half")
    outputs = Outputs(read=(), overwrite=False)
    outputs.add_pictures(picture)
    outputs.add_numbered(picture, 3, 9)
    with outputs.claimed():
        assert not any(path.exists() for path in left) and other.exists()


def test_links_lead_to_the_folder_where_leftovers_lie(folder: Path) -> None:
    ours(folder / "in/real.json")
    (folder / "x.json").symlink_to("in/real.json")
    left = temporary_for(folder / "in/real.json")
    left.write_text("half")
    with claim(None):
        assert not left.exists()


def test_somebody_elses_file_of_that_name_is_left(folder: Path) -> None:
    path = claim_file(Path("x.json"))
    path.write_text("not digits")
    with claim(None):
        pass
    assert path.read_text() == "not digits"
    path.unlink()
    (folder / "target").write_text("")
    path.symlink_to("target")
    with claim(None):
        pass
    assert path.is_symlink() and (folder / "target").read_text() == ""


def test_what_a_killed_run_left_does_not_block_a_new_sweep(call: Callable[..., Said], folder: Path) -> None:
    (folder / "d").mkdir()
    for name in (
        f".jaxstyle-{'0' * 16}.tmp",
        temporary_for(Path("cell.png")).name,
        claim_file(Path("sweep.json")).name,
    ):
        (folder / "d" / name).write_text("")
    assert call("sweep", "c.png", "s.png", "-o", "d", *QUICK, *SHALLOW).code == 0
    left = {name for name in os.listdir(folder / "d") if name.startswith(".")}
    assert left == {f".jaxstyle-{'0' * 16}.tmp"}  # a minute old, and of nobody knows whom


def test_names_of_temporary_files_are_short_and_tell_their_target(folder: Path) -> None:
    for name in ("x.png", "a" * 255, "é" * 127, "\udcff.json"):
        path = temporary_for(folder / name)
        assert path.parent == folder and len(os.fsencode(path.name)) < 64
        assert key_of(folder / name) in path.name and temporary_for(folder / name) != path
        path.write_text("")


def test_a_picture_for_a_sheet_has_its_mark(folder: Path) -> None:
    encoded, _ = encode(Image.fromarray(np.zeros((16, 16, 3), np.uint8)), "PNG", {"contact sheet": "x"})
    Path("sheet.png").write_bytes(encoded)
    assert module.is_ours(Path("sheet.png"))
