"""Questions with known answers, asked of real snapshots: sound ones, grown ones and broken ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pytest
from msgspec import structs

from encoders.encoder import EncoderIdentity
from encoders.space import Vectors
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ItemWrite
from indexer.config import CollectionConfig
from indexer.data_dir import DataDir
from indexer.gate_config import CanaryConfig, GateConfig
from indexer.gate_measurements import Measured, measure
from indexer.snapshot import Snapshot, build_snapshot
from tests.indexer.stored_items import (
    COLLECTION,
    channel_vectors,
    clustered_vectors,
    identities,
    record,
    tiny_config,
)

CONFIG = tiny_config()
NUM_ITEMS = 150
SEGMENTS_PER_ITEM = 3


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        yield opened


def vectors_of(number: int, seed: int = 0) -> Vectors:
    return clustered_vectors(SEGMENTS_PER_ITEM, 16, seed=seed * 100_000 + number)


def write(catalog: Catalog, numbers: range, *, seed: int = 0, version: int = 1) -> None:
    writes = [
        ItemWrite(
            record(f"item-{number:04d}"),
            (
                channel_vectors(
                    "passages", vectors_of(number, seed), version=version, source=f"{number}"
                ),
            ),
        )
        for number in numbers
    ]
    catalog.write(COLLECTION, writes)


def built(catalog: Catalog, data_dir: DataDir, version: int = 1) -> Snapshot:
    return build_snapshot(catalog, data_dir, CONFIG, identities(version))


def measured(
    catalog: Catalog,
    new: Snapshot,
    live: Snapshot | None,
    config: CollectionConfig = CONFIG,
    encoders: Mapping[str, EncoderIdentity] | None = None,
) -> Measured:
    path = live.path if live else None
    return measure(catalog, config, encoders or identities(), new, path)


def test_a_first_snapshot_is_asked_for_its_own_items(catalog: Catalog, data_dir: DataDir) -> None:
    write(catalog, range(NUM_ITEMS))
    found = measured(catalog, built(catalog, data_dir), None)
    passages = found.channels["passages"]
    assert (passages.num_known, passages.known_item_share) == (64, 1.0)
    assert (passages.overlap_at_10, passages.not_compared) == (None, None)
    assert found.channels["pictures"].known_item_share is None
    assert (found.num_items, found.num_failed) == (NUM_ITEMS, 0)


def test_what_was_added_removed_and_rewritten_does_not_count(
    catalog: Catalog, data_dir: DataDir
) -> None:
    write(catalog, range(NUM_ITEMS))
    live = built(catalog, data_dir)
    write(catalog, range(NUM_ITEMS, 2 * NUM_ITEMS))
    write(catalog, range(0, NUM_ITEMS, 3), seed=1)
    catalog.delete(COLLECTION, [f"item-{number:04d}" for number in range(1, NUM_ITEMS, 3)])
    passages = measured(catalog, built(catalog, data_dir), live).channels["passages"]
    assert passages.known_item_share == 1.0
    assert (passages.num_compared, passages.overlap_at_10) == (64, 1.0)
    assert passages.latency_ratio is not None
    assert passages.latency_ratio > 0


def test_twins_may_stand_in_any_order(catalog: Catalog, data_dir: DataDir) -> None:
    same = vectors_of(0)
    writes = [
        ItemWrite(record(f"item-{number:04d}"), (channel_vectors("passages", same),))
        for number in range(NUM_ITEMS)
    ]
    catalog.write(COLLECTION, writes)
    live = built(catalog, data_dir)
    catalog.write(COLLECTION, [ItemWrite(record("aaa"), (channel_vectors("passages", same),))])
    passages = measured(catalog, built(catalog, data_dir), live).channels["passages"]
    assert (passages.known_item_share, passages.overlap_at_10) == (1.0, 1.0)


def shift_items(snapshot: Snapshot) -> None:
    """Give every segment to the next item, as a table whose rows slipped would."""
    path = snapshot.channel_folder("passages") / "segments.arrow"
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    # The last ones stay: a table whose segments are out of order is refused when it is opened.
    rows = np.minimum(table.column("item_row").to_numpy() + 1, snapshot.manifest.num_items - 1)
    shifted = table.set_column(
        table.schema.get_field_index("item_row"), table.schema.field("item_row"), pa.array(rows)
    )
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(shifted)


def spoil_vectors(snapshot: Snapshot) -> None:
    """Replace the index by one of other vectors, which finds its own rows well."""
    path = snapshot.channel_folder("passages") / "index.npy"
    others = clustered_vectors(snapshot.manifest.channels["passages"].num_segments, 16, seed=9)
    np.save(path, others.astype(np.float16))


@pytest.mark.parametrize("spoil", [shift_items, spoil_vectors])
def test_mixed_up_rows_and_wrong_vectors_are_seen(
    catalog: Catalog, data_dir: DataDir, spoil: object
) -> None:
    write(catalog, range(NUM_ITEMS))
    live, new = built(catalog, data_dir), built(catalog, data_dir)
    assert callable(spoil)
    spoil(new)
    passages = measured(catalog, new, live).channels["passages"]
    assert passages.known_item_share is not None
    assert passages.overlap_at_10 is not None
    assert passages.known_item_share < 0.6
    assert passages.overlap_at_10 < 0.6


def test_a_changed_encoder_is_not_compared_and_that_is_said(
    catalog: Catalog, data_dir: DataDir
) -> None:
    write(catalog, range(NUM_ITEMS))
    live = built(catalog, data_dir)
    write(catalog, range(NUM_ITEMS), seed=1, version=2)
    new = built(catalog, data_dir, version=2)
    passages = measured(catalog, new, live, encoders=identities(2)).channels["passages"]
    assert passages.known_item_share == 1.0
    assert passages.overlap_at_10 is None
    assert passages.not_compared == "its encoder changed from text-encoder-1 to text-encoder-2"


def test_a_damaged_live_snapshot_is_not_compared_and_that_is_said(
    catalog: Catalog, data_dir: DataDir
) -> None:
    write(catalog, range(NUM_ITEMS))
    live, new = built(catalog, data_dir), built(catalog, data_dir)
    (live.path / "items.arrow").write_bytes(b"?")
    found = measured(catalog, new, live)
    assert found.channels["passages"].known_item_share == 1.0
    assert found.channels["passages"].overlap_at_10 is None
    (note,) = found.notes
    assert note.startswith("nothing was compared with the live snapshot: ")
    assert "items.arrow" in note


def test_a_write_after_the_snapshot_is_no_fault_of_it(catalog: Catalog, data_dir: DataDir) -> None:
    write(catalog, range(NUM_ITEMS))
    new = built(catalog, data_dir)
    write(catalog, range(NUM_ITEMS), seed=1)
    assert measured(catalog, new, None).channels["passages"].num_known == 0


def with_canary(item_id: str, *expect: str) -> CollectionConfig:
    canary = CanaryConfig("passages", item_id, expect)
    return structs.replace(CONFIG, gate=GateConfig(canaries=(canary,)))


def test_named_canaries_find_what_they_should_or_say_what_they_found(
    catalog: Catalog, data_dir: DataDir
) -> None:
    write(catalog, range(NUM_ITEMS))
    near = vectors_of(7) + 1e-3
    catalog.write(COLLECTION, [ItemWrite(record("near"), (channel_vectors("passages", near),))])
    catalog.write(COLLECTION, [ItemWrite(record("silent"), ())])
    new = built(catalog, data_dir)
    good = measured(catalog, new, None, with_canary("item-0007", "near"))
    assert (good.wrong_canaries, good.notes) == ((), ())
    (wrong,) = measured(catalog, new, None, with_canary("near", "silent")).wrong_canaries
    assert wrong.startswith(
        "canary 'near' of channel 'passages' does not find 'silent' among the ten nearest other "
        "items: 'item-0007', "
    )
    (wrong,) = measured(catalog, new, None, with_canary("silent", "near")).wrong_canaries
    assert wrong.endswith("has no segment to ask with")


def test_a_named_canary_that_was_deleted_is_told_and_refuses_nothing(
    catalog: Catalog, data_dir: DataDir
) -> None:
    write(catalog, range(3))
    catalog.delete(COLLECTION, ["item-0001"])
    new = built(catalog, data_dir)
    found = measured(catalog, new, None, with_canary("item-0000", "item-0001", "item-0002"))
    assert found.wrong_canaries == ()
    assert found.notes == (
        "canary 'item-0000' of channel 'passages' was not asked: 'item-0001' is not in the catalog",
    )
