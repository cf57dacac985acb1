"""A new model's vectors are made while the old one's serve."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import publish as publish_module
from indexer.backfill import (
    OriginalsGone,
    backfill,
    catch_up,
    plan_backfill,
    require_originals,
)
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ItemWrite
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from indexer.pipeline import IngestOptions, channel_identities
from indexer.publish import roll_back
from indexer.reindex import GateRefused, reindex
from tests.indexer.fakes import FakeLoader
from tests.indexer.small_media import CONFIG, run

WORDS = {"speech", "passages", "titles"}


def live_collection(catalog: Catalog, data_dir: DataDir, version: int) -> LiveCollection:
    identities = channel_identities(CONFIG, FakeLoader(version=version))
    return LiveCollection(catalog, data_dir, CONFIG, identities)


def publish(catalog: Catalog, data_dir: DataDir, version: int, *, if_changed: bool = True) -> bool:
    identities = channel_identities(CONFIG, FakeLoader(version=version))
    return reindex(catalog, data_dir, CONFIG, identities, if_changed=if_changed).built


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


def test_nothing_changes_for_whoever_serves_from_the_old_model(
    media: Path, catalog: Catalog, data_dir: DataDir
) -> None:
    run(media, catalog)
    publish(catalog, data_dir, 1)
    old = live_collection(catalog, data_dir, 1)
    before = old.view()
    seq = catalog.change_seq(CONFIG.name)
    segments = catalog.counts(CONFIG.name).segments

    report = backfill(catalog, CONFIG, FakeLoader(version=2), IngestOptions())

    assert report.plan.is_complete
    assert report.plan.gone == ()
    assert all(found.other_items == 0 for found in report.plan.coverage.values())
    assert catalog.change_seq(CONFIG.name) == seq
    assert catalog.counts(CONFIG.name).segments == segments
    assert not old.refresh()
    assert old.view() is before

    assert publish(catalog, data_dir, 2)
    new = live_collection(catalog, data_dir, 2).view()
    assert new.num_delta_items == 0
    assert sum(channel.num_rows > 0 for channel in before.channels.values()) > 5
    for name, channel in before.channels.items():
        assert new.channels[name].num_rows == channel.num_rows
        assert new.channels[name].space_id != channel.space_id


def test_stored_words_are_encoded_without_decoding_or_hearing_anything(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    loader = FakeLoader(version=2)
    # The ears are those of before: only what is made of their words changes.
    loader.identify_recognizer = FakeLoader().identify_recognizer  # type: ignore[method-assign]
    plan = plan_backfill(catalog, CONFIG, loader)
    assert {rewording.channel for rewording in plan.rewordings} == WORDS
    story = next(path for path in plan.originals if path.name == "long.flac")
    assert story.exists()
    assert not any(path.name == "story.txt" for path in plan.originals)

    report = backfill(catalog, CONFIG, loader, IngestOptions())
    assert report.num_from_words == len(plan.rewordings)
    assert not any("ears" in call for call in loader.calls)
    stored = {entry.item.item_id: entry for entry in catalog.known_items(CONFIG.name)}
    for entry in stored.values():
        for states in entry.channels.values():
            old, new = states
            assert (old.num_segments, old.segmentation_id) == (
                new.num_segments,
                new.segmentation_id,
            )


def test_words_and_originals_give_the_same_vectors_as_a_fresh_ingest(
    media: Path, catalog: Catalog, tmp_path: Path
) -> None:
    run(media, catalog)
    backfill(catalog, CONFIG, FakeLoader(version=2), IngestOptions())
    with Catalog.open(DataDir(tmp_path / "fresh")) as fresh:
        run(media, fresh, FakeLoader(version=2))
        for name, identity in channel_identities(CONFIG, FakeLoader(version=2)).items():
            both = []
            for one in (catalog, fresh):
                with one.state() as state:
                    blocks = list(
                        state.embeddings.blocks(
                            CONFIG.name, name, identity.encoder_id, dim=identity.dim
                        )
                    )
                both.append(
                    np.concatenate([np.empty((0, identity.dim)), *(b.vectors for b in blocks)])
                )
            np.testing.assert_array_equal(*both)


def test_items_whose_originals_are_gone_are_named_before_the_switch(
    media: Path, catalog: Catalog, data_dir: DataDir
) -> None:
    run(media, catalog)
    publish(catalog, data_dir, 1)
    away = (media / "picture-3.png").rename(media.parent / "elsewhere.png")
    report = backfill(catalog, CONFIG, FakeLoader(version=2), IngestOptions())
    (gone,) = report.plan.gone
    assert gone.location.endswith("picture-3.png")
    assert set(gone.channels) == {"pictures", "looks"}
    with pytest.raises(OriginalsGone, match="picture-3"):
        require_originals(report.plan)
    # The gate counts it too: 4 of 5 pictures are less than 98 %.
    with pytest.raises(GateRefused, match="4 of 5 items"):
        publish(catalog, data_dir, 2)
    assert live_collection(catalog, data_dir, 1).view().channels["pictures"].num_rows == 5
    identities = channel_identities(CONFIG, FakeLoader(version=2))
    assert reindex(catalog, data_dir, CONFIG, identities, force=True).overruled
    assert not publish(catalog, data_dir, 2)
    # Made up for later, and published although no item changed in between.
    away.rename(media / "picture-3.png")
    assert backfill(catalog, CONFIG, FakeLoader(version=2), IngestOptions()).plan.gone == ()
    assert publish(catalog, data_dir, 2)
    assert live_collection(catalog, data_dir, 2).view().channels["pictures"].num_rows == 5


def test_a_killed_backfill_goes_on_where_it_was(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    first = FakeLoader(version=2)
    backfill(catalog, CONFIG, first, IngestOptions())
    again = FakeLoader(version=2)
    report = backfill(catalog, CONFIG, again, IngestOptions())
    assert report.num_from_words == report.ingested.planned == 0
    assert not again.calls


def test_vectors_of_a_model_that_no_snapshot_holds_any_more_are_removed(
    media: Path, catalog: Catalog, data_dir: DataDir
) -> None:
    run(media, catalog)
    publish(catalog, data_dir, 1)
    backfill(catalog, CONFIG, FakeLoader(version=2), IngestOptions())
    old = channel_identities(CONFIG, FakeLoader())["pictures"].encoder_id
    for number in range(4):
        with catalog.state() as state:
            held = state.coverage(CONFIG.name, "pictures", old).current_items
        # Three snapshots are kept: the old model's leaves with the third one of the new model.
        assert held == (5 if number < 3 else 0)
        publish(catalog, data_dir, 2, if_changed=False)
    catalog.check_integrity()


def test_a_snapshot_says_which_collection_it_was_built_for(
    media: Path, catalog: Catalog, data_dir: DataDir
) -> None:
    run(media, catalog)
    publish(catalog, data_dir, 1)
    snapshot = live_collection(catalog, data_dir, 1)._opened_snapshot()
    assert snapshot is not None
    from indexer.publish import live_snapshot_path
    from indexer.snapshot import Snapshot

    path = live_snapshot_path(data_dir, CONFIG.name)
    assert path is not None
    opened = Snapshot.open(path)
    assert opened.collection == CONFIG
    (path / "collection.json").unlink()
    assert Snapshot.open(path, verify=False).collection is None


def test_uploads_of_the_same_bytes_share_a_file_and_are_both_encoded(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    known = next(
        entry
        for entry in catalog.known_items(CONFIG.name)
        if entry.item.location.endswith("picture-1.png")
    )
    copies = []
    for name, (state,) in known.channels.items():
        stored = catalog.reusable(state.source_sha256, state.segmentation_id, state.encoder_id)
        assert stored is not None
        copies.append(replace(stored, channel=name))
    catalog.write(CONFIG.name, [ItemWrite(replace(known.item, item_id="twin"), tuple(copies))])
    report = backfill(catalog, CONFIG, FakeLoader(version=2), IngestOptions())
    assert report.plan.is_complete
    assert report.plan.coverage["pictures"].current_items == 6
    assert all(found.other_items == 0 for found in report.plan.coverage.values())


def test_what_is_written_with_the_old_model_until_the_switch_is_caught_up_with(
    media: Path, catalog: Catalog, data_dir: DataDir
) -> None:
    """A server may store an item after the plan was made and before the new index is live."""
    run(media, catalog)
    publish(catalog, data_dir, 1)
    backfill(catalog, CONFIG, FakeLoader(version=2), IngestOptions())
    (media / "late.txt").write_text("a walrus rests upon the ice")
    run(media, catalog)
    late = next(
        known.item.item_id
        for known in catalog.known_items(CONFIG.name)
        if known.item.location.endswith("late.txt")
    )
    identities = channel_identities(CONFIG, FakeLoader(version=2))
    reindex(catalog, data_dir, CONFIG, identities, force=True)  # the gate sees half the passages
    new = live_collection(catalog, data_dir, 2)
    passages = new.view().channels["passages"].num_rows
    item_row = new.view().item_row(late)
    assert item_row is not None
    assert len(new.view().segment_rows("passages", item_row)) == 0

    assert catch_up(catalog, CONFIG, FakeLoader(version=2), IngestOptions()) == 1

    assert new.refresh()
    item_row = new.view().item_row(late)
    assert item_row is not None
    assert len(new.view().segment_rows("passages", item_row)) == 1
    assert new.view().channels["passages"].num_rows == passages + 1
    assert catch_up(catalog, CONFIG, FakeLoader(version=2), IngestOptions()) == 0
    assert not new.refresh()


def test_nobody_stores_anything_while_another_model_takes_over(
    media: Path, catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(media, catalog)
    held: list[bool] = []
    swap = publish_module._swap

    def swap_and_try(*arguments: Any) -> None:
        with closing(sqlite3.connect(data_dir.catalog_path, timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
                held.append(False)
            except sqlite3.OperationalError:
                held.append(True)
        swap(*arguments)

    monkeypatch.setattr(publish_module, "_swap", swap_and_try)
    publish(catalog, data_dir, 1)
    publish(catalog, data_dir, 1, if_changed=False)
    backfill(catalog, CONFIG, FakeLoader(version=2), IngestOptions())
    publish(catalog, data_dir, 2)
    roll_back(
        data_dir,
        CONFIG.name,
        channel_identities(CONFIG, FakeLoader(version=2)),
        identities_of=lambda config: channel_identities(config, FakeLoader(version=1)),
        while_swapping=catalog.writes_held,
    )
    assert held == [False, False, True, True]
