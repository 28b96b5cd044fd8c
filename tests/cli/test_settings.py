"""Settings: from words, to words, completed by preset, network and device, checked as plain data."""

import pytest

from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.parser import parse
from jaxstyle.cli.resolve import needed, resolve
from jaxstyle.cli.settings import Settings, words_of

pytestmark = pytest.mark.quick


def resolved(words: list[str]) -> Settings:
    """The settings of a transfer with these words."""
    return resolve(parse(TransferOptions, ["c.png", "s.png", *words], prog="transfer"), 100)


def test_words_make_the_settings_again() -> None:
    """The command that a cell gives is parsed into that cell's settings."""
    for words in (
        [],
        ["--preset", "crowsonkb"],
        ["--preset", "crowsonkb", "--style-layers", "relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
        ["--preset", "gatys", "--style-weight", "7", "--optimizer", "lbfgs", "--min-size", "64"],
        ["--preset", "gatys"],
        ["--preset", "gatys", "--optimizer", "adam", "--pooling", "max", "--init", "style"],
        ["--preset", "gatys", "--style-loss", "gram"],
        ["--preset", "crowsonkb", "--optimizer", "optax-lbfgs", "--average", "0", "--steps", "80"],
        ["--style-loss", "sliced-wasserstein"],
        ["--style-weight", "0.1", "--tv-weight", "1e-7", "--mix", "0.3", "--seed", "9", "--average", "0.5"],
        ["--layer-weights", "1", "2", "3", "4", "5.25", "--precision", "bfloat16", "--rate", "0.1", "--init", "blur"],
    ):
        made = resolved(words)
        assert resolved(words_of(needed(vars(made)))) == made, words
