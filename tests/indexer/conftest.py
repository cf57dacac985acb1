"""Fixtures of ingest tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.smoke_search import search_once
from tests.indexer.qdrant_collection import Served, be_hasty, served_collection
from tests.indexer.small_media import write_picture, write_sound


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    (folder / "deep").mkdir(parents=True)
    for number in range(5):
        write_picture(folder / f"picture-{number}.png", number)
    write_sound(folder / "deep" / "short.wav", 3.0)
    write_sound(folder / "deep" / "long.flac", 95.0)
    (folder / "story.txt").write_text("Once upon a time. " * 60)
    (folder / "picture-0.json").write_text(json.dumps({"title": "A picture", "tags": ["noise"]}))
    return folder


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(DataDir(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A collection on a fake Qdrant server on this machine, which nobody waits for long."""
    be_hasty(monkeypatch)
    with served_collection(tmp_path / "data") as collection:
        yield collection


@pytest.fixture
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search new snapshots in this process, which takes no second to start."""
    monkeypatch.setattr("indexer.reindex.smoke_search", search_once)
    monkeypatch.setattr("indexer.publish.smoke_search", search_once)
