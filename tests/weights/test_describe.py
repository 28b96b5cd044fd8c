"""What is known of weights at hand and to be had."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.weights import (
    WeightsInfo,
    convert,
    describe,
    registry,
    show,
)
from tiny_weights import line, random_params, save, write_safetensors

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("cache")]


def test_describe(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = WeightsInfo("tiny", "one", "1.h5", "keras", "keras", "CC0", "them", ("https://x/1.h5",), 11, "md5:1")
    two = replace(one, source="two", name="2.h5", urls=("https://x/2.h5", "https://y/2.h5"), bytes=22)
    seen = replace(one, source="three", format="torch", urls=())
    monkeypatch.setattr(registry, "entries", lambda: (one, two, seen))
    monkeypatch.setattr(registry, "shipped", lambda name: None)
    assert describe() == [one, two]
    path = save(cache / "tiny.h5", random_params(), source="https://y/2.h5", licence="CC1")
    size = path.stat().st_size
    assert describe() == [one, replace(two, path=path, bytes=size, licence="CC1")]
    save(path, random_params())
    rows = describe()
    assert rows[:2] == [one, two] and len(rows) == 3
    assert (rows[2].source, rows[2].path, rows[2].licence, rows[2].origin) == (
        "converted",
        path,
        "none",
        "nowhere",
    )
    path.write_text("broken")
    assert describe()[2].licence == "unknown"


def test_show(tmp_path: Path, cache: Path) -> None:
    params = random_params()
    path = write_safetensors(tmp_path / "a.safetensors", params)
    found = show(path)
    assert (found["format"], found["network"], found["preprocessing"]) == (
        "safetensors",
        "tiny",
        "torchvision",
    )
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["bytes"] == path.stat().st_size
    assert found["parameters"] == sum(array.size for layer in params.values() for array in layer.values())
    assert list(found["layers"]) == list(params)
    for name, layer in params.items():
        assert found["layers"][name]["shape"] == layer["kernel"].shape
        np.testing.assert_allclose(found["layers"][name]["mean"], layer["kernel"].mean(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found["layers"][name]["std"], layer["kernel"].std(), rtol=1e-4)
    assert "jaxstyle weights fetch tiny" in line(InputError, show, "tiny")
    convert(path)
    assert show("tiny")["path"] == str(cache / "tiny.h5")
    assert show("tiny")["attributes"]["network"] == "tiny"
    assert "No such file" in line(InputError, show, "tinny")
