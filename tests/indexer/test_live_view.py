from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.errors import SpaceMismatch
from indexer.ann.vector_index import BadQuery
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ItemWrite
from indexer.data_dir import DataDir
from indexer.live_view import CatalogBehindSnapshot, LiveCollection, LiveView, UnknownChannel
from indexer.publish import finished_snapshots, publish
from indexer.snapshot import Snapshot, SnapshotCorrupt, build_snapshot
from tests.indexer.stored_items import (
    COLLECTION,
    DIM,
    identities,
    random_vectors,
    tiny_config,
    write_of,
)

CONFIG = tiny_config()
CHANNELS = ("pictures", "passages")
ATOL = 2e-3  # float16 store: 11-bit significand, unit rows

Truth = dict[str, ItemWrite]


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        yield opened


@pytest.fixture
def live(catalog: Catalog, data_dir: DataDir) -> LiveCollection:
    return LiveCollection(catalog, data_dir, CONFIG, identities())


def publish_new(catalog: Catalog, data_dir: DataDir) -> Snapshot:
    snapshot = build_snapshot(catalog, data_dir, CONFIG, identities())
    publish(snapshot, data_dir)
    return snapshot


def put(catalog: Catalog, truth: Truth, item_id: str, seed: int, num_segments: int = 2) -> None:
    write = write_of(item_id, num_segments, channels=CHANNELS, seed=seed, attributes={"year": seed})
    catalog.write(COLLECTION, [write])
    truth[item_id] = write


def assert_view_is(view: LiveView, truth: Truth, seed: int) -> None:
    """Compare everything a view answers with a search through every item in turn."""
    ids = np.array(view.items.column("item_id").to_pylist(), dtype=object)
    years = view.items.column("attributes.year").to_pylist()
    assert sorted(ids[view.live]) == sorted(truth)
    among = np.random.default_rng(seed).random(len(ids)) < 0.5
    for item_id, write in truth.items():
        row = view.item_row(item_id)
        assert row is not None
        assert view.live[row]
        assert ids[row] == item_id
        assert years[row] == write.item.attributes["year"]
        for number, channel in enumerate(CHANNELS):
            rows = view.segment_rows(channel, row)
            columns = view.segments(channel, rows)
            assert columns.item_rows.tolist() == [row] * len(rows)
            segments = write.channels[number].segments
            assert columns.texts == [segment.text for segment in segments]
            np.testing.assert_allclose(
                view.vectors(channel, rows), write.channels[number].vectors, atol=ATOL
            )
    for number, channel in enumerate(CHANNELS):
        for mask in (None, among):
            assert_search_is_exact(view, truth, ids, channel, number, mask)


def assert_search_is_exact(
    view: LiveView,
    truth: Truth,
    ids: np.ndarray,
    channel: str,
    number: int,
    mask: np.ndarray | None,
) -> None:
    queries = random_vectors(3, seed=99)
    wanted = [
        write.channels[number].vectors
        for item_id, write in truth.items()
        if mask is None or mask[view.item_row(item_id)]
    ]
    vectors = np.concatenate([np.empty((0, DIM), np.float32), *wanted])
    best = -np.sort(-(queries @ vectors.T), axis=1)[:, :6]
    found = view.search(channel, queries, 6, mask)
    for rows, scores, true_scores in zip(found.rows, found.scores, best, strict=True):
        there = rows[rows >= 0]
        assert len(there) == len(true_scores)
        np.testing.assert_allclose(scores[: len(there)], true_scores, atol=ATOL)
        items = view.segments(channel, there).item_rows
        assert view.live[items].all()
        assert set(ids[items]) <= set(truth)
        assert mask is None or mask[items].all()


@pytest.mark.parametrize("seed", range(6))
def test_the_view_is_the_truth_after_any_sequence(
    seed: int,
    catalog: Catalog,
    data_dir: DataDir,
    live: LiveCollection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.live_view.HIDDEN_ITEMS_BEFORE_REREAD", 5)
    rng = random.Random(seed)
    truth: Truth = {}
    for step in range(60):
        item_id = f"item-{rng.randrange(25):02d}"
        action = rng.choices(
            ["put", "delete", "publish", "roll back", "refresh"], [12, 5, 1, 1, 4]
        )[0]
        if action == "put":
            put(catalog, truth, item_id, seed=1000 * seed + step, num_segments=rng.randrange(4))
        elif action == "delete":
            there = item_id in truth
            assert catalog.delete(COLLECTION, [item_id]) == ([item_id] if there else [])
            truth.pop(item_id, None)
        elif action == "publish":
            publish_new(catalog, data_dir)
        elif action == "roll back":
            if finished := finished_snapshots(data_dir, COLLECTION):
                publish(Snapshot.open(rng.choice(finished)), data_dir)
        else:
            live.refresh()
            assert_view_is(live.view(), truth, step)
    live.refresh()
    assert_view_is(live.view(), truth, seed)
    fresh = LiveCollection(catalog, data_dir, CONFIG, identities()).view()
    assert_view_is(fresh, truth, seed)


def test_an_empty_collection_has_a_view(live: LiveCollection) -> None:
    view = live.view()
    assert (view.snapshot_id, view.through_seq, view.change_seq) == (None, 0, 0)
    assert view.items.num_rows == 0
    assert view.search("passages", random_vectors(2), 3).rows.tolist() == [[-1] * 3] * 2
    assert view.item_row("nothing") is None
    assert view.channels["passages"].dim == DIM


def test_refresh_says_whether_anything_changed(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    truth: Truth = {}
    assert live.refresh()
    assert not live.refresh()
    put(catalog, truth, "a", 1)
    assert live.refresh()
    assert not live.refresh()
    assert live.view().num_delta_items == 1
    snapshot = publish_new(catalog, data_dir)
    assert live.refresh()
    assert not live.refresh()
    view = live.view()
    assert view.snapshot_id == snapshot.manifest.snapshot_id
    assert (view.num_delta_items, view.through_seq, view.change_seq) == (0, 1, 1)


def test_an_older_view_stays_as_it_was(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    truth: Truth = {}
    for number in range(5):
        put(catalog, truth, f"item-{number}", number)
    publish_new(catalog, data_dir)
    put(catalog, truth, "item-5", 5)
    live.refresh()
    before, truth_before = live.view(), dict(truth)
    put(catalog, truth, "item-0", 50)
    put(catalog, truth, "item-5", 51)
    catalog.delete(COLLECTION, ["item-1"])
    del truth["item-1"]
    live.refresh()
    assert_view_is(before, truth_before, 0)
    assert_view_is(live.view(), truth, 0)
    publish_new(catalog, data_dir)
    live.refresh()
    assert_view_is(before, truth_before, 0)


def test_vectors_of_another_encoder_are_not_in_the_view(
    catalog: Catalog, live: LiveCollection
) -> None:
    catalog.write(COLLECTION, [write_of("old", version=9), write_of("new", version=1)])
    view = live.view()
    assert view.channels["passages"].num_rows == 2
    row = view.item_row("old")
    assert row is not None
    assert len(view.segment_rows("passages", row)) == 0


def test_a_damaged_snapshot_is_never_served(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    truth: Truth = {}
    put(catalog, truth, "a", 1)
    publish_new(catalog, data_dir)
    live.refresh()
    put(catalog, truth, "b", 2)
    second = publish_new(catalog, data_dir)
    path = second.path / "channels/pictures/index.faiss"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SnapshotCorrupt, match=r"index\.faiss"):
        live.refresh()
    # The snapshot before stays, and writes still arrive.
    assert_view_is(live.view(), truth, 0)
    put(catalog, truth, "c", 3)
    with pytest.raises(SnapshotCorrupt):
        live.refresh()
    assert_view_is(live.view(), truth, 0)
    with pytest.raises(SnapshotCorrupt):
        LiveCollection(catalog, data_dir, CONFIG, identities()).view()
    publish_new(catalog, data_dir)
    assert live.refresh()
    assert_view_is(live.view(), truth, 0)


def test_writes_do_not_wait_for_a_snapshot_that_is_being_opened(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth: Truth = {}
    put(catalog, truth, "a", 1)
    put(catalog, truth, "b", 2)
    live.refresh()
    published = publish_new(catalog, data_dir).manifest.snapshot_id
    opening, go_on, open_one = threading.Event(), threading.Event(), Snapshot.open

    def slowly(*arguments: Any, **options: Any) -> Snapshot:
        opening.set()
        assert go_on.wait(60)
        return open_one(*arguments, **options)

    monkeypatch.setattr(Snapshot, "open", slowly)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(live.refresh)
        try:
            assert opening.wait(60)
            put(catalog, truth, "c", 3)
            catalog.delete(COLLECTION, ["a"])
            del truth["a"]
            assert live.refresh(), "without waiting"
            assert live.view().snapshot_id is None
            assert_view_is(live.view(), truth, 0)
        finally:
            go_on.set()
        assert following.result()
    assert live.view().snapshot_id == published
    assert_view_is(live.view(), truth, 0)
    assert not live.refresh()


def test_a_snapshot_of_another_space_is_not_served(catalog: Catalog, data_dir: DataDir) -> None:
    publish_new(catalog, data_dir)
    with pytest.raises(SpaceMismatch):
        LiveCollection(catalog, data_dir, CONFIG, identities(dim=32)).view()


def test_a_catalog_older_than_the_snapshot_is_noticed(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    put(catalog, {}, "a", 1)
    publish_new(catalog, data_dir)
    elsewhere = DataDir(tmp_path / "restored")
    with Catalog.open(elsewhere) as restored:
        restored.register_collection(CONFIG)
        with pytest.raises(CatalogBehindSnapshot, match="up to 1, the catalog ends at 0"):
            LiveCollection(restored, data_dir, CONFIG, identities()).view()


def test_questions_a_view_cannot_answer_are_refused(catalog: Catalog, live: LiveCollection) -> None:
    put(catalog, {}, "a", 1)
    view = live.view()
    with pytest.raises(UnknownChannel, match="no channel 'smells'; there are: pictures, passages"):
        view.search("smells", random_vectors(1), 3)
    with pytest.raises(BadQuery, match="NaN"):
        view.search("passages", np.full((1, DIM), np.nan, np.float32), 3)
    with pytest.raises(ValueError, match="among must be"):
        view.search("passages", random_vectors(1), 3, np.ones(7, dtype=np.bool_))
    with pytest.raises(ValueError, match=r"rows must be in \[0, 2\)"):
        view.segments("passages", np.array([2]))
