"""Files that fail, alone and without stopping anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.catalog.catalog import Catalog
from indexer.catalog.records import Outcome
from indexer.jobs import Job, Settled
from indexer.outcomes import IngestSummary
from indexer.planned_item import PlannedItem
from indexer.runners.local import LocalRunner
from tests.indexer import stored_items
from tests.indexer.fakes import FakeLoader
from tests.indexer.small_media import CONFIG, ids, run, write_picture


def test_bad_files_are_listed_with_a_reason_and_stop_nothing(media: Path, catalog: Catalog) -> None:
    (media / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (media / "empty.jpg").write_bytes(b"")
    (media / "words.mp4").write_text("#EXTM3U\nhttp://127.0.0.1/x.ts\n")
    (media / "picture-4.json").write_text('{"released": "soon"}')
    summary, _ = run(media, catalog)
    reasons = {Path(failed.location).name: failed.reason for failed in summary.failures}
    assert reasons["empty.jpg"] == "empty"
    assert reasons["words.mp4"] == "content_mismatch"
    assert reasons["picture-4.png"] == "bad_attributes"
    assert reasons["broken.png"] in ("corrupt", "truncated")
    assert summary.counts["encoded"] == 7
    assert {Path(entry.location).name for entry in catalog.failures(CONFIG.name)} == set(reasons)


def test_a_repaired_file_leaves_the_list_of_failures(media: Path, catalog: Catalog) -> None:
    (media / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    run(media, catalog)
    assert len(catalog.failures(CONFIG.name)) == 1
    write_picture(media / "broken.png", seed=7)
    run(media, catalog)
    assert catalog.failures(CONFIG.name) == []


def test_content_that_breaks_a_model_fails_alone(media: Path, catalog: Catalog) -> None:
    (media / "poison.txt").write_text("poison in the well")
    for number in range(3):
        (media / f"good-{number}.txt").write_text(f"a good text number {number}")
    summary, _ = run(media, catalog, FakeLoader(poison=b"poison"))
    assert [Path(failed.location).name for failed in summary.failures] == ["poison.txt"]
    assert summary.failures[0].reason == "encoder_failed"
    assert summary.counts["encoded"] == 11


def test_an_item_stays_while_its_file_fails(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    before = ids(catalog)
    (media / "picture-1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (media / "story.txt").write_bytes(b"")
    summary, _ = run(media, catalog, prune=True)
    assert (summary.counts["failed"], summary.removed) == (2, 0)
    assert ids(catalog) == before
    assert len(catalog.failures(CONFIG.name)) == 2
    (media / "story.txt").unlink()
    summary, _ = run(media, catalog, prune=True)
    assert (summary.counts["failed"], summary.removed) == (1, 1)
    assert [Path(one.location).name for one in catalog.failures(CONFIG.name)] == ["picture-1.png"]


def test_an_answer_that_is_not_a_number_fails_alone(media: Path, catalog: Catalog) -> None:
    (media / "poison.txt").write_text("poison in the well")
    loader = FakeLoader(poison=b"poison", poison_gives=np.nan)
    summary, _ = run(media, catalog, loader)
    assert [Path(failed.location).name for failed in summary.failures] == ["poison.txt"]
    assert summary.counts["encoded"] == 8


def test_weights_that_do_not_load_fail_the_run_and_no_item(
    media: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(config: object) -> None:
        raise RuntimeError("the library is for another processor")

    loader = FakeLoader()
    monkeypatch.setattr(loader, "open", broken)
    with pytest.raises(RuntimeError, match="another processor"):
        run(media, catalog, loader)
    assert catalog.failures(CONFIG.name) == []


def test_an_item_that_fails_on_both_sides_is_counted_once(catalog: Catalog) -> None:
    record = stored_items.record("a")
    job = Job(PlannedItem(record, ()), record)
    failed = Settled(Outcome(record.location, "a", "failed", "truncated", "short"), job=job)
    catalog.register_collection(CONFIG)
    summary = IngestSummary(planned=1)
    runner = LocalRunner(
        catalog,
        CONFIG.name,
        catalog.start_run(CONFIG.name, "ingest"),
        FakeLoader(),  # type: ignore[arg-type]
        summary,
        lambda summary: None,
    )
    runner._settle(failed)
    runner._settle(failed)
    assert summary.counts == {"failed": 1}


def test_failures_of_files_that_are_gone_leave_the_list_one_run_later(
    media: Path, catalog: Catalog
) -> None:
    (media / "gone.png").symlink_to(media / "nothing")
    odd = Path(os.fsdecode(os.fsencode(media) + b"/\xff.png"))
    odd.write_bytes(b"x")
    run(media, catalog)
    reasons = {Path(one.location).name: one.reason for one in catalog.failures(CONFIG.name)}
    assert reasons == {"gone.png": "unreadable", "\\udcff.png": "unreadable"}
    (media / "gone.png").unlink()
    odd.unlink()
    run(media, catalog)
    assert catalog.failures(CONFIG.name) == []


def test_a_folder_that_cannot_be_read_is_a_failure_and_keeps_its_items(
    media: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(media, catalog)
    before = ids(catalog)
    scandir, lstat = os.scandir, os.lstat

    def shut(call: Any) -> Any:
        def refusing(path: Any, *args: Any) -> Any:
            if "deep" in Path(path).parts and (call is scandir or Path(path).name != "deep"):
                raise PermissionError(13, "Permission denied")
            return call(path, *args)

        return refusing

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", shut(scandir))
        patched.setattr(os, "lstat", shut(lstat))
        summary, _ = run(media, catalog, prune=True)
    assert [(Path(one.location).name, one.reason) for one in summary.failures] == [
        ("deep", "unreadable")
    ]
    assert summary.removed == 0
    assert ids(catalog) == before
