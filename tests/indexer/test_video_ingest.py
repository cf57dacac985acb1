"""Videos through the whole ingest: pictures, sound and speech on one clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.catalog import Catalog
from indexer.catalog.records import KnownItem
from tests.generated_media import chord, scene, write_video
from tests.indexer.small_media import CONFIG, run

RATE_HZ = 16_000
FRAMES_PER_SECOND = 10


def shots(*seconds_each: float) -> list[np.ndarray]:
    """Return frames of one picture after the other."""
    return [
        scene(number)
        for number, seconds in enumerate(seconds_each)
        for _ in range(round(seconds * FRAMES_PER_SECOND))
    ]


def stored(catalog: Catalog, name: str) -> KnownItem:
    return next(e for e in catalog.known_items(CONFIG.name) if Path(e.item.location).name == name)


def frame_times(catalog: Catalog, name: str) -> list[tuple[float, float]]:
    known = stored(catalog, name)
    (channel,) = known.channels["frames"]
    vectors = catalog.reusable(channel.source_sha256, channel.segmentation_id, channel.encoder_id)
    assert vectors is not None
    return [(each.start_seconds or 0.0, each.stop_seconds or 0.0) for each in vectors.segments]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


def test_a_video_is_found_by_its_shots_its_sound_and_its_words(
    folder: Path, catalog: Catalog
) -> None:
    write_video(
        folder / "film.mp4",
        shots(2.0, 3.0),
        frames_per_second=FRAMES_PER_SECOND,
        sound=chord(seconds=5.0, sample_rate_hz=48_000),
    )
    summary, _ = run(folder, catalog)
    assert summary.counts["encoded"] == 1
    known = stored(catalog, "film.mp4")
    assert known.item.medium == "video"
    assert known.item.duration_seconds == pytest.approx(5.0, abs=0.1)
    assert (known.item.width_px, known.item.height_px) == (64, 48)
    assert set(known.channels) == {"frames", "sounds", "timbre", "speech"}
    assert known.channels["sounds"][0].num_segments == 1
    first, second = frame_times(catalog, "film.mp4")
    assert first == pytest.approx((0.0, 2.0), abs=0.11)
    assert second == pytest.approx((2.0, 5.0), abs=0.11)
    said = catalog.transcript(CONFIG.name, known.item.item_id)
    assert said is not None
    assert said.utterances[0].text == "words from 0."


def test_a_video_without_sound_has_nothing_to_hear(folder: Path, catalog: Catalog) -> None:
    write_video(folder / "mute.mp4", shots(2.0), frames_per_second=FRAMES_PER_SECOND)
    summary, _ = run(folder, catalog)
    assert summary.counts["encoded"] == 1
    channels = stored(catalog, "mute.mp4").channels
    assert channels["frames"][0].num_segments == 1
    assert channels["sounds"][0].num_segments == channels["speech"][0].num_segments == 0
    again, loader = run(folder, catalog)
    assert again.counts["unchanged"] == 1
    assert not loader.calls


def test_a_picture_that_stands_still_is_one_segment_however_long(
    folder: Path, catalog: Catalog
) -> None:
    write_video(folder / "slide.mp4", shots(65.0, 5.0), frames_per_second=FRAMES_PER_SECOND)
    run(folder, catalog)
    first, second = frame_times(catalog, "slide.mp4")
    assert first == pytest.approx((0.0, 65.0), abs=0.11)
    assert second == pytest.approx((65.0, 70.0), abs=0.11)


def test_captions_beside_a_video_are_used_instead_of_hearing(
    folder: Path, catalog: Catalog
) -> None:
    write_video(folder / "film.mp4", shots(2.0), frames_per_second=FRAMES_PER_SECOND)
    (folder / "film.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.500\nWritten words.\n")
    summary, _ = run(folder, catalog)
    assert summary.planned == 1
    said = catalog.transcript(CONFIG.name, stored(catalog, "film.mp4").item.item_id)
    assert said is not None
    assert (said.origin, said.utterances[0].text) == ("file", "Written words.")
