"""Ingest with weightless encoders: what is decoded, what is reused, what is counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec import structs

from indexer.catalog.catalog import Catalog
from indexer.errors import MassDeleteRefused
from indexer.outcomes import STAGES
from indexer.pipeline import IngestOptions, ingest
from tests.indexer.fakes import FakeLoader
from tests.indexer.small_media import CONFIG, ids, run, write_picture


def test_every_file_is_stored_with_its_channels_and_the_counts_add_up(
    media: Path, catalog: Catalog
) -> None:
    summary, _ = run(media, catalog)
    assert summary.counts["encoded"] == summary.planned == 8
    known = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert set(known["picture-0.png"].channels) == {"pictures", "looks", "titles"}
    assert set(known["picture-1.png"].channels) == {"pictures", "looks"}
    assert set(known["long.flac"].channels) == {"sounds", "timbre", "speech"}
    assert known["long.flac"].channels["sounds"][0].num_segments == 18
    assert known["short.wav"].channels["sounds"][0].num_segments == 1
    assert known["story.txt"].channels["passages"][0].num_segments > 1
    assert known["long.flac"].item.duration_seconds == pytest.approx(95.0)
    assert (known["picture-1.png"].item.width_px, known["picture-1.png"].item.height_px) == (32, 24)
    assert known["picture-0.png"].item.attributes == {"title": "A picture", "tags": ["noise"]}


def test_every_stage_of_a_run_is_told(media: Path, catalog: Catalog) -> None:
    summary, _ = run(media, catalog)
    assert tuple(summary.stages) == STAGES
    assert all(seconds >= 0 for seconds in summary.stages.values())
    took_part = {"plan", "hash", "decode", "decode_wait", "preprocess", "encode", "write"}
    assert all(summary.stages[name] > 0 for name in took_part)
    assert summary.stages["publish"] == 0
    again, _ = run(media, catalog)
    assert again.stages["decode"] == again.stages["hash"] == again.stages["encode"] == 0
    assert set(again.as_json()["stages"]) == set(STAGES)


def test_a_second_run_calls_no_encoder(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    summary, loader = run(media, catalog)
    assert summary.counts["unchanged"] == summary.planned
    assert not loader.calls
    assert summary.encoder_calls == 0


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
    assert stored["story.txt"].item.attributes == {"title": "A long story"}
    rows.write_text("path,title\nstory.txt,\n")
    run(media, catalog, attributes=rows)
    stored = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert stored["story.txt"].item.attributes == {}


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
    silent = structs.replace(
        CONFIG, channels={"pictures": CONFIG.channels["pictures"]}, attributes={}
    )
    summary = ingest([media], catalog, silent, FakeLoader(), IngestOptions())  # type: ignore[arg-type]
    assert [(Path(s.location).name, s.reason) for s in summary.skipped] == [
        ("story.txt", "no_channel"),
        ("long.flac", "no_channel"),
        ("short.wav", "no_channel"),
    ]


def test_pruning_a_folder_that_is_empty_is_refused_unless_forced(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    num_items = len(ids(catalog))
    shutil.rmtree(media)
    media.mkdir()
    with pytest.raises(MassDeleteRefused, match="add --force"):
        run(media, catalog, prune=True)
    assert len(ids(catalog)) == num_items
    summary, _ = run(media, catalog, prune=True, force=True)
    assert summary.removed == num_items
