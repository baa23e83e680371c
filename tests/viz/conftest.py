"""What the tests of the app share."""

import os
from collections.abc import Iterator
from functools import cache

import pytest

from features.files import ROOTS
from tests.viz.browsers import CHROMIUM, FLAGS, PATIENCE_MS, SOFTWARE_WEBGL


@pytest.fixture(scope="session", autouse=True)
def _packages_are_searched_once() -> Iterator[None]:
    """Each run of an AppTest reads the metadata of every package for components in them: most of the run's time."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(autouse=True)
def _folders_that_may_be_read_are_of_one_test() -> Iterator[None]:
    """The app names them in the environment, for the processes that it starts."""
    before = os.environ.get(ROOTS)
    yield
    if before is None:
        os.environ.pop(ROOTS, None)
    else:
        os.environ[ROOTS] = before


@pytest.fixture(scope="module")
def playwright() -> Iterator:
    """What drives browsers, of which a thread can have one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright) -> Iterator:
    """One browser, which keeps the app's scripts from one page to the next."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *SOFTWARE_WEBGL])
    yield browser.new_context(viewport={"width": 1400, "height": 1000})
    browser.close()


@pytest.fixture
def page(browser) -> Iterator:
    tab = browser.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    yield tab
    tab.close()
