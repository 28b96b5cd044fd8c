"""`stylize` and `styles`: one pass from the command line, with a network of random parameters."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.onepass.files import save_styles
from jaxstyle.onepass.painters import StylePainter
from jaxstyle.onepass.style_network import StyleNetwork
from jaxstyle.pictures.read import load_image
from jaxstyle.pictures.write import read_record


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    module = StyleNetwork(2, width=2, blocks=1)
    params = jax.jit(module.init)(jax.random.key(0), jnp.zeros((16, 16, 3)), jnp.ones(2))["params"]
    params = {name: x + 0.2 * jax.random.normal(jax.random.key(len(name)), x.shape) for name, x in params.items()}
    path = tmp_path_factory.mktemp("model") / "mine.h5"
    save_styles(path, StylePainter(params, module, ("bold", "calm")), [{"title": "Bold, 1900"}, {"file": "calm.jpg"}])
    return path


@pytest.fixture
def content(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 14, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).resize((56, 40), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def painted(call, model, tmp_path):
    """Runs `stylize` with the model, and returns the picture."""

    def run(*words):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}.png"
        said = call("stylize", *words, "--model", model, "-o", out)
        assert said.code == 0, said.err
        return load_image(out)

    return run


def test_one_picture_and_its_record(call, content, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call("stylize", content, "--style", "bold", "--model", model)
    assert said.code == 0 and said.out.startswith("photo_bold.png: 56 x 40, ")
    record = read_record(tmp_path / "photo_bold.png")
    assert record["command"] == "stylize" and record["styles"] == [{"name": "bold"}] and record["status"] == "done"
    assert record["settings"]["strength"] == 1.0
    assert call("stylize", content, "--style", "bold", "--model", model, "--quiet").out == "photo_bold.png\n"


def test_strength_and_mixes(painted, content):
    original = load_image(content)
    bold, calm = painted(content, "--style", "bold"), painted(content, "--style", "calm")
    np.testing.assert_allclose(painted(content, "--style", "bold", "--strength", "0"), original, atol=1.01 / 255)
    assert np.abs(bold - calm).max() > 0.02
    once = painted(content, "--style", "bold:1", "calm:3")
    twice = painted(content, "--style", "bold:0.5", "--style", "calm:1.5")
    np.testing.assert_array_equal(once, twice)
    assert min(np.abs(once - x).max() for x in (bold, calm)) > 1 / 255


def test_masks(painted, content, tmp_path):
    left = np.zeros((40, 56), np.uint8)
    left[:, :20] = 255
    middle = np.zeros((40, 56), np.uint8)
    middle[:, 20:40] = 255
    for name, mask in (("l", left), ("m", middle)):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    bold, calm = painted(content, "--style", "bold"), painted(content, "--style", "calm")
    both = painted(content, "--style", "bold", "calm", "--masks", tmp_path / "l.png", tmp_path / "m.png")
    wanted = np.concatenate([bold[:, :20], calm[:, 20:40], load_image(content)[:, 40:]], 1)
    np.testing.assert_allclose(both, wanted, atol=1.01 / 255)


@pytest.mark.slow
def test_colours_of_the_content(painted, content):
    found = painted(content, "--style", "bold", "--color", "content")
    assert np.abs(found - painted(content, "--style", "bold")).max() > 0.02


def test_alpha_is_kept(painted, call, model, content, tmp_path):
    picture = Image.open(content).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.save(tmp_path / "clear.png")
    out = tmp_path / "o.png"
    assert call("stylize", tmp_path / "clear.png", "--style", "bold", "--model", model, "-o", out).code == 0
    np.testing.assert_array_equal(np.asarray(Image.open(out))[..., 3], np.asarray(picture)[..., 3])


def test_a_folder(call, model, content, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(content.read_bytes())
    (folder / "broken.png").write_bytes(content.read_bytes()[:60])
    (folder / "notes.txt").write_text("none")
    said = call("stylize", folder, "--style", "bold", "--model", model, "-o", out)
    assert said.code == 1 and "1 of 3 pictures failed" in said.err and "broken.png" in said.err
    assert "passed over" in said.err and "notes.txt" in said.err
    assert sorted(x.name for x in out.iterdir()) == ["a.json", "a.png", "b.json", "b.png"]
    assert "-o DIR" in call("stylize", folder, "--style", "bold", "--model", model).err


def test_nothing_of_anybody_elses_is_replaced(call, model, content, tmp_path):
    out = tmp_path / "theirs.png"
    out.write_bytes(content.read_bytes())
    said = call("stylize", content, "--style", "bold", "--model", model, "-o", out)
    assert said.code == 2 and "no result of jaxstyle" in said.err and out.read_bytes() == content.read_bytes()
    said = call("stylize", content, "--style", "bold", "--model", model, "-o", content)
    assert said.code == 2 and "which is read" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--style", "bald"], "--style 'bald' is neither a trained style nor a file; there are bold, calm"),
        (["--style", "bold", "{content}"], "they cannot be mixed"),
        (["--style", "{content}"], "--model is for trained styles"),
        (["--style", "bold:0"], "the weights of all styles are 0"),
        (["--style", "bold:-1"], "--style 'bold:-1' is neither"),
        (["--style", "bold", "--strength", "1.5"], "'1.5' is not a number from 0 to 1"),
        (["--style", "bold", "--color", "match"], "--color match"),
        (["--style", "bold", "--masks", "a.png", "b.png"], "it needs one for each style, and there is 1"),
        ([], "--style"),
    ],
)
def test_wrong_input_is_one_line(call, model, content, words, told):
    said = call("stylize", content, "--model", model, *(word.format(content=content) for word in words))
    assert said.code == 2 and told in said.err and said.err.count("\n") == 1


def test_small_and_absent_pictures(call, model, content, tmp_path):
    Image.new("RGB", (40, 12)).save(tmp_path / "thin.png")
    for path, told in ((tmp_path / "thin.png", "at least 16 a side"), (tmp_path / "no.png", "no.png")):
        said = call("stylize", path, "--style", "bold", "--model", model, "-o", tmp_path / "o.png")
        assert said.code == 2 and told in said.err and not (tmp_path / "o.png").exists()


def test_styles_are_listed(call, model):
    said = call("styles", "--model", model)
    assert said.code == 0 and said.out == "bold  Bold, 1900\ncalm  calm.jpg\n"
    assert call("styles", "--model", model, "--quiet").out == "bold\ncalm\n"


@pytest.mark.slow
def test_the_sheet_of_styles(call, model, content, tmp_path):
    out = tmp_path / "sheet.png"
    said = call("styles", content, "--model", model, "-o", out, "--size", "64")
    assert said.code == 0 and "2 styles: bold, calm" in said.err
    record = json.loads((tmp_path / "sheet.json").read_text())
    assert record["styles"] == ["bold", "calm"]
    with Image.open(out) as sheet:
        assert sheet.width > 4 * 64
    assert "where is the sheet" in call("styles", content, "--model", model).err


def test_facts_as_a_line_of_json(call, model, content, tmp_path):
    out = tmp_path / "o.png"
    said = call("stylize", content, "--style", "bold", "--model", model, "-o", out, "--json")
    facts = json.loads(said.out)
    assert said.code == 0 and said.out.count("\n") == 1 and facts["command"] == "stylize"
    assert (facts["width"], facts["height"]) == (56, 40) and facts["files"][0] == str(out)
    assert call("stylize", content, "--style", "bold", "--model", model, "-o", "-", "--json").code == 2
