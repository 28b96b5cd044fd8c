"""Which of a test's cases are run by `pytest -m slow` only."""

from typing import Any

import pytest


def slow(*values: Any) -> Any:
    """A case of a parametrised test that the others stand for, in the whole suite."""
    return pytest.param(*values, marks=pytest.mark.slow)
