"""Files of networks: what was written is read, and whatever else is there is refused in one line."""

import h5py
import jax
import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.superres.files import load_upscaler, save_upscaler
from jaxstyle.superres.network import Upscaler
from jaxstyle.weights.registry import shipped

pytestmark = pytest.mark.quick


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
        ("network", "upscale-2", "version 'upscale-2'; this jaxstyle reads 'upscale-1'"),
        ("network", "compact", "holds no network that makes pictures larger"),
        ("format", "jaxstyle-9", "format 'jaxstyle-9'"),
        ("width", "7", "not those that it says it has"),
        ("width", "x", "not those that it says it has"),
        ("blocks", "99999", "not those that it says it has"),
        ("blocks", "1", "not those that it says it has"),
        ("factors", "", "not those that it says it has"),
        ("factors", "2 4", "not those that it says it has"),
    ],
)
def test_another_version_or_shape_is_refused(file, attribute, value, words):
    with h5py.File(file, "r+") as opened:
        opened.attrs[attribute] = value
    assert words in refusal(file)


def test_what_is_missing_damaged_or_another_networks_is_refused(tmp_path, file):
    assert "cannot be read" in refusal(tmp_path / "absent.h5")
    assert "holds no network that makes pictures larger" in refusal(shipped("compact.h5"))
    short = tmp_path / "short.h5"
    short.write_bytes(file.read_bytes()[:5000])
    assert "damaged or incomplete" in refusal(short)
    (tmp_path / "text.h5").write_text("no weights")
    assert "as no file of weights does" in refusal(tmp_path / "text.h5")


def test_numbers_that_are_none_are_refused_when_read_and_when_written(tmp_path, file, upscaler):
    with h5py.File(file, "r+") as opened:
        opened["last/bias"][0] = np.nan
    assert "not finite" in refusal(file)
    large = Upscaler(jax.tree.map(lambda x: 1e6 * x, upscaler.params), upscaler.module)
    with pytest.raises(InputError, match="not finite in float16"):
        save_upscaler(tmp_path / "large.h5", large, source="", licence="")
    assert not (tmp_path / "large.h5").exists()


def test_what_comes_with_jaxstyle_is_small():
    for name in ("pixel",):
        assert shipped(f"upscale-{name}.h5").stat().st_size < 2_000_000
