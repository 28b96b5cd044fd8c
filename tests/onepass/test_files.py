"""Files of networks that paint in one pass: what goes in comes out, and nothing else is taken for one."""

import json

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.onepass.files import load_styles, open_styles, save_styles, style_facts
from jaxstyle.onepass.painters import StylePainter
from jaxstyle.onepass.style_network import StyleNetwork
from jaxstyle.weights.formats import read_attributes
from jaxstyle.weights.parameters import read_parameters, write_parameters


@pytest.fixture(scope="module")
def painter():
    module = StyleNetwork(2, width=2, blocks=1)
    params = jax.jit(module.init)(jax.random.key(0), jnp.zeros((16, 16, 3)), jnp.ones(2))["params"]
    return StylePainter(params, module, ("bold", "calm"))


@pytest.fixture
def file(painter, tmp_path):
    path = tmp_path / "mine.h5"
    save_styles(path, painter, [{"size": 320}, {"size": 256}], steps=7)
    return path


def change(path, **attributes):
    """Writes attributes of a file over."""
    with h5py.File(path, "r+") as opened:
        for name, value in attributes.items():
            opened.attrs[name] = value


def changed_facts(path, **facts):
    change(path, facts=json.dumps(json.loads(read_attributes(path)["facts"]) | facts))


def test_what_goes_in_comes_out(painter, file):
    again, facts = open_styles(file)
    assert again.styles == painter.styles and again.module == painter.module
    assert again.params.keys() == painter.params.keys()
    for name, x in painter.params.items():
        assert again.params[name].dtype == jnp.float32
        np.testing.assert_array_equal(again.params[name], np.asarray(x, np.float16).astype(np.float32))
    assert facts["styles"] == [{"size": 320, "name": "bold"}, {"size": 256, "name": "calm"}]
    assert facts["trained"] == {"steps": 7} and style_facts(file) == facts["styles"]


def test_another_version_and_other_files(file, tmp_path):
    change(file, network="styles 2")
    with pytest.raises(InputError, match=r"mine\.h5 is of the kind 'styles 2'; wanted is a file of styles, version 1"):
        load_styles(file)
    other = tmp_path / "other.h5"
    write_parameters(other, {"x": np.ones(3)}, kind="decoders 1", facts={})
    with pytest.raises(InputError, match="is of the kind 'decoders 1'"):
        load_styles(other)
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(InputError, match=r"text\.h5"):
        load_styles(tmp_path / "text.h5")
    with pytest.raises(InputError, match=r"absent\.h5 cannot be read"):
        load_styles(tmp_path / "absent.h5")


def test_a_file_cut_short(file):
    content = file.read_bytes()
    for part in (0.2, 0.6, 0.95):
        file.write_bytes(content[: int(part * len(content))])
        with pytest.raises(InputError, match=r"mine\.h5"):
            load_styles(file)


@pytest.mark.parametrize(
    "facts",
    [
        {"styles": []},
        {"styles": [{"name": "a"}, {"name": "a"}]},
        {"styles": [{"name": "a\x1b[31m"}, {"name": "b"}]},
        {"styles": [{}, {}]},
        {"styles": 3},
        {"width": 10**9},
        {"width": "wide"},
        {"blocks": -1},
        {"blocks": None},
    ],
)
def test_facts_that_make_no_sense(file, facts):
    changed_facts(file, **facts)
    with pytest.raises(InputError, match=r"mine\.h5 is damaged or incomplete"):
        load_styles(file)


@pytest.mark.parametrize("facts", [{"width": 3}, {"blocks": 2}, {"styles": [{"name": "a"}]}])
def test_facts_of_another_network(file, facts):
    changed_facts(file, **facts)
    with pytest.raises(InputError, match=r"mine\.h5 is damaged .*it has .*; it should be"):
        load_styles(file)


def test_facts_that_are_none(file):
    for facts in ("{", "[1]", "[" * 5000):
        change(file, facts=facts)
        with pytest.raises(InputError, match="damaged or incomplete"):
            load_styles(file)


def test_numbers_that_are_none(painter, tmp_path):
    params = dict(painter.params)
    params["in_kernel"] = params["in_kernel"].at[0, 0, 0, 0].set(jnp.nan)
    for value in (jnp.nan, 1e6):  # of which float16 makes infinity
        params["in_kernel"] = params["in_kernel"].at[0, 0, 0, 0].set(value)
        with pytest.raises(InputError, match="in_kernel is not finite in float16"):
            save_styles(tmp_path / "x.h5", painter.replace(params=params), [{}, {}])
    assert not list(tmp_path.iterdir())
    write_parameters(tmp_path / "y.h5", {"x": np.ones((2, 3))}, kind="styles 1", facts={}, dtype=np.float32)
    with h5py.File(tmp_path / "y.h5", "r+") as opened:
        opened["x/kernel"][0, 0, 0, 0] = np.inf
    with pytest.raises(InputError, match="x is not finite"):
        read_parameters(tmp_path / "y.h5", kind="styles 1", shapes=lambda _: {"x": (2, 3)})


def test_parameters_keep_their_numbers(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    write_parameters(tmp_path / "x.h5", {"x": x}, kind="tables 3", facts={"a": [1, "b"]}, dtype=np.float32)
    params, facts = read_parameters(tmp_path / "x.h5", kind="tables 3", shapes=lambda facts: {"x": (2, 3, 4)})
    np.testing.assert_array_equal(params["x"], x)
    assert facts == {"a": [1, "b"]}
    with pytest.raises(InputError, match="there is room for"):
        write_parameters(tmp_path / "z.h5", {"x": x}, kind="tables 3", facts={"a": "b" * 70_000})
