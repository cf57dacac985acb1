"""Takedowns below every snapshot: masked at once, erased in time, with a true receipt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from indexer.catalog.catalog import Catalog
from indexer.catalog.takedown_records import TakenDown
from indexer.data_dir import DataDir
from indexer.erasure import CATALOG_REST, forecast
from indexer.live_view import LiveCollection
from indexer.publish import KEPT_SNAPSHOTS, finished_snapshots, roll_back
from indexer.staging import stage_channel
from indexer.takedown import PurgeRefused, Receipt, purge, read_receipt
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


def test_it_is_hidden_in_every_snapshot_there_is(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    fill(catalog)
    snapshots = [publish(catalog, data_dir) for _ in range(KEPT_SNAPSHOTS)]
    assert "secret" in answers(live.view())
    receipt = down(catalog, data_dir, "secret")
    with pytest.raises(TakenDown):
        catalog.write(COLLECTION, [write_of("secret")])
    assert live.refresh()
    for snapshot_id in reversed(snapshots):
        roll_back(data_dir, COLLECTION, identities(), snapshot_id=snapshot_id)
        live.refresh()
        assert live.view().snapshot_id == snapshot_id
        assert "secret" not in answers(live.view())
        assert live.view().item_row("secret") is None
        fresh = LiveCollection(catalog, data_dir, CONFIG, identities())
        assert "secret" not in answers(fresh.view())
    assert receipt.erased_by is not None
    assert list(receipt.erased_by.snapshots) == snapshots


def test_it_stays_hidden_when_it_was_written_again_and_again(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    """A replaced item is in snapshots with content that the catalog has forgotten."""
    fill(catalog)
    first = publish(catalog, data_dir)
    catalog.write(COLLECTION, [write_of("secret", 2, seed=6)])
    second = publish(catalog, data_dir)
    catalog.delete(COLLECTION, ["secret"])
    catalog.write(COLLECTION, [write_of("secret", 4, seed=7)])
    down(catalog, data_dir, "secret")
    for snapshot_id in (first, second):
        roll_back(data_dir, COLLECTION, identities(), snapshot_id=snapshot_id)
        live.refresh()
        assert "secret" not in answers(live.view())


def test_the_mark_outlives_every_snapshot(catalog: Catalog, data_dir: DataDir) -> None:
    fill(catalog)
    receipt = purged(catalog, data_dir, down(catalog, data_dir, "secret"))
    for _ in range(KEPT_SNAPSHOTS + 1):
        with pytest.raises(TakenDown):
            catalog.write(COLLECTION, [write_of("secret")])
        publish(catalog, data_dir)
    with catalog.state() as state:
        marks = {change.item_id for change in state.changes(COLLECTION) if change.item is None}
    assert marks == {"secret"}
    takedown_id = receipt.takedown.takedown_id
    assert read_receipt(catalog, data_dir, COLLECTION, takedown_id) == receipt


def test_it_is_hidden_in_the_delta(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    publish(catalog, data_dir)
    fill(catalog)
    live.refresh()
    assert "secret" in answers(live.view())
    receipt = down(catalog, data_dir, "secret")
    live.refresh()
    assert "secret" not in answers(live.view())
    assert receipt.erased_by is not None
    assert receipt.erased_by.held_by == [CATALOG_REST]


def test_it_is_hidden_in_a_snapshot_that_is_being_built(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog)
    receipts: list[Receipt] = []

    def interrupted(*arguments: Any) -> Any:
        if not receipts:
            # Items are written, vectors not yet: from here on the build sees an old state.
            receipts.append(down(catalog, data_dir, "secret"))
        return stage_channel(*arguments)

    monkeypatch.setattr("indexer.snapshot.stage_channel", interrupted)
    snapshot_id = publish(catalog, data_dir)
    assert receipts[0].erased_by is not None
    assert receipts[0].erased_by.building
    assert receipts[0].erased_by.further_snapshots == KEPT_SNAPSHOTS + 1
    assert any(name.startswith("snapshots/") for name in holding(data_dir, SECRET.encode()))
    assert live.view().snapshot_id == snapshot_id
    assert "secret" not in answers(live.view())
    takedown_id = receipts[0].takedown.takedown_id
    after = read_receipt(catalog, data_dir, COLLECTION, takedown_id)
    assert after.erased_by is not None
    assert (after.erased_by.snapshots, after.erased_by.building) == ((snapshot_id,), False)


def test_a_twin_stays_and_is_named(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    fill(catalog)
    publish(catalog, data_dir)
    receipt = down(catalog, data_dir, "secret")
    live.refresh()
    assert receipt.as_json()["same_content"] == ["twin"]
    assert "twin" in answers(live.view())
    both = down(catalog, data_dir, "secret", same_content=True)
    live.refresh()
    assert both.as_json()["same_content"] == []
    assert {"secret", "twin"}.isdisjoint(answers(live.view()))


def test_the_last_snapshot_that_holds_it_ends_the_receipt(
    catalog: Catalog, data_dir: DataDir
) -> None:
    fill(catalog)
    publish(catalog, data_dir)
    last = publish(catalog, data_dir)
    receipt = down(catalog, data_dir, "secret", same_content=True)
    takedown_id = receipt.takedown.takedown_id
    assert receipt.erased_by is not None
    number = receipt.erased_by.further_snapshots
    assert number == KEPT_SNAPSHOTS
    for left in range(number, 0, -1):
        before = read_receipt(catalog, data_dir, COLLECTION, takedown_id)
        assert before.erased_by is not None
        assert before.erased_by.further_snapshots == left
        assert last in before.erased_by.snapshots
        assert before.takedown.erased_at is None
        publish(catalog, data_dir)
    after = read_receipt(catalog, data_dir, COLLECTION, takedown_id)
    assert after.erased_by is None
    assert after.takedown.erased_at is not None
    assert after.as_json()["held_by"] == []
    assert holding(data_dir, *secret_bytes()) == {}


def test_a_lifted_one_is_not_erased_and_comes_back(
    catalog: Catalog, data_dir: DataDir, live: LiveCollection
) -> None:
    fill(catalog)
    publish(catalog, data_dir)
    takedown_id = down(catalog, data_dir, "secret").takedown.takedown_id
    catalog.takedowns.lift(COLLECTION, takedown_id, lifted_by="me")
    with pytest.raises(PurgeRefused, match="lifted"):
        purge(catalog, data_dir, CONFIG, lambda _: identities(), takedown_id)
    catalog.write(COLLECTION, [write_of("secret", 3, seed=5)])
    publish(catalog, data_dir)
    live.refresh()
    assert "secret" in answers(live.view())
    receipt = read_receipt(catalog, data_dir, COLLECTION, takedown_id)
    assert (receipt.erased_by, receipt.takedown.erased_at) == (None, None)


def test_a_snapshot_that_cannot_be_read_counts_as_holding_it(
    catalog: Catalog, data_dir: DataDir
) -> None:
    fill(catalog)
    damaged = publish(catalog, data_dir)
    publish(catalog, data_dir)
    (data_dir.snapshots(COLLECTION) / damaged / "items.arrow").write_bytes(b"?")
    catalog.write(COLLECTION, [write_of("late")])
    receipt = down(catalog, data_dir, "late")
    assert receipt.erased_by is not None
    assert receipt.erased_by.snapshots == (damaged,)
    purged(catalog, data_dir, receipt)
    assert damaged not in [path.name for path in finished_snapshots(data_dir, COLLECTION)]


NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
DAILY = [NOON - timedelta(days=days) for days in (2, 1, 0)]


@pytest.mark.parametrize(
    ("finished", "holds", "building", "further", "expected"),
    [
        ("ABC", "", False, 1, "2026-01-11T12:00:00+00:00"),
        ("ABC", "A", False, 1, "2026-01-11T12:00:00+00:00"),
        ("ABC", "AB", False, 2, "2026-01-12T12:00:00+00:00"),
        ("ABC", "C", False, 3, "2026-01-13T12:00:00+00:00"),
        ("ABC", "ABC", True, 4, "2026-01-14T12:00:00+00:00"),
        ("A", "A", False, 3, None),
        ("", "", False, 1, None),
        ("ABCDE", "A", False, 1, "2026-01-11T12:00:00+00:00"),
    ],
)
def test_when_the_last_file_goes_is_worked_out(
    finished: str, holds: str, building: bool, further: int, expected: str | None
) -> None:
    found = forecast(
        list(finished), list(holds), DAILY[: len(finished)], building=building, now=NOON, keep=3
    )
    assert (found.further_snapshots, found.expected) == (further, expected)
    assert f"{further} more published snapshot" in found.sentence()
    assert "--purge" in found.sentence()
