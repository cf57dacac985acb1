"""Ingest with weightless encoders: what is decoded, what is reused, what is counted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from indexer.catalog.catalog import Catalog
from indexer.catalog.records import Outcome
from indexer.config import load_collection
from indexer.data_dir import DataDir
from indexer.decode_ahead import Job, Settled
from indexer.errors import MassDeleteRefused
from indexer.outcomes import STATES, IngestSummary
from indexer.pipeline import IngestOptions, ingest
from indexer.plan import PlannedItem
from indexer.runners.local import LocalRunner
from tests.indexer import stored_items
from tests.indexer.fakes import FakeLoader

CONFIG = load_collection("starter")


def write_picture(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_sound(path: Path, seconds: float, seed: int = 0) -> None:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, int(8000 * seconds))
    soundfile.write(path, samples.astype(np.float32), 8000)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    (folder / "deep").mkdir(parents=True)
    for number in range(5):
        write_picture(folder / f"picture-{number}.png", number)
    write_sound(folder / "deep" / "short.wav", 3.0)
    write_sound(folder / "deep" / "long.flac", 95.0)
    (folder / "story.txt").write_text("Once upon a time. " * 60)
    (folder / "picture-0.json").write_text(json.dumps({"title": "A picture", "tags": ["noise"]}))
    return folder


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(DataDir(tmp_path / "data")) as opened:
        yield opened


def run(
    media: Path,
    catalog: Catalog,
    loader: FakeLoader | None = None,
    **options: object,
) -> tuple[IngestSummary, FakeLoader]:
    loader = loader or FakeLoader()
    summary = ingest([media], catalog, CONFIG, loader, IngestOptions(**options))  # type: ignore[arg-type]
    assert summary.planned == sum(summary.counts[state] for state in STATES)
    return summary, loader


def ids(catalog: Catalog) -> dict[str, str]:
    return {
        Path(entry.item.location).name: entry.item.item_id
        for entry in catalog.known_items(CONFIG.name)
    }


def test_every_file_is_stored_with_its_channels_and_the_counts_add_up(
    media: Path, catalog: Catalog
) -> None:
    summary, _ = run(media, catalog)
    assert summary.counts["encoded"] == summary.planned == 8
    known = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert set(known["picture-0.png"].channels) == {"pictures", "looks", "titles"}
    assert set(known["picture-1.png"].channels) == {"pictures", "looks"}
    assert set(known["long.flac"].channels) == {"sounds", "timbre"}
    assert known["long.flac"].channels["sounds"].num_segments == 18
    assert known["short.wav"].channels["sounds"].num_segments == 1
    assert known["story.txt"].channels["passages"].num_segments > 1
    assert known["long.flac"].item.duration_seconds == pytest.approx(95.0)
    assert (known["picture-1.png"].item.width_px, known["picture-1.png"].item.height_px) == (32, 24)
    assert known["picture-0.png"].item.attributes == {"title": "A picture", "tags": ["noise"]}


def test_a_second_run_calls_no_encoder(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    summary, loader = run(media, catalog)
    assert summary.counts["unchanged"] == summary.planned
    assert not loader.calls
    assert summary.encoder_calls == 0


def test_renamed_files_keep_their_ids_and_call_no_encoder(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    before = ids(catalog)
    (media / "picture-3.png").rename(media / "deep" / "renamed.png")
    (media / "deep" / "long.flac").rename(media / "longer.flac")
    summary, loader = run(media, catalog)
    assert summary.counts["moved"] == 2
    assert summary.counts["unchanged"] == summary.planned - 2
    assert not loader.calls
    after = ids(catalog)
    assert after["renamed.png"] == before["picture-3.png"]
    assert after["longer.flac"] == before["long.flac"]
    assert len(after) == len(before)


def test_files_that_change_places_keep_their_ids_and_call_no_encoder(
    media: Path, catalog: Catalog
) -> None:
    """1, 2, 3 become 2, 3, 4, and two others swap: no place is left empty."""
    run(media, catalog)
    before = {e.item.content_sha256: e.item.item_id for e in catalog.known_items(CONFIG.name)}
    for number in (3, 2, 1):
        (media / f"picture-{number}.png").rename(media / f"picture-{number + 10}.png")
    (media / "picture-4.png").rename(media / "picture-1.png")
    for number in (3, 2, 1):
        (media / f"picture-{number + 10}.png").rename(media / f"picture-{number + 1}.png")
    (media / "deep" / "long.flac").rename(media / "other")
    (media / "deep" / "short.wav").rename(media / "deep" / "long.flac")
    (media / "other").rename(media / "deep" / "short.wav")
    summary, loader = run(media, catalog)
    after = {e.item.content_sha256: e.item.item_id for e in catalog.known_items(CONFIG.name)}
    assert after == before
    assert not loader.calls
    assert summary.counts["moved"] == 6
    summary, loader = run(media, catalog)
    assert summary.counts["unchanged"] == summary.planned


def test_attributes_from_a_file_stay_when_a_later_run_is_not_given_it(
    media: Path, catalog: Catalog, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("path,title\nstory.txt,A long story\n")
    run(media, catalog, attributes=rows)
    summary, loader = run(media, catalog)
    assert summary.counts["unchanged"] == summary.planned
    assert not loader.calls
    stored = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert stored["story.txt"].item.attributes == {"title": "A long story"}
    rows.write_text("path,title\nother.txt,Another\n")
    run(media, catalog, attributes=rows)
    stored = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert stored["story.txt"].item.attributes == {}


def test_a_copy_gets_its_own_rows_without_an_encoder_call(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    shutil.copy(media / "picture-1.png", media / "twin.png")
    summary, loader = run(media, catalog)
    assert summary.counts["encoded"] == 1
    assert not loader.calls
    known = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert known["twin.png"].item.item_id != known["picture-1.png"].item.item_id
    assert known["twin.png"].channels["pictures"].num_segments == 1
    assert known["twin.png"].item.width_px == 32
    catalog.delete(CONFIG.name, [known["picture-1.png"].item.item_id])
    assert "twin.png" in ids(catalog)


def test_changed_content_is_encoded_again_under_the_same_id(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    before = ids(catalog)
    write_picture(media / "picture-2.png", seed=99)
    summary, _ = run(media, catalog)
    assert summary.counts["encoded"] == 1
    assert ids(catalog) == before


def test_a_changed_attribute_encodes_only_the_words(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    (media / "picture-0.json").write_text(json.dumps({"title": "Another title"}))
    summary, loader = run(media, catalog)
    assert summary.counts["encoded"] == 1
    assert sum(loader.calls.values()) == 1
    known = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert known["picture-0.png"].item.attributes == {"title": "Another title"}


def test_a_changed_model_encodes_everything_again(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    summary, loader = run(media, catalog, FakeLoader(version=2))
    assert summary.counts["encoded"] == summary.planned
    assert loader.calls


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


def test_gone_files_stay_until_pruned(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    (media / "picture-1.png").unlink()
    summary, _ = run(media, catalog)
    assert (summary.missing, summary.removed) == (1, 0)
    assert "picture-1.png" in ids(catalog)
    summary, _ = run(media, catalog, prune=True)
    assert (summary.missing, summary.removed) == (0, 1)
    assert "picture-1.png" not in ids(catalog)


def test_pruning_a_large_share_is_refused_unless_forced(tmp_path: Path, catalog: Catalog) -> None:
    media = tmp_path / "many"
    media.mkdir()
    for number in range(30):
        (media / f"{number}.txt").write_text(f"text number {number}")
    run(media, catalog)
    for number in range(25):
        (media / f"{number}.txt").unlink()
    with pytest.raises(MassDeleteRefused, match="25 of 30"):
        run(media, catalog, prune=True)
    assert len(ids(catalog)) == 30
    summary, _ = run(media, catalog, prune=True, force=True)
    assert summary.removed == 25


def test_a_file_without_a_channel_is_skipped_and_named(media: Path, catalog: Catalog) -> None:
    from tests.generated_media import video_bytes

    (media / "clip.mp4").write_bytes(video_bytes("mp4"))
    summary, _ = run(media, catalog)
    assert [(Path(s.location).name, s.reason) for s in summary.skipped] == [
        ("clip.mp4", "no_channel")
    ]


def test_a_new_file_at_an_old_place_does_not_take_the_moved_item_over(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    before = ids(catalog)["picture-1.png"]
    (media / "picture-1.png").rename(media / "moved.png")
    run(media, catalog)
    write_picture(media / "picture-1.png", seed=77)
    (media / "moved.json").write_text('{"title": "it changes in the same run"}')
    summary, _ = run(media, catalog)
    assert summary.counts["encoded"] == 2
    after = ids(catalog)
    assert after["moved.png"] == before
    assert after["picture-1.png"] != before
    summary, loader = run(media, catalog)
    assert summary.counts["unchanged"] == summary.planned == 9
    assert not loader.calls


def test_twins_in_a_renamed_folder_keep_their_own_ids(tmp_path: Path, catalog: Catalog) -> None:
    media = tmp_path / "media"
    for name in "abcdef":
        (media / "old" / name).mkdir(parents=True)
        write_picture(media / "old" / name / "cover.png", seed=1)
    run(media, catalog)
    before = {e.item.relative_path[4:]: e.item.item_id for e in catalog.known_items(CONFIG.name)}
    (media / "old").rename(media / "new")
    summary, loader = run(media, catalog)
    assert summary.counts["moved"] == 6
    assert not loader.calls
    after = {e.item.relative_path[4:]: e.item.item_id for e in catalog.known_items(CONFIG.name)}
    assert after == before


def test_files_that_swap_their_names_are_stored_with_their_content(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    before = {
        Path(e.item.location).name: e.item.content_sha256 for e in catalog.known_items(CONFIG.name)
    }
    os.utime(media / "picture-1.png", (1, 1))
    (media / "picture-1.png").rename(media / "aside")
    (media / "picture-2.png").rename(media / "picture-1.png")
    (media / "aside").rename(media / "picture-2.png")
    os.utime(media / "picture-1.png", (2, 2))
    run(media, catalog)
    after = {
        Path(e.item.location).name: e.item.content_sha256 for e in catalog.known_items(CONFIG.name)
    }
    assert after["picture-1.png"] == before["picture-2.png"]
    assert after["picture-2.png"] == before["picture-1.png"]
    assert len(after) == len(before)


def test_a_twin_met_later_in_the_same_run_has_its_size(
    media: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.runners.local.WRITES_PER_TRANSACTION", 1)
    for number in range(70):
        write_picture(media / f"many-{number:02}.png", 100 + number)
    shutil.copy(media / "many-00.png", media / "zz.png")
    run(media, catalog)
    sizes = {Path(e.item.location).name: e.item.width_px for e in catalog.known_items(CONFIG.name)}
    assert sizes["zz.png"] == 32


def test_a_file_named_through_another_folder_is_unchanged(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    change_seq = catalog.change_seq(CONFIG.name)
    summary, loader = run(media / "deep", catalog)
    assert summary.counts["unchanged"] == summary.planned == 2
    assert catalog.change_seq(CONFIG.name) == change_seq
    assert not loader.calls


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
    assert reasons == {"gone.png": "vanished", "\\udcff.png": "unreadable"}
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
