"""What a backfill made that was given up can be seen and dropped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from indexer.backfill import backfill, plan_backfill
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.encoder_leftovers import Leftover, drop_leftovers, find_leftovers
from indexer.live_view import LiveCollection
from indexer.pipeline import IngestOptions, channel_identities
from indexer.reindex import reindex
from tests.indexer.fakes import FakeLoader
from tests.indexer.small_media import CONFIG, run
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


@pytest.fixture
def tiny(catalog: Catalog, data_dir: DataDir) -> Catalog:
    """Two items, one of which a second model has been at; the first model's index is live."""
    catalog.register_collection(tiny_config())
    catalog.write(COLLECTION, [write_of("a"), write_of("b", seed=1)])
    reindex(catalog, data_dir, tiny_config(), identities())
    catalog.write(COLLECTION, [replace(write_of("a", version=2), adds_encodings=True)])
    return catalog


def test_what_nobody_asks_is_seen_and_dropped_unnoticed(tiny: Catalog, data_dir: DataDir) -> None:
    live = LiveCollection(tiny, data_dir, tiny_config(), identities())
    before = live.view()
    left = Leftover("passages", "text-encoder-2", items=1, only=0, bytes=2 * 16 * 2)
    assert find_leftovers(tiny, data_dir, COLLECTION, identities()) == (left,)
    assert drop_leftovers(tiny, data_dir, COLLECTION, identities()) == (left,)
    assert find_leftovers(tiny, data_dir, COLLECTION, identities()) == ()
    assert not live.refresh()
    assert live.view() is before
    assert tiny.counts(COLLECTION).segments == 4
    tiny.check_integrity()


def test_what_the_collection_names_or_an_index_holds_stays(
    tiny: Catalog, data_dir: DataDir
) -> None:
    """The collection names the second model still: the backfill may go on."""
    assert drop_leftovers(tiny, data_dir, COLLECTION, identities(version=2)) == ()
    with tiny.state() as state:
        assert state.coverage(COLLECTION, "passages", "text-encoder-1").current_items == 2
        assert state.coverage(COLLECTION, "passages", "text-encoder-2").current_items == 1


def test_what_is_all_there_is_of_an_item_stays(tiny: Catalog, data_dir: DataDir) -> None:
    tiny.write(COLLECTION, [write_of("c", seed=2, version=2)])
    (found,) = drop_leftovers(tiny, data_dir, COLLECTION, identities())
    assert (found.items, found.only) == (2, 1)
    (still,) = find_leftovers(tiny, data_dir, COLLECTION, identities())
    assert (still.items, still.only) == (1, 1)
    (known,) = [each for each in tiny.known_items(COLLECTION) if each.item.item_id == "c"]
    assert [state.encoder_id for state in known.channels["passages"]] == ["text-encoder-2"]


def test_other_collections_are_left_alone(tiny: Catalog, data_dir: DataDir) -> None:
    other = msgspec.structs.replace(tiny_config(), name="other")
    tiny.register_collection(other)
    tiny.write("other", [write_of("a", version=2)])
    drop_leftovers(tiny, data_dir, COLLECTION, identities())
    with tiny.state() as state:
        assert state.coverage("other", "passages", "text-encoder-2").current_items == 1


def test_an_abandoned_backfill_leaves_the_catalog_as_it_was(
    media: Path, catalog: Catalog, data_dir: DataDir
) -> None:
    run(media, catalog)
    old, new = FakeLoader(), FakeLoader(version=2)
    reindex(catalog, data_dir, CONFIG, channel_identities(CONFIG, old))
    backfill(catalog, CONFIG, new, IngestOptions())
    found = drop_leftovers(catalog, data_dir, CONFIG.name, channel_identities(CONFIG, old))
    assert {each.channel for each in found} > {"pictures", "passages", "speech"}
    assert all(each.only == 0 for each in found)
    assert plan_backfill(catalog, CONFIG, old).is_complete
    missing = plan_backfill(catalog, CONFIG, new)
    assert all(each.current_items == 0 for each in missing.coverage.values())
    catalog.check_integrity()
