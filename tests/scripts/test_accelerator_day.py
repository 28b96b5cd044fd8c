"""The run on an accelerator: a part that fails, or takes too long, stops no other, and a training's files are kept."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "accelerator_day.sh"
PYTHON = """#!/bin/sh
case "$*" in
  *versions*) echo lost >&2; exit 3 ;;
  *agreement*) echo begun; sleep 60 ;;
  *) echo "ran $*" ;;
esac
"""


@pytest.mark.slow
def test_parts_by_themselves(tmp_path):
    python, weights, out = tmp_path / "python", tmp_path / "w.h5", tmp_path / "out"
    python.write_text(PYTHON)
    python.chmod(0o755)
    weights.touch()
    (tmp_path / "p-training" / "checkpoints").mkdir(parents=True)
    (tmp_path / "p-training" / "checkpoints" / "7").write_text("seven")
    line = [SCRIPT, "-o", out, "-r", "-s", "58", "--", "train", "s.jpg", "--photos", "d", "-o", "p.h5"]
    environment = {**os.environ, "PYTHON": str(python), "WEIGHTS": str(weights)}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    report = (out / "report.md").read_text()
    assert done.stdout == report
    parts = {part.partition("\n")[0]: part for part in report.split("\n## ")[1:]}
    assert "failed (exit code 3) after " in parts["Packages and devices"]
    assert "lost" in (out / "log.txt").read_text()
    assert "begun" in parts["Distance from the CPU"] and "stopped after " in parts["Distance from the CPU"]
    assert "ran -m pytest -q -m quick" in parts["Quick tests"]
    assert f"accelerated --json {out}/accelerated.json --sizes 32" in parts["A step"]
    assert f"--network vgg19 --weights {weights}" in parts["The whole command, VGG19"]
    assert "ran -m jaxstyle.cli train s.jpg --photos d -o p.h5" in parts["Training"]
    kept = b"".join(path.read_bytes() for path in sorted(out.glob("training.tar.gz.*")))
    with tarfile.open(fileobj=io.BytesIO(kept)) as archive:
        member = archive.extractfile("p-training/checkpoints/7")
        assert member is not None and member.read() == b"seven"
