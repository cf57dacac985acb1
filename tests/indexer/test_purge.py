"""Purging: what was taken down is erased now, or it is said what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from indexer import reindex as reindex_module
from indexer import takedown as takedown_module
from indexer.canaries import ChannelCanaries
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import CatalogBusy
from indexer.catalog.records import Outcome
from indexer.data_dir import DataDir
from indexer.erasure import CATALOG_REST
from indexer.gate_measurements import Measured
from indexer.live_view import LiveCollection
from indexer.lock import writer_lock
from indexer.publish import finished_snapshots, kept_snapshots, roll_back
from indexer.reindex import GateRefused, reindex
from indexer.reindex_report import ReindexReport
from indexer.takedown import PurgeRefused, purge, read_receipt
from tests.indexer.stored_items import COLLECTION, identities, write_of
from tests.indexer.taken_down import (
    CONFIG,
    SECRET,
    answers,
    down,
    fill,
    holding,
    publish,
    purged,
    secret_bytes,
)


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        yield opened


@pytest.fixture
def live(catalog: Catalog, data_dir: DataDir) -> LiveCollection:
    return LiveCollection(catalog, data_dir, CONFIG, identities())


def test_purging_leaves_no_byte_of_it(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    fill(catalog)
    old = [publish(catalog, data_dir) for _ in range(2)]
    catalog.write(COLLECTION, [write_of("secret", 3, seed=5, attributes={"title": f"{SECRET}!"})])
    live.refresh()
    assert holding(data_dir, *secret_bytes())
    receipt = purged(
        catalog, data_dir, down(catalog, data_dir, "secret", same_content=True, reason="a claim")
    )
    assert holding(data_dir, *secret_bytes()) == {}
    assert receipt.erased_by is None
    assert receipt.takedown.erased_at is not None
    shown = receipt.as_json()
    assert shown["reason"] == "a claim"
    assert shown["held_by"] == []
    erased = [entry["what"] for entry in shown["erased"]]
    assert [f"snapshot {name}" for name in old] == [e for e in erased if e.startswith("snapshot")]
    assert CATALOG_REST in erased
    kept = [path.name for path in finished_snapshots(data_dir, COLLECTION)]
    assert not set(kept) & set(old)
    live.refresh()
    assert live.view().snapshot_id == kept[-1]
    assert answers(live.view()) == {f"other-{number}" for number in range(4)}
    catalog.check_integrity()


def test_purging_keeps_snapshots_that_do_not_hold_it(catalog: Catalog, data_dir: DataDir) -> None:
    catalog.write(COLLECTION, [write_of("other")])
    clean = publish(catalog, data_dir)
    fill(catalog)
    unclean = publish(catalog, data_dir)
    purged(catalog, data_dir, down(catalog, data_dir, "secret"))
    kept = [path.name for path in finished_snapshots(data_dir, COLLECTION)]
    assert clean in kept
    assert unclean not in kept
    # What only the delta holds needs no new snapshot.
    catalog.write(COLLECTION, [write_of("late")])
    receipt = purged(catalog, data_dir, down(catalog, data_dir, "late"))
    assert receipt.takedown.erased_at is not None
    assert [path.name for path in finished_snapshots(data_dir, COLLECTION)] == kept


def test_purging_everything_leaves_an_empty_snapshot(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    catalog.write(COLLECTION, [write_of("secret", 3, seed=5, attributes={"title": SECRET})])
    publish(catalog, data_dir)
    purged(catalog, data_dir, down(catalog, data_dir, "secret"))
    assert holding(data_dir, *secret_bytes()) == {}
    assert live.view().items.num_rows == 0


def test_purging_waits_for_nobody_and_says_who_writes(catalog: Catalog, data_dir: DataDir) -> None:
    fill(catalog)
    publish(catalog, data_dir)
    receipt = down(catalog, data_dir, "secret")
    with (
        writer_lock(data_dir, COLLECTION, "a nightly job"),
        pytest.raises(PurgeRefused, match="a nightly job") as caught,
    ):
        purged(catalog, data_dir, receipt)
    assert caught.value.detail["takedown"] == receipt.takedown.takedown_id
    assert catalog.item(COLLECTION, "secret") is None
    assert purged(catalog, data_dir, receipt).takedown.erased_at is not None


def test_a_purge_is_not_kept_from_erasing_by_files_that_failed(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    fill(catalog)
    old = publish(catalog, data_dir)
    failed = [Outcome(f"/media/{n}.png", None, "failed", "truncated") for n in range(50)]
    catalog.write(COLLECTION, [], failed)
    with pytest.raises(GateRefused, match="50 of 56 files failed"):
        publish(catalog, data_dir)
    done = purged(catalog, data_dir, down(catalog, data_dir, "secret", same_content=True)).takedown
    assert done.erased_at is not None
    (new,) = kept_snapshots(data_dir, COLLECTION)
    (replaced,) = [each.what for each in done.erasures if each.what.startswith(f"snapshot {old}")]
    assert replaced.startswith(f"snapshot {old}, replaced by {new.manifest.snapshot_id} although")
    assert "50 of 54 files failed" in replaced
    assert new.gate is not None
    assert new.gate.overruled_for == f"purge of {done.takedown_id}"
    assert not holding(data_dir, *secret_bytes())
    assert answers(live.view()) == {f"other-{number}" for number in range(4)}


def test_a_purge_in_the_midst_of_a_change_of_model_keeps_everything_else_findable(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    """The new model has been at one item only: with its encoders three would be gone."""
    fill(catalog)
    publish(catalog, data_dir)
    receipt = down(catalog, data_dir, "secret", same_content=True)
    new_model = replace(write_of("other-0", seed=10, version=2), adds_encodings=True)
    catalog.write(COLLECTION, [new_model])
    takedown_id = receipt.takedown.takedown_id
    purge(catalog, data_dir, CONFIG, lambda _: identities(version=2), takedown_id)
    assert answers(live.view()) == {f"other-{number}" for number in range(4)}
    with catalog.state() as state:
        assert state.coverage(COLLECTION, "passages", "text-encoder-2").current_items == 1


def test_a_purge_whose_index_is_broken_leaves_it_hidden(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog)
    old = publish(catalog, data_dir)
    lost = Measured(channels={"passages": ChannelCanaries(num_known=8, known_item_share=0.25)})
    monkeypatch.setattr(reindex_module, "measure", lambda *_: lost)
    with pytest.raises(PurgeRefused, match=r"0\.250 of 8 .*reindex --force") as caught:
        purged(catalog, data_dir, down(catalog, data_dir, "secret"))
    assert caught.value.detail["cause"] == "gate_refused"
    assert live.view().snapshot_id == old
    assert "secret" not in answers(live.view())


def test_a_purge_that_broke_off_is_finished_by_the_next(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog)
    old = publish(catalog, data_dir)
    receipt = down(catalog, data_dir, "secret", same_content=True)

    def broken(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(takedown_module, "remove_snapshots", broken)
        with pytest.raises(PurgeRefused, match="Input/output error") as caught:
            purged(catalog, data_dir, receipt)
    assert caught.value.detail["cause"] == "system_error"
    takedown_id = receipt.takedown.takedown_id
    halfway = read_receipt(catalog, data_dir, COLLECTION, takedown_id)
    assert halfway.erased_by is not None
    assert halfway.erased_by.snapshots == (old,)
    assert purged(catalog, data_dir, receipt).takedown.erased_at is not None
    assert holding(data_dir, *secret_bytes()) == {}


def test_a_snapshot_that_came_back_meanwhile_is_not_called_erased(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog)
    old = publish(catalog, data_dir)
    receipt = down(catalog, data_dir, "secret")

    def rolled_back(*arguments: Any, **named: Any) -> ReindexReport:
        report = reindex(*arguments, **named)
        roll_back(data_dir, COLLECTION, identities(), snapshot_id=old)
        return report

    monkeypatch.setattr(takedown_module, "reindex", rolled_back)
    with pytest.raises(PurgeRefused, match=f"snapshot {old}"):
        purged(catalog, data_dir, receipt)
    assert catalog.takedowns.get(COLLECTION, receipt.takedown.takedown_id).erased_at is None


def test_a_busy_catalog_is_erased_with_the_next_snapshot(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog)
    receipt = down(catalog, data_dir, "secret")

    def busy(_: Catalog) -> None:
        raise CatalogBusy("somebody reads an old state")

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "rewrite", busy)
        report = reindex(catalog, data_dir, CONFIG, identities())
    assert report.built
    assert report.not_erased == "somebody reads an old state"
    assert "not erased yet: somebody reads" in report.sentence()
    takedown_id = receipt.takedown.takedown_id
    assert catalog.takedowns.get(COLLECTION, takedown_id).erased_at is None
    assert reindex(catalog, data_dir, CONFIG, identities()).not_erased is None
    assert catalog.takedowns.get(COLLECTION, takedown_id).erased_at is not None
