"""Uploads in a data folder that was restored to another place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from encoders.media.sandbox import DecodeSandbox
from indexer.backup import back_up
from indexer.blob_sweep import sweep_blobs
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.restore import restore
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import search
from tests.search_api.test_item_writes import png
from tests.search_api.test_snapshots import publish


@contextmanager
def served(small: SmallCollection, data_dir: DataDir) -> Iterator[TestClient[Any]]:
    settings = Settings(
        data_dir=str(data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as opened:
            yield opened


def stored_locations(data_dir: DataDir) -> set[str]:
    with closing(sqlite3.connect(data_dir.catalog_path)) as connection:
        rows = connection.execute("SELECT location FROM items WHERE source = 'api'")
        return {location for (location,) in rows}


@pytest.fixture(params=["relative", "absolute"])
def moved(request: pytest.FixtureRequest, small: SmallCollection, tmp_path: Path) -> DataDir:
    """A folder restored elsewhere; the original is gone. ``absolute``: as version 0.1 kept it."""
    with served(small, small.data_dir) as client:
        files = {"file": ("new.png", png(tmp_path, "red"))}
        assert client.put("/v1/items/new", files=files).status_code == 201
        assert client.put("/v1/items/note", json={"text": "a walrus"}).status_code == 201
    assert all(location.startswith("blobs/") for location in stored_locations(small.data_dir))
    if request.param == "absolute":
        with closing(sqlite3.connect(small.data_dir.catalog_path)) as connection, connection:
            connection.execute(
                "UPDATE items SET location = ? || '/' || location WHERE source = 'api'",
                [str(small.data_dir.root)],
            )
    publish(small)
    back_up(small.data_dir, tmp_path / "backup")
    small.data_dir.root.rename(tmp_path / "lost")
    restored = DataDir(tmp_path / "elsewhere" / "data")
    restore(tmp_path / "backup", restored)
    return restored


def test_their_media_are_there(moved: DataDir, small: SmallCollection) -> None:
    with served(small, moved) as client:
        item = client.get("/v1/items/new").json()
        assert item["location"] == f"blobs/{item['content_sha256'][:2]}/{item['content_sha256']}"
        assert client.get("/v1/items/new/media").status_code == 200
        assert client.get("/v1/items/new/thumbnail").status_code == 200
        assert client.get("/v1/items/note/media").text == "a walrus"
        hits = search(client, query={"item_id": "new"}, limit=50)["hits"]
        assert {"red-1", "red-2"} <= {hit["item_id"] for hit in hits}
        by_words = search(client, query={"text": "red"}, modalities=["image"], limit=50)["hits"]
        assert item["location"] in {hit["location"] for hit in by_words}


def test_they_are_not_swept_away(moved: DataDir) -> None:
    with Catalog.open(moved) as catalog:
        assert sweep_blobs(catalog, moved, grace_seconds=-60.0) == 0
        catalog.delete("small", ["note"])
        assert sweep_blobs(catalog, moved, grace_seconds=-60.0) == 1
