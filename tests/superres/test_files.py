"""Files of networks: what was written is read, and whatever else is there is refused in one line."""

import json

import h5py
import jax
import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.networks.layers import Scaling
from jaxstyle.superres.files import load_upscaler, save_upscaler
from jaxstyle.superres.network import Upscaler
from jaxstyle.weights.registry import shipped


@pytest.fixture
def file(tmp_path, upscaler):
    path = tmp_path / "own.h5"
    save_upscaler(path, upscaler, source="a test", licence="MIT", dtype=np.float32)
    return path


def test_what_was_written_is_read(file, upscaler):
    found = load_upscaler(file)
    assert found.module == upscaler.module
    assert jax.tree.structure(found.params) == jax.tree.structure(upscaler.params)
    jax.tree.map(np.testing.assert_array_equal, found.params, upscaler.params)


def test_halves_are_read_as_float32(tmp_path, upscaler):
    save_upscaler(tmp_path / "half.h5", upscaler, source="", licence="")
    found = load_upscaler(tmp_path / "half.h5")
    assert {x.dtype for x in jax.tree.leaves(found.params)} == {np.dtype(np.float32)}
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-6), found.params, upscaler.params)


def refusal(path):
    with pytest.raises(InputError) as caught:
        load_upscaler(path)
    line = str(caught.value)
    assert "\n" not in line and str(path) in line
    return line


@pytest.mark.parametrize(
    "attribute, value, words",
    [
        ("network", "upscale 2", "of the kind 'upscale 2'; wanted is a file of upscale, version 1"),
        ("network", "compact", "of the kind 'compact'"),
        ("format", "jaxstyle-9", "format 'jaxstyle-9'"),
        ("facts", "{", "its facts cannot be read"),
    ],
)
def test_another_kind_or_version_is_refused(file, attribute, value, words):
    with h5py.File(file, "r+") as opened:
        opened.attrs[attribute] = value
    assert words in refusal(file)


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"width": 7}, "damaged or incomplete (it has"),
        ({"blocks": 1}, "damaged or incomplete (it has"),
        ({"factors": [2, 4]}, "head3_bias; it should be without it"),
        ({"width": "x"}, "makes no sense"),
        ({"width": None}, "makes no sense"),
        ({"blocks": 99999}, "makes no sense"),
        ({"factors": []}, "makes no sense"),
        ({"factors": [4, 2]}, "makes no sense"),
        ({"factors": {"2": 2}}, "makes no sense"),
    ],
)
def test_what_it_says_of_its_network_must_be_so(file, changed, words):
    with h5py.File(file, "r+") as opened:
        opened.attrs["facts"] = json.dumps(json.loads(opened.attrs["facts"]) | changed)
    assert words in refusal(file)


def test_what_is_missing_damaged_or_another_networks_is_refused(tmp_path, file):
    assert "cannot be read" in refusal(tmp_path / "absent.h5")
    assert "wanted is a file of upscale" in refusal(shipped("compact.h5"))
    short = tmp_path / "short.h5"
    short.write_bytes(file.read_bytes()[:5000])
    assert "damaged or incomplete" in refusal(short)
    (tmp_path / "text.h5").write_text("no weights")
    assert "as no file of weights does" in refusal(tmp_path / "text.h5")


def test_numbers_that_are_none_are_refused_when_read_and_when_written(tmp_path, file, upscaler):
    with h5py.File(file, "r+") as opened:
        opened["last_bias/kernel"][0, 0, 0, 0] = np.nan
    assert "not finite" in refusal(file)
    large = Upscaler(jax.tree.map(lambda x: 1e6 * x, upscaler.params), upscaler.module)
    with pytest.raises(InputError, match="not finite in float16"):
        save_upscaler(tmp_path / "large.h5", large, source="", licence="")
    assert not (tmp_path / "large.h5").exists()


def test_what_comes_with_jaxstyle_is_small():
    for name in ("pixel", "perceptual"):
        assert shipped(f"upscale-{name}.h5").stat().st_size < 2_000_000


def test_layers_of_another_kind_are_refused(file):
    with h5py.File(file, "r+") as opened:
        del opened["last_bias/kernel"]
        for name in Scaling._fields:
            opened[f"last_bias/{name}"] = np.ones(6, np.float32)
    assert "it has no kernel for last_bias" in refusal(file)


def test_a_bias_that_no_network_of_these_has_is_refused(file):
    with h5py.File(file, "r+") as opened:
        opened["last_bias/bias"] = np.ones(6, np.float32)
    assert "last_bias" in refusal(file)
