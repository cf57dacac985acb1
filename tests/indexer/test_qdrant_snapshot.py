"""A collection on Qdrant Edge, from the catalog to a rollback."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from indexer.catalog.catalog import Catalog
from indexer.config import parse_collection
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from indexer.manifest import verify_files
from indexer.publish import live_snapshot_path, roll_back
from indexer.reindex import reindex
from indexer.snapshot import Snapshot
from tests.indexer.stored_items import COLLECTION, YAML, identities, write_of

CONFIG = parse_collection(YAML.replace("engine: exact", "engine: qdrant"))


def test_a_collection_on_edge_is_reindexed_searched_written_to_and_rolled_back(
    tmp_path: Path,
) -> None:
    data_dir = DataDir(tmp_path)
    writes = {name: write_of(name, 3, seed=seed) for seed, name in enumerate("abcde")}
    question = writes["c"].channels[0].vectors[:1]
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(CONFIG)
        catalog.write(COLLECTION, list(writes.values()))
        first = reindex(catalog, data_dir, CONFIG, identities()).manifest
        assert first is not None
        assert first.channels["passages"].index.engine == "qdrant"
        assert first.recall["passages"] == 1.0
        live = LiveCollection(catalog, data_dir, CONFIG, identities())

        def best() -> str:
            view = live.view()
            rows = view.search("passages", question, 1).rows[0]
            item_row = view.segments("passages", rows).item_rows[0]
            return str(view.items.column("item_id")[int(item_row)].as_py())

        assert best() == "c"
        among = np.array([name != "c" for name in "abcde"])
        view = live.view()
        rows = view.search("passages", question, 15, among=among).rows[0]
        assert (rows >= 0).sum() == 12

        catalog.delete(COLLECTION, ["c"])
        live.refresh()
        assert best() != "c"
        second = reindex(catalog, data_dir, CONFIG, identities()).manifest
        assert second is not None
        live.refresh()
        assert live.view().snapshot_id == second.snapshot_id
        assert best() != "c"

        assert roll_back(data_dir, COLLECTION, identities()).snapshot_id == first.snapshot_id
        live.refresh()
        assert live.view().snapshot_id == first.snapshot_id
        assert best() != "c", "a rollback brings no deleted item back"
        path = live_snapshot_path(data_dir, COLLECTION)
        assert path is not None
        verify_files(path, Snapshot.open(path).manifest)
