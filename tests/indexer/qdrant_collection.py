"""A collection whose vectors are on a Qdrant server, which is a fake on the loopback address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from indexer.ann import opening, qdrant_server, qdrant_server_build, qdrant_writer
from indexer.ann.qdrant_server import Patience
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, parse_collection
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from indexer.manifest import Manifest
from indexer.publish import live_snapshot_path
from indexer.reindex import reindex
from tests.indexer.ann.fake_qdrant import FakeQdrant, Fault
from tests.indexer.stored_items import COLLECTION, YAML, identities, write_of

ALIAS = "tiny__passages"


@dataclass
class Served:
    """A collection of five items, its server, and what is found in it."""

    fake: FakeQdrant
    data_dir: DataDir
    catalog: Catalog
    config: CollectionConfig
    live: LiveCollection = field(init=False)

    def __post_init__(self) -> None:
        self.writes = {name: write_of(name, 3, seed=seed) for seed, name in enumerate("abcde")}
        self.catalog.register_collection(self.config)
        self.catalog.write(COLLECTION, list(self.writes.values()))
        self.live = LiveCollection(self.catalog, self.data_dir, self.config, identities())

    def reindexed(self) -> Manifest:
        manifest = reindex(self.catalog, self.data_dir, self.config, identities()).manifest
        assert manifest is not None
        return manifest

    def best(self, asked: str = "c") -> str:
        """Return the item nearest to the first segment of ``asked``."""
        self.live.refresh()
        view = self.live.view()
        rows = view.search("passages", self.writes[asked].channels[0].vectors[:1], 1).rows[0]
        item_row = view.segments("passages", rows).item_rows[0]
        return str(view.items.column("item_id")[int(item_row)].as_py())

    @property
    def live_id(self) -> str:
        path = live_snapshot_path(self.data_dir, COLLECTION)
        assert path is not None
        return path.name


def failing(*methods: str) -> Fault:
    """Return the fault of a server that refuses some methods."""
    return lambda method, path: 503 if method in methods else None


def down(method: str, path: str) -> int:
    return 503


def up(method: str, path: str) -> None:
    return None


def generation_of(manifest: Manifest) -> str:
    return f"{ALIAS}__{manifest.snapshot_id}"


def be_hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a server after a moment."""
    haste = Patience(request_seconds=5, retry_seconds=0.2)
    monkeypatch.setattr(qdrant_server, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(qdrant_writer, "STATUS_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(qdrant_server_build, "CHANGE_PATIENCE", haste)
    monkeypatch.setattr("indexer.snapshot.BUILD_PATIENCE", haste)
    monkeypatch.setattr(opening, "SEARCH_PATIENCE", haste)


def on_server(yaml: str, url: str, engine: str = "exact") -> str:
    """Return a collection's YAML with what is kept by an engine on a server instead."""
    return yaml.replace(f"engine: {engine}", f"engine: qdrant, url: '{url}', grpc: false")


@contextmanager
def served_collection(folder: Path) -> Iterator[Served]:
    """Yield a collection that was never indexed, and its server."""
    fake = FakeQdrant()
    data_dir = DataDir(folder)
    with Catalog.open(data_dir) as catalog:
        yield Served(fake, data_dir, catalog, parse_collection(on_server(YAML, fake.url)))
    fake.stop()
