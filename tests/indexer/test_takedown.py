"""Takedowns below every snapshot: masked at once, erased in time or now, with a true receipt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from indexer import reindex as reindex_module
from indexer import takedown as takedown_module
from indexer.canaries import ChannelCanaries
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import CatalogBusy
from indexer.catalog.records import Outcome
from indexer.catalog.takedown_records import TakenDown
from indexer.data_dir import DataDir
from indexer.erasure import CATALOG_REST, forecast
from indexer.gate_measurements import Measured
from indexer.live_view import LiveCollection, LiveView
from indexer.lock import writer_lock
from indexer.publish import KEPT_SNAPSHOTS, finished_snapshots, kept_snapshots, roll_back
from indexer.reindex import GateRefused, reindex
from indexer.reindex_report import ReindexReport
from indexer.staging import stage_channel
from indexer.takedown import PurgeRefused, Receipt, purge, read_receipt, take_down
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

CONFIG = tiny_config()
SECRET = "a title nobody else has"
SPOKEN = "secret"
"""How the words of the secret item begin, see `write_of`."""


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path)


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        yield opened


@pytest.fixture
def live(catalog: Catalog, data_dir: DataDir) -> LiveCollection:
    return LiveCollection(catalog, data_dir, CONFIG, identities())


def fill(catalog: Catalog) -> None:
    """Store a secret item, a twin of it, and others."""
    secret = write_of("secret", 3, seed=5, attributes={"title": SECRET})
    twin = replace(secret, item=replace(secret.item, item_id="twin", attributes={}))
    others = [write_of(f"other-{number}", seed=10 + number) for number in range(4)]
    catalog.write(COLLECTION, [secret, twin, *others])


def secret_vector() -> Any:
    return write_of("secret", 3, seed=5).channels[0].vectors[1]


def publish(catalog: Catalog, data_dir: DataDir) -> str:
    report = reindex(catalog, data_dir, CONFIG, identities())
    assert report.manifest is not None
    return report.manifest.snapshot_id


def down(catalog: Catalog, data_dir: DataDir, *item_ids: str, **options: Any) -> Receipt:
    return take_down(catalog, data_dir, COLLECTION, item_ids, requested_by="me", **options)


def purged(catalog: Catalog, data_dir: DataDir, receipt: Receipt) -> Receipt:
    return purge(catalog, data_dir, CONFIG, lambda _: identities(), receipt.takedown.takedown_id)


def answers(view: LiveView) -> set[str]:
    """Return the items that a search for the secret vector can give."""
    queries = secret_vector()[None, :]
    rows = view.search("passages", queries, 100).rows[0]
    items = view.segments("passages", rows[rows >= 0]).item_rows
    ids = view.items.column("item_id").to_pylist()
    found = {ids[row] for row in items}
    assert found == {ids[row] for row in range(len(ids)) if view.live[row]}
    return found


def holding(data_dir: DataDir, *needles: bytes) -> dict[str, list[bytes]]:
    """Return the files of a data folder that hold any of some bytes."""
    found = {}
    for path in data_dir.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            hits = [needle for needle in needles if needle in content]
            if hits:
                found[path.relative_to(data_dir.root).as_posix()] = hits
    return found


def secret_bytes() -> Sequence[bytes]:
    vector = secret_vector()
    words = write_of("secret", 3, seed=5).channels[0].segments[1].text
    assert words is not None
    half, single = vector.astype("<f2"), vector.astype("<f2").astype("<f4")
    return SECRET.encode(), words.encode(), half.tobytes(), single.tobytes(), b"/media/secret.txt"


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
