"""Files of weights with bytes changed by Hypothesis: read, or refused in one line (see `mutated_weights`).

JAXSTYLE_FUZZ says how many of each kind; 10,000 take some ten minutes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny_weights

pytest.importorskip("hypothesis")
pytest.importorskip("resource")
KINDS = ("hdf5", "torch", "safetensors", "archives")


def mutate(count: int, *kinds: str) -> dict[str, dict[str, int]]:
    """How often what came of such files."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    program = Path(tiny_weights.__file__).with_name("mutated_weights.py")
    command = [sys.executable, str(program), str(count), *kinds]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_few() -> None:
    told = mutate(200, *KINDS)
    assert sum(told["files"].values()) >= 200 and told["files"]["refused"] > 0 and told["files"]["read"] > 0
    assert told["processes"]["exit 0"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many(kind: str) -> None:
    count = int(os.environ.get("JAXSTYLE_FUZZ", "2000"))
    told = mutate(count, kind)
    assert sum(told["files"].values()) >= count and told["files"]["read"] > 0
