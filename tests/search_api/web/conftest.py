from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.search_api.web.chromium import browser as open_browser
from tests.search_api.web.gallery import Gallery, Site, fill_gallery, served
from tests.search_api.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser


# Playwright's event loop belongs to this thread while it lives: no test of this package is async.
@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    gallery = Gallery(tmp_path_factory.mktemp("gallery"))
    fill_gallery(gallery)
    with served(gallery) as opened:
        yield opened
    gallery.close()


@pytest.fixture
def visitor(browser: "Browser", site: Site) -> Iterator[Visitor]:
    """Somebody with a browser before the start page's address; errors there fail the test."""
    with Visitor(browser, site.url) as opened:
        yield opened
