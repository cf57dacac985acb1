"""Catalogs of earlier versions are brought up to date with everything in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from alembic import command
from sqlalchemy import create_engine, text

from indexer.catalog import migrations
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir

VECTOR = np.array([0.6, 0.8], dtype="<f2").tobytes()
ITEM = (
    "INSERT INTO items (item_key, collection, item_id, medium, format, source, relative_path, "
    "location, content_sha256, size_bytes, mtime_ns, attributes_json, deleted, change_seq, "
    "created_at, updated_at) VALUES "
    "(:key, 'old', :id, 'audio', 'wav', '/m', :id, :id, :id, 1, 1, '{}', 0, :key, 'then', 'then')"
)
CHANNEL = (
    "INSERT INTO item_channels VALUES (:key, :channel, 'encoder-1', 'words', 'cut-1', :id, 2, 2)"
)
SEGMENT = (
    "INSERT INTO segments (segment_id, item_key, channel, ordinal, text, vector) "
    "VALUES (:segment, :key, :channel, :ordinal, :text, :vector)"
)


def old_catalog(path: Path, revision: str) -> None:
    """Write a catalog of two items with two channels of two segments as it was at a revision."""
    path.parent.mkdir(parents=True)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(text("INSERT INTO collections VALUES ('old', '{}', '', 2, '', '')"))
        for key, item_id in ((1, "a"), (2, "b")):
            connection.execute(text(ITEM), {"key": key, "id": item_id})
            for number, channel in enumerate(("sounds", "speech")):
                row = {"key": key, "id": item_id, "channel": channel}
                connection.execute(text(CHANNEL), row)
                for ordinal in (0, 1):
                    segment = 100 * key + 10 * number + ordinal
                    said = f"{item_id} {channel} {ordinal}"
                    values = {"segment": segment, "ordinal": ordinal, "text": said}
                    connection.execute(text(SEGMENT), row | values | {"vector": VECTOR})
        if revision != "0001":
            connection.execute(
                text("INSERT INTO transcripts VALUES (2, 'speech', 'en', 'recognized', '[]')")
            )
    engine.dispose()


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_nothing_is_lost_on_the_way_up(tmp_path: Path, revision: str) -> None:
    data_dir = DataDir(tmp_path / "data")
    old_catalog(data_dir.catalog_path, revision)
    with Catalog.open(data_dir) as catalog:
        catalog.check_integrity()
        assert catalog.change_seq("old") == 2
        known = {entry.item.item_id: entry.channels for entry in catalog.known_items("old")}
        assert {name: sorted(channels) for name, channels in known.items()} == {
            "a": ["sounds", "speech"],
            "b": ["sounds", "speech"],
        }
        with catalog.state() as state:
            (block,) = state.embeddings.blocks("old", "speech", "encoder-1", dim=2)
        assert block.segment_ids.tolist() == [110, 111, 210, 211]
        assert block.item_keys.tolist() == [1, 1, 2, 2]
        assert block.texts == ["a speech 0", "a speech 1", "b speech 0", "b speech 1"]
        assert block.vectors.tobytes() == VECTOR * 4
        transcript = catalog.transcript("old", "b")
        assert (transcript is None) == (revision == "0001")
        assert catalog.transcript("old", "a") is None
        assert catalog.counts("old").segments == 8
        catalog.takedowns.take_down("old", ["b"], requested_by="me")
        catalog.check_integrity()
        assert catalog.counts("old").segments == 4
