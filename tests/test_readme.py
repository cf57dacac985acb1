"""What the README shows in Python does what it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from search_api.client import KindredClient
from tests.search_api.small_collection import fill
from tests.search_api.web.gallery import Gallery, Site, served

README = Path(__file__).resolve().parent.parent / "README.md"


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    gallery = Gallery(tmp_path)
    fill(gallery)
    with served(gallery) as opened:
        yield opened
    gallery.close()


def test_the_examples_run(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KINDRED_URL", site.url)
    blocks = python_blocks()
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})
    printed = capsys.readouterr().out
    assert "note-2" in printed
    assert "Ferry" in printed
    with KindredClient() as kindred:
        assert "note-2" not in [item.item_id for item in kindred.items()]
