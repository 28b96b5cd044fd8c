"""The network of one's own of docs/networks.md, as written there."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import jaxstyle
from backbones import IMAGE, close, features
from commandline import Said, refused
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.pictures.write import read_record
from tiny import picture


def page_blocks() -> tuple[str, str, str]:
    """The file, the table's line, and the use of it, of the page's section on adding a network."""
    text = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
    section = text[text.index("## Adding a network") :]
    file, use = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (line,) = re.findall(r"The line, in `NETWORKS` of `jaxstyle/defaults.py`, is `(.*?)`", section)
    return file, line, use


def write_pebble(path: Path) -> dict[str, np.ndarray]:
    """What torch saves of such a network."""
    rng = np.random.default_rng(9)
    state = {"stem.weight": rng.normal(size=(16, 3, 5, 5)) / 6, "stem.bias": 0.1 * rng.normal(size=16)}
    state |= {"body.0.weight": rng.normal(size=(32, 16, 3, 3)) / 8}
    state |= {f"body.1.{part}": rng.uniform(0.5, 1.5, 32) for part in ("weight", "bias", "running_mean", "running_var")}
    state |= {"body.2.weight": rng.normal(size=(32, 32, 3, 3)) / 12, "body.2.bias": 0.1 * rng.normal(size=32)}
    state = {key: array.astype(np.float32) for key, array in state.items()}
    save_file(state, path)
    return state


COMMANDS = """
import contextlib, io, json, sys
from jaxstyle.cli.main import main
said = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        said.append([main(words), out.getvalue(), err.getvalue()])
print(json.dumps(said))
"""


def changed_checkout(folder: Path, file: str, line: str) -> Path:
    """A copy of the package with the file, and with the line in its table."""
    own = Path(jaxstyle.__file__).parents[1]
    shutil.copytree(own / "jaxstyle", folder / "jaxstyle", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "weights").symlink_to(own / "weights")
    (folder / "jaxstyle/networks/pebble.py").write_text(file)
    table = folder / "jaxstyle/defaults.py"
    table.write_text(table.read_text().replace("NETWORKS = {\n", f"NETWORKS = {{\n    {line}\n"))
    return folder


@pytest.mark.slow
def test_the_command_line_knows_the_network_of_the_page(folder: Path) -> None:
    """The file and the table's line as written there."""
    file, line, _ = page_blocks()
    write_pebble(folder / "pebble.safetensors")
    checkout = changed_checkout(folder.parent / "checkout", file, line)
    pair = ("transfer", "c.png", "s.png", "--quiet", "--size", "64", "--min-size", "64")
    given = ("--network", "pebble", "--weights", "pebble.safetensors", "--steps", "3", "-o", "out.png")
    lines = [
        (*pair, *given),
        ("weights", "convert", "pebble.safetensors"),
        ("weights", "list"),
        (*pair, "--network", "pebble", "--steps", "1"),
        (*pair, "--network", "vgg19", "--weights", "pebble.safetensors"),
    ]
    command = [sys.executable, "-c", COMMANDS, json.dumps(lines)]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made, converted, listed, again, other = (Said(*said) for said in json.loads(done.stdout))
    assert made == (0, "out.png\n", "") and converted.code == again.code == 0
    record = read_record("out.png")
    assert record["settings"]["content_layers"] == ["relu2"] and record["status"] == "done"
    assert "relu1 ... relu3 (4)" in next(row for row in listed.out.splitlines() if row.startswith("pebble"))
    refused(other, 2, "pebble.safetensors holds pebble, not vgg19")


@pytest.mark.slow
def test_python_needs_the_file_of_the_page_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its features are torch's."""
    file, _, use = page_blocks()
    state = write_pebble(folder / "pebble.safetensors")
    scope: dict[str, Any] = {"content": IMAGE, "style": picture(3, 60, 50)}
    exec(file, scope)
    monkeypatch.setattr(jaxstyle, "transfer", functools.partial(jaxstyle.transfer, steps=3))
    try:
        exec(use, scope)
    finally:
        ARCHITECTURES.pop("pebble", None)
    assert np.isfinite(scope["result"].losses.total).all() and scope["result"].image.shape == IMAGE.shape
    torch = pytest.importorskip("torch")
    F, t = torch.nn.functional, {key: torch.from_numpy(array) for key, array in state.items()}
    seen = np.array(PREPROCESSING["torchvision"](IMAGE))
    one = F.relu(F.conv2d(torch.from_numpy(seen).permute(2, 0, 1)[None], t["stem.weight"], t["stem.bias"], 1, 2))
    two = F.relu(F.conv2d(one, t["body.0.weight"], None, 2, 1))
    pooled = F.max_pool2d(two, 2)
    norm = (t[f"body.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    three = F.relu(F.conv2d(F.batch_norm(pooled, *norm), t["body.2.weight"], t["body.2.bias"], 1, 1))
    found = features(scope["net"], IMAGE, layers=("relu1", "relu2", "pool2", "relu3"))
    for value, expected in zip(found.values(), (pooled, one, two, three), strict=True):  # jit sorts a dict by its keys
        close(value, expected[0].permute(1, 2, 0).numpy(), "pebble")
