"""Writes, deletions, reindexes and rollbacks in any order, against a dictionary."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from encoders.media.sandbox import DecodeSandbox
from indexer import reindex as reindex_module
from indexer import snapshot as snapshot_module
from indexer.blob_store import BlobStore
from indexer.catalog.idempotency import StoredAnswer
from indexer.catalog.live_writes import Changed, LiveWrites
from indexer.catalog.records import ItemDeletion, ItemWrite
from indexer.item_operations import PutBlob
from indexer.item_writer import ItemWriter
from indexer.live_view import LiveCollection, LiveView
from indexer.publish import NoSuchSnapshot, finished_snapshots, read_pointer, roll_back
from indexer.reindex import reindex
from tests.fake_encoders import FakeLoader, text_vector
from tests.search_api.small_collection import SmallCollection

IDS = st.sampled_from(["a", "b", "c", "d", "e"])
WORDS = st.sampled_from(["fox", "moon", "grass", "river", "stone", "cloud"])


class Writer:
    """The collection as the API writes it, without HTTP."""

    def __init__(self, folder: Path) -> None:
        self.small = SmallCollection(folder)
        self.sandbox = DecodeSandbox()
        self.blobs = BlobStore(self.small.data_dir.blobs)
        self.live = LiveWrites(self.small.catalog.engine)
        small = self.small
        self.writer = ItemWriter(
            small.catalog, small.config, small.identities(), {"speech": "ears"}, self.blobs,
            self.sandbox,
        )  # fmt: skip

    def put(self, item_id: str, text: str) -> Changed:
        blob = self.blobs.add_text(text)
        operation = PutBlob(
            item_id=item_id, sha256=blob.sha256, size_bytes=blob.size_bytes,
            mtime_ns=blob.mtime_ns, medium="text", format="plain", name="sent",
        )  # fmt: skip
        (write,) = self.writer.prepare([operation], FakeLoader())
        assert isinstance(write, ItemWrite)
        return self.change(write)

    def change(self, change: ItemWrite | ItemDeletion) -> Changed:
        return self.live.change("small", [change], lambda _: StoredAnswer(200, ""))[0]

    def delete(self, item_id: str) -> Changed:
        return self.change(ItemDeletion(item_id))

    def reindex(self) -> None:
        small = self.small
        reindex(small.catalog, small.data_dir, small.config, small.identities(), force=True)

    def roll_back(self) -> None:
        roll_back(self.small.data_dir, "small", self.small.identities())

    def fresh_view(self) -> LiveView:
        small = self.small
        fresh = LiveCollection(small.catalog, small.data_dir, small.config, small.identities())
        return fresh.view()

    def close(self) -> None:
        self.sandbox.close()
        self.small.close()


def texts_in(view: LiveView) -> dict[str, str]:
    """Return every item that a search finds, with the words it was found by."""
    query = text_vector("fox").astype(np.float32)[np.newaxis]
    found = view.search("passages", query / np.linalg.norm(query), 1000)
    rows = found.rows[0][found.rows[0] >= 0]
    segments = view.segments("passages", rows)
    ids = view.items.column("item_id").to_pylist()
    texts: dict[str, str] = {}
    for row, text in zip(segments.item_rows.tolist(), segments.texts, strict=True):
        assert ids[row] not in texts, "an item was found twice"
        texts[ids[row]] = text or ""
    return texts


class RandomWrites(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="kindred-test-"))
        self.writer = Writer(self.folder)
        self.truth: dict[str, str] = {}

    @rule(item_id=IDS, text=WORDS)
    def put(self, item_id: str, text: str) -> None:
        changed = self.writer.put(item_id, text)
        assert changed.applied == ("replaced" if item_id in self.truth else "created",)
        self.truth[item_id] = text

    @rule(item_id=IDS)
    def delete(self, item_id: str) -> None:
        changed = self.writer.delete(item_id)
        assert changed.applied == ("deleted" if item_id in self.truth else "absent",)
        self.truth.pop(item_id, None)

    @rule()
    def reindex(self) -> None:
        self.writer.reindex()

    @rule()
    def roll_back(self) -> None:
        try:
            self.writer.roll_back()
        except NoSuchSnapshot:
            small = self.writer.small
            pointer = read_pointer(small.data_dir, "small")
            names = [path.name for path in finished_snapshots(small.data_dir, "small")]
            assert pointer is None or pointer.snapshot_id == names[0]

    @invariant()
    def everything_written_is_found_and_nothing_else(self) -> None:
        self.writer.small.live.refresh()
        assert texts_in(self.writer.small.live.view()) == self.truth
        assert texts_in(self.writer.fresh_view()) == self.truth

    def teardown(self) -> None:
        self.writer.close()
        shutil.rmtree(self.folder)


TestRandomWrites = RandomWrites.TestCase
TestRandomWrites.settings = settings(
    max_examples=8, stateful_step_count=14, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.parametrize("moment", ["staged", "built"])
def test_writes_that_arrive_while_a_reindex_builds_are_in_the_delta_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    writer = Writer(tmp_path)
    for item_id, text in (("kept", "grass"), ("replaced", "moon"), ("deleted", "stone")):
        writer.put(item_id, text)
    module, name = {
        "staged": (snapshot_module, "stage_items"),
        "built": (reindex_module, "smoke_search"),
    }[moment]
    original = getattr(module, name)

    def with_writes(*args: Any, **more: Any) -> Any:
        found = original(*args, **more)
        writer.put("late", "river")
        writer.put("replaced", "cloud")
        writer.delete("deleted")
        return found

    monkeypatch.setattr(module, name, with_writes)
    writer.reindex()
    monkeypatch.undo()
    truth = {"kept": "grass", "replaced": "cloud", "late": "river"}
    view = writer.fresh_view()
    assert view.through_seq == 3
    assert view.num_delta_items == 3
    assert texts_in(view) == truth
    writer.reindex()
    assert writer.fresh_view().num_delta_items == 0
    assert texts_in(writer.fresh_view()) == truth
    writer.roll_back()
    assert texts_in(writer.fresh_view()) == truth
    writer.close()
