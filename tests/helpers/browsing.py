"""A browser for tests of pages: the system's chromium, through Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest


def absent(reason: str) -> NoReturn:
    """Skips the test, unless a browser is required."""
    if os.environ.get("JAXSTYLE_REQUIRE_BROWSER"):
        pytest.fail(f"JAXSTYLE_REQUIRE_BROWSER is set, and {reason}")
    pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser for the block."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        absent("there is no chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
