"""Files made to do harm are refused in one line, in little memory and time, and lead to no other file.

How much memory the program that reads them has is enforced there. Time is not measured here, but what would take for
ever takes no more than minutes of the processor, after which the test fails.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hostile_weights
import read_hostile_weights
from jaxstyle.errors import InputError
from jaxstyle.weights import formats

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures as Linux does")

SOUND = {"as_many_weights_as_are_read", "as_many_weights_in_float64", "as_many_codes_as_are_read"}  # but not small
WORDS = {
    "external_links": "a link at block1_conv1/kernel to another file, which is not followed",
    "external_links_to_groups": "a link at layers to another file",
    "links_into_a_pipe": "a link at block1_conv1/kernel to another file",
    "external_storage": "keeps block1_conv1/kernel in other files, which are not opened",
    "virtual_datasets": "keeps block1_conv1/kernel in other files, as a view",
    "hard_links": "2.4e+09 weights; no more than 4e+07 are read",
    "declared_sizes": "1.8e+09 weights",
    "packed_shapes": "9e+08 weights",
    "wide_chunks": "unpacks to 1.3e+09 bytes",
    "nothing_written": "has no values",
    "views": "1e+09 weights",
    "few_large_views": "layers that share the same bytes",
    "wide_strides": "layers that share the same bytes",
    "many_entries": "19000 tensors; no more than 10000 are read",
    "a_header_of_the_whole_file": "a header of 6e+07 bytes",
    "deep_tuples_in_a_zip": "larger than any state dict",
    "names_again_and_again": "more texts than any file of weights",
    "a_pipe": "not a plain file",
    "a_link_to_a_pipe": "not a plain file",
    "an_endless_device": "not a plain file",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What came of each file, by its name."""
    folder = tmp_path_factory.mktemp("hostile")
    command = [sys.executable, read_hostile_weights.__file__, str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"after {found[-1]['name'] if found else 'nothing'}: {done.stderr[-2000:]}"
    return {one["name"]: one for one in found}


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile_weights.MAKERS)
def test_refused_in_one_line(name: str, told: dict[str, dict]) -> None:
    shown, loaded = told[name]["lines"]
    for line in (shown, loaded):
        assert line.isprintable() and len(line) < 1000
    assert loaded.startswith("refused: ")
    assert shown == "read" if name in SOUND else shown.startswith("refused: ")
    assert WORDS.get(name, "") in shown
    assert told[name]["megabytes"] < 500


def test_shapes_are_compared_before_a_byte_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hostile_weights.MAKERS["declared_sizes"](tmp_path)
    read: list[str] = []
    monkeypatch.setattr(formats.stored.StoredLayer, "read", lambda self: read.append("read"))
    with pytest.raises(InputError):
        formats.read(path)

    def refuse(file: formats.WeightsFile) -> None:
        assert file.layers["conv1"].kernel.shape == (3, 3, 2, 4)
        raise InputError("of another network")

    path = tmp_path / "sound.safetensors"
    header = {"conv1.weight": {"dtype": "F32", "shape": [4, 2, 3, 3], "data_offsets": [0, 288]}}
    hostile_weights.safetensors(path, json.dumps(header).encode(), bytes(288))
    with pytest.raises(InputError, match="of another network"):
        formats.read(path, refuse)
    assert read == []
    assert formats.declared(path).layers["conv1"].kernel.strides == (0, 0, 0, 0)
