"""Backup and takedown of a collection whose vectors are on a Qdrant server."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.ann.qdrant_errors import QdrantServerFailed
from indexer.backup import back_up
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from indexer.reindex import reindex
from indexer.restore import restore
from indexer.takedown import PurgeRefused, purge, read_receipt, take_down
from tests.indexer.qdrant_collection import Served, failing, generation_of, up
from tests.indexer.stored_items import COLLECTION, identities

pytestmark = pytest.mark.usefixtures("same_process")


def test_a_backup_leaves_the_index_out_and_a_reindex_builds_it_again(
    served: Served, tmp_path: Path
) -> None:
    first = served.reindexed()
    made = back_up(served.data_dir, tmp_path / "backup")
    entry = made.collections[COLLECTION]
    assert entry.on_servers == {"passages": served.fake.url}
    assert (entry.items, entry.snapshot, entry.through_seq) == (5, None, 0)
    assert not any(name.startswith("snapshots") for name in made.files)

    back = DataDir(tmp_path / "back")
    assert restore(tmp_path / "backup", back) == made
    with Catalog.open(back) as catalog:
        view = LiveCollection(catalog, back, served.config, identities()).view()
        assert view.snapshot_id is None
        assert view.num_delta_items == 5, "everything is found before there is an index"
        second = reindex(catalog, back, served.config, identities()).manifest
    assert second is not None
    assert served.fake.collections == {generation_of(first), generation_of(second)}
    assert served.best() == "c", "the original goes on with its own generation"


def test_a_purge_removes_the_generations_that_hold_the_item(served: Served) -> None:
    served.reindexed()
    assert served.best() == "c"
    receipt = take_down(served.catalog, served.data_dir, COLLECTION, ["c"], requested_by="somebody")
    assert served.best() != "c", "masked, and still on the server"
    takedown_id = receipt.takedown.takedown_id
    served.fake.fault = failing("DELETE")
    with pytest.raises(PurgeRefused, match=served.fake.url) as caught:
        purge(served.catalog, served.data_dir, served.config, identities(), takedown_id)
    assert caught.value.detail["cause"] == QdrantServerFailed.code
    still = read_receipt(served.catalog, served.data_dir, COLLECTION, takedown_id)
    assert still.takedown.erased_at is None
    assert len(served.fake.collections) == 2

    served.fake.fault = up
    done = purge(served.catalog, served.data_dir, served.config, identities(), takedown_id)
    assert done.takedown.erased_at is not None
    assert served.fake.collections == {f"tiny__passages__{served.live_id}"}
    assert served.best() != "c"
