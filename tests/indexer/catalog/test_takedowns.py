"""Takedowns in the catalog: what goes, what is blocked, what may come back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from indexer.catalog.catalog import Catalog
from indexer.catalog.database import CatalogBusy
from indexer.catalog.records import ItemWrite, Outcome
from indexer.catalog.takedown_records import TakenDown, UnknownTakedown
from indexer.data_dir import DataDir
from tests.indexer.stored_items import COLLECTION, tiny_config, write_of

CONFIG = tiny_config()
SECRET = "a title nobody else has"


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path)


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        yield opened


def twin_of(write: ItemWrite, item_id: str) -> ItemWrite:
    """Return an item of another name with the same bytes."""
    return replace(write, item=replace(write.item, item_id=item_id, location=f"/{item_id}"))


def sha256(write: ItemWrite) -> str:
    return write.item.content_sha256


def test_what_is_taken_down_is_gone_and_known_to_be_gone(catalog: Catalog) -> None:
    write = write_of("a", attributes={"title": SECRET})
    outcome = Outcome(write.item.location, "a", "encoded")
    before = catalog.write(COLLECTION, [write, write_of("b")], [outcome])
    done = catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me", reason="a claim")
    assert catalog.item(COLLECTION, "a") is None
    assert catalog.item(COLLECTION, "b") is not None
    assert catalog.change_seq(COLLECTION) == before + 1
    with catalog.state() as state:
        changes = list(state.changes(COLLECTION, before))
    assert [(change.item_id, change.item) for change in changes] == [("a", None)]
    assert [(one.item_id, one.content_sha256, one.state) for one in done.items] == [
        ("a", sha256(write), "removed")
    ]
    assert (done.requested_by, done.reason, done.erased_at) == ("me", "a claim", None)
    assert catalog.takedowns.get(COLLECTION, done.takedown_id) == done
    assert catalog.takedowns.active(COLLECTION) == [done]


def test_its_place_is_forgotten_too(catalog: Catalog, data_dir: DataDir) -> None:
    write = write_of("a")
    catalog.write(COLLECTION, [write], [Outcome(write.item.location, "a", "failed", "why")])
    catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
    with sqlite3.connect(data_dir.catalog_path) as connection:
        rows = connection.execute("SELECT source, location, relative_path FROM items").fetchall()
        assert rows == [("", "", "")]
        assert connection.execute("SELECT count(*) FROM outcomes").fetchone() == (0,)
    connection.close()


def test_neither_the_id_nor_the_content_comes_back(catalog: Catalog) -> None:
    write = write_of("a")
    catalog.write(COLLECTION, [write])
    done = catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
    other_bytes = replace(write, item=replace(write.item, content_sha256="f" * 64))
    change_seq = catalog.change_seq(COLLECTION)
    for refused in (write, twin_of(write, "z"), other_bytes):
        with pytest.raises(TakenDown, match=done.takedown_id) as caught:
            catalog.write(COLLECTION, [write_of("harmless"), refused])
        assert caught.value.refused == {refused.item.item_id: done.takedown_id}
    assert catalog.item(COLLECTION, "harmless") is None
    assert catalog.change_seq(COLLECTION) == change_seq
    catalog.write(COLLECTION, [write_of("harmless")])


def test_a_block_concerns_its_collection_alone(catalog: Catalog) -> None:
    catalog.register_collection(structs.replace(CONFIG, name="other"))
    catalog.write(COLLECTION, [write_of("a")])
    catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
    catalog.write("other", [write_of("a")])
    assert catalog.item("other", "a") is not None


def test_a_twin_stays_and_may_change_unless_it_is_asked_for(catalog: Catalog) -> None:
    write = write_of("a")
    twin = twin_of(write, "twin")
    catalog.write(COLLECTION, [write, twin])
    done = catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
    assert done.same_content == ("twin",)
    assert catalog.item(COLLECTION, "twin") is not None
    renamed = replace(twin, item=replace(twin.item, location="/elsewhere"))
    catalog.write(COLLECTION, [renamed])
    both = catalog.takedowns.take_down(COLLECTION, ["a"], same_content=True, requested_by="me")
    assert [(one.item_id, one.state) for one in both.items] == [
        ("a", "deleted_before"),
        ("twin", "same_content"),
    ]
    assert both.same_content == ()
    assert catalog.item(COLLECTION, "twin") is None
    with pytest.raises(TakenDown):
        catalog.write(COLLECTION, [twin])


def test_a_twin_that_was_deleted_may_not_come_back(catalog: Catalog) -> None:
    write = write_of("a")
    twin = twin_of(write, "twin")
    catalog.write(COLLECTION, [write, twin])
    catalog.delete(COLLECTION, ["twin"])
    assert catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me").same_content == ()
    with pytest.raises(TakenDown):
        catalog.write(COLLECTION, [twin])


def test_an_item_may_not_take_on_the_content(catalog: Catalog) -> None:
    write, other = write_of("a"), write_of("other")
    catalog.write(COLLECTION, [write, other])
    catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
    changed = replace(other, item=replace(other.item, content_sha256=sha256(write)))
    with pytest.raises(TakenDown):
        catalog.write(COLLECTION, [changed])
    catalog.write(COLLECTION, [other])


def test_unknown_and_deleted_ids_are_blocked_too(catalog: Catalog) -> None:
    gone = write_of("gone")
    catalog.write(COLLECTION, [gone])
    catalog.delete(COLLECTION, ["gone"])
    before = catalog.change_seq(COLLECTION)
    done = catalog.takedowns.take_down(COLLECTION, ["gone", "never"], requested_by="me")
    assert [(one.item_id, one.content_sha256, one.state) for one in done.items] == [
        ("gone", sha256(gone), "deleted_before"),
        ("never", None, "unknown"),
    ]
    assert catalog.change_seq(COLLECTION) == before
    for write in (gone, write_of("never"), twin_of(gone, "z")):
        with pytest.raises(TakenDown):
            catalog.write(COLLECTION, [write])


def test_items_without_bytes_have_nothing_in_common(catalog: Catalog) -> None:
    bare = [
        replace(write, item=replace(write.item, content_sha256=""))
        for write in (write_of("a"), write_of("b"), write_of("c"))
    ]
    catalog.write(COLLECTION, bare[:2])
    done = catalog.takedowns.take_down(COLLECTION, ["a"], same_content=True, requested_by="me")
    assert [(one.item_id, one.content_sha256) for one in done.items] == [("a", None)]
    catalog.write(COLLECTION, bare[1:])
    with pytest.raises(TakenDown):
        catalog.write(COLLECTION, bare[:1])


def test_lifting_allows_it_again_and_is_remembered(catalog: Catalog) -> None:
    write = write_of("a")
    catalog.write(COLLECTION, [write])
    done = catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
    with pytest.raises(UnknownTakedown, match="other"):
        catalog.takedowns.lift("other", done.takedown_id, lifted_by="you")
    lifted = catalog.takedowns.lift(COLLECTION, done.takedown_id, lifted_by="you")
    assert lifted.lifted_by == "you"
    assert lifted.lifted_at is not None
    again = catalog.takedowns.lift(COLLECTION, done.takedown_id, lifted_by="they")
    assert again == lifted
    assert catalog.item(COLLECTION, "a") is None
    catalog.write(COLLECTION, [write])
    stored = catalog.item(COLLECTION, "a")
    assert stored is not None
    assert stored.location == write.item.location
    assert catalog.takedowns.active(COLLECTION) == []


def test_lifting_one_of_two_lets_nothing_in(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    first = catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
    second = catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
    catalog.takedowns.lift(COLLECTION, first.takedown_id, lifted_by="me")
    with pytest.raises(TakenDown, match=second.takedown_id):
        catalog.write(COLLECTION, [write_of("a")])


def test_what_was_erased_is_added_to_the_receipt(catalog: Catalog) -> None:
    takedown_id = catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me").takedown_id
    catalog.takedowns.note_erased(takedown_id, ["one"])
    assert catalog.takedowns.get(COLLECTION, takedown_id).erased_at is None
    catalog.takedowns.note_erased(takedown_id, ["two", "three"], last=True)
    done = catalog.takedowns.get(COLLECTION, takedown_id)
    assert [erasure.what for erasure in done.erasures] == ["one", "two", "three"]
    assert done.erased_at == done.erasures[-1].at


def bytes_of(data_dir: DataDir) -> bytes:
    return b"".join(path.read_bytes() for path in data_dir.root.rglob("*") if path.is_file())


def test_a_rewritten_catalog_holds_no_byte_of_what_was_deleted(
    catalog: Catalog, data_dir: DataDir
) -> None:
    writes = [
        write_of(f"item-{number}", 40, seed=number, attributes={"title": f"{SECRET} {number}"})
        for number in range(50)
    ]
    catalog.write(COLLECTION, writes)
    vector = writes[7].channels[0].vectors[3].astype("<f2").tobytes()
    catalog.takedowns.take_down(COLLECTION, ["item-7"], requested_by="me")
    held = bytes_of(data_dir)
    assert vector in held, "deleting alone leaves bytes behind, which is why it is rewritten"
    catalog.rewrite()
    held = bytes_of(data_dir)
    assert vector not in held
    assert f'{SECRET} 7"'.encode() not in held
    assert f'{SECRET} 8"'.encode() in held
    catalog.check_integrity()
    assert catalog.counts(COLLECTION).items == 49


def test_a_reader_of_an_old_state_is_named(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.catalog.database.BUSY_TIMEOUT_MS", 50)
    catalog.write(COLLECTION, [write_of("a")])
    with catalog.state() as state:
        state.change_seq(COLLECTION)
        catalog.takedowns.take_down(COLLECTION, ["a"], requested_by="me")
        with pytest.raises(CatalogBusy, match="old state"):
            catalog.rewrite()
