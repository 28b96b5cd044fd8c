"""Files converted to our own, with their provenance."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from jaxstyle.errors import InputError
from jaxstyle.weights import (
    WeightsInfo,
    convert,
    fetch,
    formats,
    load_network,
    registry,
)
from tiny_weights import assert_params, line, random_params, write_safetensors

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("cache")]

# Converting, listing, showing


def test_convert_into_the_cache(tmp_path: Path, cache: Path) -> None:
    params = random_params()
    foreign = write_safetensors(tmp_path / "a.safetensors", params)
    assert convert(foreign) == cache / "tiny.h5"
    network = load_network("tiny")
    assert_params(network.params, params)
    assert network.preprocessing == "torchvision"
    attributes = formats.read_attributes(cache / "tiny.h5")
    assert attributes["sha256"] == hashlib.sha256(foreign.read_bytes()).hexdigest()
    assert (attributes["source"], attributes["licence"]) == ("a.safetensors", "unknown")
    assert [path.name for path in cache.iterdir()] == ["tiny.h5"]


def test_convert_elsewhere_and_again(tmp_path: Path, cache: Path) -> None:
    foreign = write_safetensors(tmp_path / "a.safetensors", random_params())
    out = convert(foreign, tmp_path / "new" / "b.h5", "tiny", preprocessing="keras")
    assert out == tmp_path / "new" / "b.h5"
    assert load_network("tiny", out).preprocessing == "keras"
    assert convert(out) == cache / "tiny.h5"  # as one does with a file brought from another machine
    assert formats.read_attributes(cache / "tiny.h5") == formats.read_attributes(out)
    assert "holds tiny, not other" in line(InputError, convert, foreign, name="other")
    assert "'bgr'" in line(InputError, convert, foreign, preprocessing="bgr")


def test_a_file_of_the_registry_brought_by_hand_is_recognised_by_its_hash(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = write_safetensors(tmp_path / "renamed.bin", random_params())
    digest = hashlib.sha256(foreign.read_bytes()).hexdigest()
    entry = WeightsInfo("tiny", "torch", "t.pth", "torch", "keras", "CC0", "them", ("https://x/t.pth",))
    monkeypatch.setattr(registry, "entries", lambda: (replace(entry, hash=f"sha256-prefix:{digest[:8]}"),))
    convert(foreign)
    attributes = formats.read_attributes(cache / "tiny.h5")
    wanted = {"source": "https://x/t.pth", "licence": "CC0", "preprocessing": "keras", "sha256": digest}
    assert attributes.items() >= wanted.items()
    assert fetch("tiny") == fetch("tiny", "torch") == cache / "tiny.h5"
