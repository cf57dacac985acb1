"""What was taken down does not come back by an ingest, and every file is still counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from encoders.media.item import item_id_for
from indexer.catalog.catalog import Catalog
from indexer.outcomes import STATES, IngestSummary
from indexer.pipeline import IngestOptions, ingest
from tests.indexer.fakes import FakeLoader
from tests.indexer.small_media import CONFIG, ids, run


def take_down(catalog: Catalog, *item_ids: str, same_content: bool = False) -> str:
    done = catalog.takedowns.take_down(
        CONFIG.name, item_ids, same_content=same_content, requested_by="me"
    )
    return done.takedown_id


def skipped_names(summary: IngestSummary) -> set[str]:
    assert {file.reason for file in summary.skipped} <= {"taken_down"}
    return {Path(file.location).name for file in summary.skipped}


def test_a_file_that_was_taken_down_is_skipped_and_counted(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    takedown_id = take_down(catalog, ids(catalog)["picture-1.png"])
    summary, loader = run(media, catalog)
    assert (summary.counts["skipped"], summary.counts["unchanged"]) == (1, 7)
    assert skipped_names(summary) == {"picture-1.png"}
    assert f"kindred takedown --lift {takedown_id}" in summary.skipped[0].detail
    assert not loader.calls
    assert "picture-1.png" not in ids(catalog)


def test_its_bytes_are_refused_under_any_name(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    take_down(catalog, ids(catalog)["story.txt"], ids(catalog)["short.wav"])
    (media / "story.txt").rename(media / "tale.md")
    shutil.copy(media / "deep" / "short.wav", media / "copy.wav")
    shutil.copy(media / "deep" / "short.wav", media / "picture-3.png")
    summary, loader = run(media, catalog)
    assert skipped_names(summary) == {"tale.md", "short.wav", "copy.wav", "picture-3.png"}
    assert not loader.calls
    # What lay at the changed file's place before is still what is known of it.
    assert "picture-3.png" in ids(catalog)


def test_other_bytes_at_its_place_are_refused_until_it_is_lifted(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    takedown_id = take_down(catalog, ids(catalog)["story.txt"])
    (media / "story.txt").write_text("Another story altogether. " * 20)
    assert skipped_names(run(media, catalog)[0]) == {"story.txt"}
    catalog.takedowns.lift(CONFIG.name, takedown_id, lifted_by="me")
    summary, _ = run(media, catalog)
    assert (summary.counts["encoded"], summary.counts["skipped"]) == (1, 0)
    assert "story.txt" in ids(catalog)


def test_a_twin_stays_moves_and_takes_on_attributes(media: Path, catalog: Catalog) -> None:
    shutil.copy(media / "picture-1.png", media / "twin.png")
    run(media, catalog)
    before = ids(catalog)
    take_down(catalog, before["picture-1.png"])
    summary, _ = run(media, catalog)
    assert skipped_names(summary) == {"picture-1.png"}
    assert ids(catalog)["twin.png"] == before["twin.png"]
    (media / "twin.json").write_text(json.dumps({"title": "A twin"}))
    assert run(media, catalog)[0].counts["encoded"] == 1
    (media / "twin.json").rename(media / "elsewhere.json")
    (media / "twin.png").rename(media / "elsewhere.png")
    assert run(media, catalog)[0].counts["moved"] == 1
    assert ids(catalog)["elsewhere.png"] == before["twin.png"]
    take_down(catalog, before["picture-1.png"], same_content=True)
    summary, _ = run(media, catalog)
    assert skipped_names(summary) == {"picture-1.png", "elsewhere.png"}
    assert "elsewhere.png" not in ids(catalog)


def test_a_deleted_file_does_come_back(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    catalog.delete(CONFIG.name, [ids(catalog)["story.txt"]])
    assert run(media, catalog)[0].counts["encoded"] == 1
    assert "story.txt" in ids(catalog)


def test_a_file_that_is_on_its_way_is_stopped(media: Path, catalog: Catalog) -> None:
    """One is encoded, one only gets attributes and one only has moved when they are taken down."""
    run(media, catalog)
    before = ids(catalog)
    new_id = item_id_for(str(media), "new.txt")
    (media / "new.txt").write_text("A text that is new. " * 30)
    (media / "story.json").write_text(json.dumps({"language": "en"}))
    (media / "picture-2.png").rename(media / "renamed.png")
    wanted = (new_id, before["story.txt"], before["picture-2.png"])
    runs: list[str] = []

    def on_progress(summary: IngestSummary) -> None:
        if summary.num_settled and not runs:
            runs.append(take_down(catalog, *wanted))

    summary = ingest([media], catalog, CONFIG, FakeLoader(), IngestOptions(), on_progress)
    assert runs
    assert summary.planned == sum(summary.counts[state] for state in STATES) == 9
    assert skipped_names(summary) == {"new.txt", "story.txt", "renamed.png"}
    assert (summary.counts["skipped"], summary.counts["unchanged"]) == (3, 6)
    assert summary.segments == 0
    assert not set(wanted) & set(ids(catalog).values())
    assert run(media, catalog)[0].counts["skipped"] == 3
