from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.space import unit_rows
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import CatalogError
from indexer.catalog.records import ItemWrite, Outcome
from indexer.data_dir import DataDir
from tests.indexer.stored_items import (
    COLLECTION,
    DIM,
    channel_vectors,
    identities,
    random_vectors,
    record,
    tiny_config,
    write_of,
)

HALF = 1e-3  # float16 store: 11-bit significand, unit rows


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(DataDir(tmp_path)) as opened:
        opened.register_collection(tiny_config())
        yield opened


def stored(catalog: Catalog, channel: str = "passages") -> dict[int, np.ndarray]:
    """Return the vectors of each item_key."""
    found: dict[int, list[np.ndarray]] = {}
    with catalog.state() as state:
        encoder_id = identities()[channel].encoder_id
        for block in state.embeddings.blocks(COLLECTION, channel, encoder_id, dim=DIM):
            for key, vector in zip(block.item_keys, block.vectors, strict=True):
                found.setdefault(int(key), []).append(vector)
    return {key: np.array(rows) for key, rows in found.items()}


def test_what_was_written_is_read_back(catalog: Catalog) -> None:
    write = write_of("song", 3, attributes={"title": "Ünïcode", "tags": ["a", "b"]})
    assert catalog.write(COLLECTION, [write]) == 1

    item = catalog.item(COLLECTION, "song")
    assert item is not None
    assert item.created_at == item.updated_at != ""
    assert replace(item, created_at="", updated_at="") == write.item
    (vectors,) = stored(catalog).values()
    np.testing.assert_allclose(vectors, write.channels[0].vectors, atol=HALF)
    (known,) = catalog.known_items(COLLECTION)
    assert known.item == item
    (state,) = known.channels["passages"]
    assert state.num_segments == 3
    assert catalog.counts(COLLECTION).segments == 3


def test_each_write_of_items_takes_the_next_number(catalog: Catalog) -> None:
    assert catalog.change_seq(COLLECTION) == 0
    assert catalog.write(COLLECTION, [write_of("a"), write_of("b")]) == 1
    assert catalog.write(COLLECTION, [write_of("a", seed=1)]) == 2
    assert catalog.delete(COLLECTION, ["b"]) == ["b"]
    assert catalog.change_seq(COLLECTION) == 3
    assert catalog.write(COLLECTION, [], [Outcome("/x", None, "skipped")]) == 3
    with catalog.state() as state:
        changed = {change.item_id: change.item for change in state.changes(COLLECTION, 1)}
    assert set(changed) == {"a", "b"}
    assert changed["b"] is None
    assert catalog.num_changed_since(COLLECTION, 2) == 1


def test_a_second_write_replaces_and_keeps_the_date_of_creation(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a", 5)])
    first = catalog.item(COLLECTION, "a")
    again = write_of("a", 2, seed=3)
    catalog.write(COLLECTION, [again])
    second = catalog.item(COLLECTION, "a")
    assert first is not None
    assert second is not None
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at
    (vectors,) = stored(catalog).values()
    np.testing.assert_allclose(vectors, again.channels[0].vectors, atol=HALF)


def test_channels_are_replaced_kept_or_removed(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a", channels=("pictures", "passages"))])
    item = record("a")
    catalog.write(COLLECTION, [ItemWrite(item, kept_channels=frozenset({"pictures"}))])
    (known,) = catalog.known_items(COLLECTION)
    assert set(known.channels) == {"pictures"}
    assert stored(catalog, "pictures") != {}
    assert stored(catalog, "passages") == {}

    new = channel_vectors("passages", random_vectors(1, seed=9))
    catalog.write(COLLECTION, [ItemWrite(item, (new,), frozenset({"pictures"}))])
    (known,) = catalog.known_items(COLLECTION)
    assert set(known.channels) == {"pictures", "passages"}


def test_a_channel_is_not_both_replaced_and_kept() -> None:
    new = channel_vectors("passages", random_vectors(1))
    with pytest.raises(ValueError, match="passages given twice"):
        ItemWrite(record("a"), (new,), frozenset({"passages"}))


def test_an_item_without_segments_is_known(catalog: Catalog) -> None:
    silent = channel_vectors("passages", random_vectors(0))
    catalog.write(COLLECTION, [ItemWrite(record("silence"), (silent,))])
    (known,) = catalog.known_items(COLLECTION)
    assert [state.num_segments for state in known.channels["passages"]] == [0]


def test_deleted_items_leave_a_mark_without_vectors(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a"), write_of("b")])
    assert catalog.delete(COLLECTION, ["b", "never there", "b"]) == ["b"]
    assert catalog.item(COLLECTION, "b") is None
    assert [item.item_id for item in catalog.list_items(COLLECTION, limit=10)] == ["a"]
    assert len(stored(catalog)) == 1
    assert catalog.delete(COLLECTION, ["b"]) == []
    assert catalog.change_seq(COLLECTION) == 2
    catalog.write(COLLECTION, [write_of("b")])
    assert catalog.item(COLLECTION, "b") is not None


def test_pages_follow_each_other_without_gap(catalog: Catalog) -> None:
    names = [f"item-{number:02d}" for number in range(7)]
    catalog.write(COLLECTION, [write_of(name) for name in reversed(names)])
    pages: list[str] = []
    while page := catalog.list_items(
        COLLECTION, after_item_id=pages[-1] if pages else None, limit=3
    ):
        pages += [item.item_id for item in page]
    assert pages == names
    assert catalog.list_items(COLLECTION, limit=3, medium="image") == []


def test_equal_content_is_found_for_reuse(catalog: Catalog) -> None:
    write = write_of("a", 3)
    catalog.write(COLLECTION, [write])
    (source,) = write.channels
    found = catalog.reusable(source.source_sha256, source.segmentation_id, source.encoder_id)
    assert found is not None
    assert found.segments == source.segments
    assert found.vectors.dtype == np.float32
    np.testing.assert_allclose(found.vectors, source.vectors, atol=HALF)
    assert catalog.reusable(source.source_sha256, source.segmentation_id, "other") is None
    catalog.delete(COLLECTION, ["a"])
    assert catalog.reusable(source.source_sha256, source.segmentation_id, source.encoder_id) is None


def test_an_item_is_found_by_its_content(catalog: Catalog) -> None:
    write = write_of("a")
    sha256 = write.item.content_sha256
    measured = replace(write.item, duration_seconds=4.5)
    encoded = replace(write.channels[0], source_sha256=sha256)
    catalog.write(COLLECTION, [ItemWrite(measured, (encoded,))])
    found = catalog.item_of_content(sha256)
    assert found is not None
    assert (found.item_id, found.duration_seconds) == ("a", 4.5)
    assert catalog.item_of_content("0" * 64) is None
    catalog.delete(COLLECTION, ["a"])
    assert catalog.item_of_content(sha256) is None


def test_failures_are_counted_in_a_row_and_leave_when_they_succeed(catalog: Catalog) -> None:
    bad = Outcome("/media/x", "x", "failed", "truncated", "ends at byte 7")
    for _ in range(3):
        catalog.write(COLLECTION, [], [bad])
    (failure,) = catalog.failures(COLLECTION)
    assert (failure.location, failure.reason, failure.attempts) == ("/media/x", "truncated", 3)
    assert failure.first_seen < failure.last_seen
    assert catalog.counts(COLLECTION).failed == 1

    catalog.write(COLLECTION, [], [Outcome("/media/x", "x", "encoded")])
    assert catalog.failures(COLLECTION) == []
    catalog.write(COLLECTION, [], [bad])
    (failure,) = catalog.failures(COLLECTION)
    assert failure.attempts == 1
    catalog.forget_failures(COLLECTION, ["/media/x"])
    assert catalog.failures(COLLECTION) == []


def test_a_refused_write_leaves_nothing(catalog: Catalog) -> None:
    broken = unit_rows(np.ones((1, DIM)))
    broken[0, 3] = np.nan
    writes = [
        write_of("good"),
        ItemWrite(record("bad"), (channel_vectors("passages", broken),)),
    ]
    with pytest.raises(ValueError, match=r"item 'bad', channel 'passages'.*NaN"):
        catalog.write(COLLECTION, writes, [Outcome("/x", None, "failed")])
    with pytest.raises(ValueError, match="given twice"):
        catalog.write(COLLECTION, [write_of("a"), write_of("a")])
    assert catalog.change_seq(COLLECTION) == 0
    assert list(catalog.known_items(COLLECTION)) == []
    assert catalog.failures(COLLECTION) == []


def test_an_unregistered_collection_is_refused(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="no collection 'nowhere'"):
        catalog.write("nowhere", [write_of("a")])


def test_collections_and_runs_are_remembered(catalog: Catalog) -> None:
    catalog.register_collection(tiny_config())
    (row,) = catalog.collections()
    assert (row.name, row.config_digest) == (COLLECTION, tiny_config().digest)
    run_id = catalog.start_run(COLLECTION, "ingest")
    catalog.finish_run(run_id, {"encoded": 3})
    with pytest.raises(CatalogError, match="no run"):
        catalog.finish_run("ingest-never", {})


def test_a_state_does_not_see_later_writes(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    with catalog.state() as state:
        assert state.change_seq(COLLECTION) == 1
        catalog.write(COLLECTION, [write_of("b")])
        assert state.change_seq(COLLECTION) == 1
        assert [change.item_id for change in state.changes(COLLECTION)] == ["a"]
    assert catalog.change_seq(COLLECTION) == 2


def test_coverage_tells_current_from_other_encoders(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("old", version=1), write_of("new", 5, version=2)])
    with catalog.state() as state:
        coverage = state.coverage(COLLECTION, "passages", "text-encoder-2")
    assert (coverage.current_items, coverage.current_segments, coverage.other_items) == (1, 5, 1)


def test_integrity_check_finds_missing_segments(catalog: Catalog, tmp_path: Path) -> None:
    import sqlite3

    catalog.write(COLLECTION, [write_of("a", 3)])
    catalog.check_integrity()
    with sqlite3.connect(DataDir(tmp_path).catalog_path) as connection:
        connection.execute("DELETE FROM segments WHERE ordinal = 1")
    connection.close()
    with pytest.raises(CatalogError, match=r"item 'a'.*3 segments expected, 2 stored"):
        catalog.check_integrity()


def second_encoding(item_id: str, num_segments: int = 4, *, source: str | None = None) -> ItemWrite:
    """Return what a second version of the encoder makes of an item that `write_of` wrote."""
    vectors = random_vectors(num_segments, seed=77)
    made = channel_vectors("passages", vectors, version=2, source=source or f"{item_id}-0")
    return ItemWrite(record(item_id), (made,), adds_encodings=True)


def vectors_by_encoder(catalog: Catalog) -> dict[str, int]:
    found = {}
    with catalog.state() as state:
        for version in (1, 2):
            encoder_id = identities(version)["passages"].encoder_id
            blocks = state.embeddings.blocks(COLLECTION, "passages", encoder_id, dim=DIM)
            found[encoder_id] = sum(len(block.vectors) for block in blocks)
    return found


def test_a_second_encoder_stands_beside_the_first_without_changing_the_item(
    catalog: Catalog,
) -> None:
    catalog.write(COLLECTION, [write_of("a"), write_of("b")])
    before = catalog.item(COLLECTION, "a")
    assert catalog.write(COLLECTION, [second_encoding("a")]) == 1
    assert catalog.item(COLLECTION, "a") == before
    assert vectors_by_encoder(catalog) == {"text-encoder-1": 4, "text-encoder-2": 4}
    with catalog.state() as state:
        coverage = state.coverage(COLLECTION, "passages", "text-encoder-2")
    assert (coverage.current_items, coverage.other_items) == (1, 1)
    known = {
        entry.item.item_id: entry.channels["passages"] for entry in catalog.known_items("tiny")
    }
    assert [state.encoder_id for state in known["a"]] == ["text-encoder-1", "text-encoder-2"]
    assert catalog.counts(COLLECTION).segments == 4 + 2
    catalog.check_integrity()


def test_new_content_replaces_what_every_encoder_made_of_the_old(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    catalog.write(COLLECTION, [second_encoding("a")])
    catalog.write(COLLECTION, [write_of("a", 3, seed=5)])
    assert vectors_by_encoder(catalog) == {"text-encoder-1": 3, "text-encoder-2": 0}


def test_encoding_the_same_content_again_leaves_the_other_encoder_alone(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    catalog.write(COLLECTION, [second_encoding("a")])
    catalog.write(COLLECTION, [write_of("a", 3)])
    assert vectors_by_encoder(catalog) == {"text-encoder-1": 3, "text-encoder-2": 4}


def test_vectors_of_content_that_changed_meanwhile_are_left_out(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a", seed=5), write_of("gone")])
    catalog.delete(COLLECTION, ["gone"])
    catalog.write(COLLECTION, [second_encoding("a"), second_encoding("gone")])
    assert vectors_by_encoder(catalog)["text-encoder-2"] == 0
    assert catalog.item(COLLECTION, "gone") is None


def test_an_encoder_can_be_forgotten(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a"), write_of("b")])
    catalog.write(COLLECTION, [second_encoding("a")])
    assert catalog.forget_encoders(COLLECTION, {"text-encoder-1"}) == 2
    assert vectors_by_encoder(catalog) == {"text-encoder-1": 0, "text-encoder-2": 4}
    assert catalog.item(COLLECTION, "b") is not None
    catalog.check_integrity()
