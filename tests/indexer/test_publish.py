from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.errors import SpaceMismatch
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.errors import WriterLeaseLost
from indexer.gate import GateReport
from indexer.live_view import LiveCollection
from indexer.lock import take_lease
from indexer.publish import (
    NoSuchSnapshot,
    PruneFailed,
    finished_snapshots,
    kept_snapshots,
    live_snapshot_path,
    pointer_path,
    publish,
    read_pointer,
    roll_back,
)
from indexer.snapshot import Snapshot, SnapshotCorrupt, build_snapshot
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

CONFIG = tiny_config()


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        opened.write(COLLECTION, [write_of("a")])
        yield opened


def published(catalog: Catalog, data_dir: DataDir) -> Snapshot:
    snapshot = build_snapshot(catalog, data_dir, CONFIG, identities())
    publish(snapshot, data_dir)
    return snapshot


def test_nothing_is_live_before_the_first_publish(catalog: Catalog, data_dir: DataDir) -> None:
    assert live_snapshot_path(data_dir, COLLECTION) is None
    build_snapshot(catalog, data_dir, CONFIG, identities())
    assert live_snapshot_path(data_dir, COLLECTION) is None


def test_the_newest_three_snapshots_stay(catalog: Catalog, data_dir: DataDir) -> None:
    made = [published(catalog, data_dir) for _ in range(5)]
    assert live_snapshot_path(data_dir, COLLECTION) == made[-1].path
    assert finished_snapshots(data_dir, COLLECTION) == [one.path for one in made[-3:]]
    names = {path.name for path in data_dir.snapshots(COLLECTION).iterdir()}
    assert names == {"live", *(one.path.name for one in made[-3:])}


def test_going_back_keeps_the_newer_ones(catalog: Catalog, data_dir: DataDir) -> None:
    made = [published(catalog, data_dir) for _ in range(3)]
    publish(made[0], data_dir)
    assert live_snapshot_path(data_dir, COLLECTION) == made[0].path
    fourth = build_snapshot(catalog, data_dir, CONFIG, identities())
    publish(made[0], data_dir)
    kept = finished_snapshots(data_dir, COLLECTION)
    assert kept == [made[0].path, made[1].path, made[2].path, fourth.path]


def test_a_failed_swap_leaves_the_old_pointer(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published(catalog, data_dir)
    second = build_snapshot(catalog, data_dir, CONFIG, identities())

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("indexer.durable_files.sync_file", full)
    with pytest.raises(OSError, match="No space left"):
        publish(second, data_dir)
    assert live_snapshot_path(data_dir, COLLECTION) == first.path
    assert list(data_dir.snapshots(COLLECTION).glob(".live-*")) == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b'{"snapshot_id": "../elsewhere", "published": ""}']
)
def test_a_damaged_pointer_is_refused(data_dir: DataDir, content: bytes) -> None:
    path = pointer_path(data_dir, COLLECTION)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(SnapshotCorrupt, match="live"):
        live_snapshot_path(data_dir, COLLECTION)


def test_a_removal_that_is_cut_short_leaves_no_half_snapshot(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [published(catalog, data_dir) for _ in range(3)]

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("indexer.snapshot_removal.shutil.rmtree", killed)
        fourth = build_snapshot(catalog, data_dir, CONFIG, identities())
        with pytest.raises(KeyboardInterrupt):
            publish(fourth, data_dir)
    kept = [made[1].path, made[2].path, fourth.path]
    assert finished_snapshots(data_dir, COLLECTION) == kept
    build_snapshot(catalog, data_dir, CONFIG, identities())
    hidden = [path for path in data_dir.snapshots(COLLECTION).iterdir() if path.name[0] == "."]
    assert hidden == []


def test_rolling_back_serves_the_one_before_and_then_the_one_before_that(
    catalog: Catalog, data_dir: DataDir
) -> None:
    made = [published(catalog, data_dir) for _ in range(3)]
    assert roll_back(data_dir, COLLECTION, identities()) == made[1].manifest
    assert roll_back(data_dir, COLLECTION, identities()) == made[0].manifest
    with pytest.raises(NoSuchSnapshot, match=f"before {made[0].path.name}"):
        roll_back(data_dir, COLLECTION, identities())
    assert live_snapshot_path(data_dir, COLLECTION) == made[0].path
    assert finished_snapshots(data_dir, COLLECTION) == [one.path for one in made]


def test_rolling_forward_needs_a_name(catalog: Catalog, data_dir: DataDir) -> None:
    made = [published(catalog, data_dir) for _ in range(2)]
    roll_back(data_dir, COLLECTION, identities())
    newest = made[1].manifest.snapshot_id
    roll_back(data_dir, COLLECTION, identities(), snapshot_id=newest)
    assert live_snapshot_path(data_dir, COLLECTION) == made[1].path
    with pytest.raises(NoSuchSnapshot, match=f"'elsewhere'; there are: .*{newest}"):
        roll_back(data_dir, COLLECTION, identities(), snapshot_id="elsewhere")


def test_rolling_back_loses_no_write(catalog: Catalog, data_dir: DataDir) -> None:
    catalog.write(COLLECTION, [write_of("stays", seed=1)])
    published(catalog, data_dir)
    catalog.write(COLLECTION, [write_of("new", seed=2)])
    catalog.delete(COLLECTION, ["a"])
    published(catalog, data_dir)
    live = LiveCollection(catalog, data_dir, CONFIG, identities())
    live.refresh()
    roll_back(data_dir, COLLECTION, identities())
    assert live.refresh()
    view = live.view()
    assert view.snapshot_id == finished_snapshots(data_dir, COLLECTION)[0].name
    seen = {item_id for item_id in ("a", "stays", "new") if view.item_row(item_id) is not None}
    assert seen == {"stays", "new"}


def test_a_damaged_snapshot_is_not_rolled_back_to(catalog: Catalog, data_dir: DataDir) -> None:
    made = [published(catalog, data_dir) for _ in range(2)]
    index = made[0].channel_folder("passages") / "index.npy"
    index.write_bytes(index.read_bytes()[:-1] + b"?")
    with pytest.raises(SnapshotCorrupt, match=r"index\.npy"):
        roll_back(data_dir, COLLECTION, identities())
    assert live_snapshot_path(data_dir, COLLECTION) == made[1].path


def test_a_snapshot_of_another_space_is_not_rolled_back_to(
    catalog: Catalog, data_dir: DataDir
) -> None:
    made = [published(catalog, data_dir) for _ in range(2)]
    with pytest.raises(SpaceMismatch, match=r"dim 16.*dim 8"):
        roll_back(data_dir, COLLECTION, identities(dim=8))
    assert live_snapshot_path(data_dir, COLLECTION) == made[1].path


def test_the_pointer_remembers_what_was_overruled(catalog: Catalog, data_dir: DataDir) -> None:
    snapshot = build_snapshot(catalog, data_dir, CONFIG, identities())
    report = GateReport(snapshot.manifest.snapshot_id, ("covers 1 of 9 items",))
    publish(snapshot, data_dir, report=report)
    pointer = read_pointer(data_dir, COLLECTION)
    assert pointer is not None
    assert pointer.overruled == ("covers 1 of 9 items",)


def test_pointers_that_a_kill_left_half_written_are_removed(
    catalog: Catalog, data_dir: DataDir
) -> None:
    published(catalog, data_dir)
    leftover = data_dir.snapshots(COLLECTION) / ".live-0a1b2c3d"
    leftover.write_text("{")
    published(catalog, data_dir)
    assert not leftover.exists()


def test_an_old_snapshot_that_cannot_be_removed_is_named_and_the_new_one_is_live(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [published(catalog, data_dir) for _ in range(3)]
    fourth = build_snapshot(catalog, data_dir, CONFIG, identities())

    def broken(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("indexer.publish.remove_snapshot", broken)
        with pytest.raises(PruneFailed, match=f"{made[0].path.name} could not be removed: Input"):
            publish(fourth, data_dir)
    assert live_snapshot_path(data_dir, COLLECTION) == fourth.path
    fifth = published(catalog, data_dir)
    kept = [made[2].path, fourth.path, fifth.path]
    assert finished_snapshots(data_dir, COLLECTION) == kept


def test_a_snapshot_that_could_not_be_published_is_discarded_if_asked(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published(catalog, data_dir)
    second = build_snapshot(catalog, data_dir, CONFIG, identities())

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("indexer.publish.replace_durably", full)
    with pytest.raises(OSError, match="No space left"):
        publish(second, data_dir, discard_unpublished=True)
    assert finished_snapshots(data_dir, COLLECTION) == [first.path]


def test_what_the_gate_found_stays_with_each_snapshot_that_is_kept(
    catalog: Catalog, data_dir: DataDir
) -> None:
    made = []
    for number in range(5):
        snapshot = build_snapshot(catalog, data_dir, CONFIG, identities())
        reasons = (f"reason {number}",) if number % 2 else ()
        publish(snapshot, data_dir, report=GateReport(snapshot.manifest.snapshot_id, reasons))
        made.append(snapshot)
    roll_back(data_dir, COLLECTION, identities())
    pointer = read_pointer(data_dir, COLLECTION)
    assert pointer is not None
    assert list(pointer.gates) == [one.path.name for one in made[2:]]
    assert pointer.overruled == ("reason 3",)
    kept = {one.manifest.snapshot_id: one for one in kept_snapshots(data_dir, COLLECTION)}
    assert [kept[one.path.name].overruled for one in made[2:]] == [(), ("reason 3",), ()]
    assert kept[made[4].path.name].as_json()["gate"]["reasons"] == []


def test_a_writer_that_is_not_the_newest_moves_nothing(catalog: Catalog, data_dir: DataDir) -> None:
    first = published(catalog, data_dir)
    lost = take_lease(data_dir, COLLECTION, "one")
    newest = take_lease(data_dir, COLLECTION, "other")
    second = build_snapshot(catalog, data_dir, CONFIG, identities())
    with pytest.raises(WriterLeaseLost, match=r"`one` .* is 1, the newest is 2, given to `other`"):
        publish(second, data_dir, lease=lost)
    assert live_snapshot_path(data_dir, COLLECTION) == first.path
    publish(second, data_dir, lease=newest)
    pointer = read_pointer(data_dir, COLLECTION)
    assert pointer is not None
    assert (pointer.snapshot_id, pointer.fencing_token) == (second.path.name, 2)


def test_a_pointer_of_before_the_gate_kept_its_numbers_is_read(
    catalog: Catalog, data_dir: DataDir
) -> None:
    snapshot = published(catalog, data_dir)
    path = pointer_path(data_dir, COLLECTION)
    path.write_text(
        f'{{"snapshot_id": "{snapshot.path.name}", "published": "", "overruled": ["why"]}}'
    )
    (kept,) = kept_snapshots(data_dir, COLLECTION)
    assert (kept.is_live, kept.overruled, kept.gate) == (True, ("why",), None)
