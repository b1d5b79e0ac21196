"""A real browser for the tests of pages: Chromium, by Playwright; without either of them a skip that names it."""

import functools
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@functools.cache
def path():
    """Return where the browser is; None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def launched():
    """Yield a browser without a window; skip where it or Playwright is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if path() is None:
        pytest.skip("chromium is not installed (Debian, Ubuntu: apt install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path(), args=["--no-sandbox"])
        yield browser
        browser.close()
