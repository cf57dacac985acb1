"""An ingest that goes on while somebody else writes: what was acknowledged to them stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from indexer.catalog.catalog import Catalog
from indexer.catalog.idempotency import StoredAnswer
from indexer.catalog.live_writes import LiveWrites
from indexer.catalog.records import Change, ItemDeletion, ItemWrite
from indexer.outcomes import IngestSummary
from indexer.pipeline import IngestOptions, ingest
from tests.indexer.fakes import FakeLoader
from tests.indexer.small_media import CONFIG, run, write_picture
from tests.indexer.stored_items import record


def change(catalog: Catalog, *changes: Change) -> None:
    live = LiveWrites(catalog.engine)
    live.change(CONFIG.name, changes, lambda _: StoredAnswer(200, ""))


def run_while(
    media: Path, catalog: Catalog, meanwhile: Callable[[], None], **options: bool
) -> IngestSummary:
    """Ingest; ``meanwhile`` happens when the run has read what is known."""
    calls: list[int] = []

    def on_progress(summary: IngestSummary) -> None:
        if len(calls) == 1:
            meanwhile()
        calls.append(1)

    summary = ingest([media], catalog, CONFIG, FakeLoader(), IngestOptions(**options), on_progress)
    assert len(calls) > 1
    states = ("encoded", "unchanged", "moved", "failed", "skipped")
    assert summary.planned == sum(summary.counts[state] for state in states)
    return summary


def item_id_at(catalog: Catalog, name: str) -> str:
    items = catalog.list_items(CONFIG.name, limit=100)
    return next(item.item_id for item in items if item.location.endswith(name))


def describe(media: Path, year: int) -> None:
    for number in range(5):
        text = json.dumps({"title": f"picture {number} of {year}"})
        (media / f"picture-{number}.json").write_text(text)


def channels(catalog: Catalog, item_id: str) -> set[str]:
    return next(
        set(known.channels)
        for known in catalog.known_items(CONFIG.name)
        if known.item.item_id == item_id
    )


def test_a_deletion_during_an_ingest_is_not_undone(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    gone = item_id_at(catalog, "picture-3.png")
    describe(media, 2001)
    summary = run_while(media, catalog, lambda: change(catalog, ItemDeletion(gone)))
    assert catalog.item(CONFIG.name, gone) is None
    (skipped,) = summary.skipped
    assert (Path(skipped.location).name, skipped.reason) == ("picture-3.png", "changed_meanwhile")
    catalog.check_integrity()
    run(media, catalog)
    assert catalog.item(CONFIG.name, gone) is not None, "a later ingest brings it back, whole"
    assert {"pictures", "looks", "titles"} <= channels(catalog, gone)


def test_a_write_during_an_ingest_is_not_mixed_with_the_file(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    item_id = item_id_at(catalog, "picture-3.png")
    describe(media, 2002)
    put = ItemWrite(record(item_id))
    run_while(media, catalog, lambda: change(catalog, put))
    stored = catalog.item(CONFIG.name, item_id)
    assert stored is not None
    assert stored.content_sha256 == put.item.content_sha256
    assert channels(catalog, item_id) == set()


def test_a_pruning_run_does_not_remove_what_was_written_meanwhile(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    item_id = item_id_at(catalog, "picture-3.png")
    (media / "picture-3.png").unlink()
    write_picture(media / "new.png", 77)
    put = ItemWrite(record(item_id))
    summary = run_while(media, catalog, lambda: change(catalog, put), prune=True)
    assert summary.removed == 0
    assert catalog.item(CONFIG.name, item_id) is not None
