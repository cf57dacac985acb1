"""Ingest with weightless encoders: what is decoded, what is reused, what is counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from indexer.catalog.catalog import Catalog
from indexer.config import load_collection
from indexer.data_dir import DataDir
from indexer.errors import MassDeleteRefused
from indexer.outcomes import STATES, IngestSummary
from indexer.pipeline import IngestOptions, ingest
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
