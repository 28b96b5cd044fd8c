"""What the app takes of a stranger's files and names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commandline import picture
from jaxstyle.app.uploads import LONGEST_NAME, Limits, safe_name, sources_of, taken
from jaxstyle.cli.settings import Settings
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import load_image

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    "given, kept",
    [
        ("photo 1.jpg", "photo 1.jpg"),
        ("Straße-2.PNG", "Straße-2.PNG"),
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\cat.jpg", "cat.jpg"),
        ("<script>alert(1)</script>.jpg", "script_.jpg"),
        ("a<b>`c`$(d)\n\x1b[31m.jpg", "a_b_c_d_31m.jpg"),
        ("-o.png", "o.png"),
        ("-", "picture"),
        ("...", "picture"),
        ("", "picture"),
    ],
)
def test_names_are_plain(given: str, kept: str) -> None:
    assert safe_name(given) == kept


def test_long_names_keep_their_ending() -> None:
    name = safe_name("x" * 500 + ".jpeg")
    assert len(name) <= LONGEST_NAME + 1 and name.endswith("x.jpeg")
    assert len(safe_name("y" * 500)) <= LONGEST_NAME


def test_an_upload_is_read_as_its_file_is(tmp_path: Path) -> None:
    path = picture(tmp_path / "c <1>.png", 1)
    held = taken(str(path), Limits())
    assert (held.path, held.name) == ("c _1_.png", "c _1_.png")
    np.testing.assert_array_equal(load_image(held), load_image(path))
    sources = sources_of(held, [held, held], None, tmp_path / "out.png", Settings(size=40, style_scale=2.0), Limits())
    assert sources.content.pixels.shape == (30, 40, 3) and sources.size == 40 and sources.start is None
    assert [style.pixels.shape for style in sources.styles] == [(60, 80, 3)] * 2


def test_what_is_too_large_or_no_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    path = picture(tmp_path / "c.png", 1)
    with pytest.raises(InputError, match=r"c\.png has 64 x 48 pixels; at most 0 million"):
        taken(str(path), Limits(megapixels=0))
    (tmp_path / "heavy.png").write_bytes(path.read_bytes() + bytes(10**6))
    with pytest.raises(InputError, match=r"heavy\.png has more than 1 MB"):
        taken(str(tmp_path / "heavy.png"), Limits(megabytes=1))
    Image.new("1", (12000, 10000)).save(tmp_path / "wide.png")  # 15 kB, 120 million pixels
    with pytest.raises(InputError, match="12000 x 10000"):
        taken(str(tmp_path / "wide.png"), Limits())
    (tmp_path / "t<i>.jpg").write_text("text")
    with pytest.raises(InputError, match=r"t_i_\.jpg is not a picture"):
        taken(str(tmp_path / "t<i>.jpg"), Limits())
    held = taken(str(path), Limits())
    with pytest.raises(InputError, match="style scale"):
        sources_of(held, [held], None, tmp_path / "o.png", Settings(size=1024, style_scale=100.0), Limits())
    small = sources_of(held, [held], held, tmp_path / "o.png", Settings(size=512), Limits(side=64))
    assert small.size == 64 and small.start is not None
