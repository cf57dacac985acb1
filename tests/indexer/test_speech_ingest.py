"""Speech through the whole ingest, with ears that need no weights."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from encoders.media.content import Transcript, Utterance
from indexer.catalog.catalog import Catalog
from indexer.pipeline import ingest
from tests.indexer.fakes import FakeLoader
from tests.indexer.small_media import CONFIG, ids, run, write_sound

SRT = "1\n00:00:01,000 --> 00:00:02,500\nread, not heard.\n"


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    write_sound(folder / "long.flac", 130.0)
    write_sound(folder / "short.wav", 4.0, seed=1)
    soundfile.write(folder / "silent.wav", np.zeros(24_000, np.float32), 8000)
    return folder


def transcript(catalog: Catalog, name: str) -> Transcript | None:
    return catalog.transcript(CONFIG.name, ids(catalog)[name])


def test_what_is_said_is_stored_with_its_times_and_language(talks: Path, catalog: Catalog) -> None:
    summary, _ = run(talks, catalog)
    assert summary.counts["encoded"] == summary.planned == 3
    assert transcript(catalog, "long.flac") == Transcript(
        (
            Utterance("words from 0.", 0.0, 60.0),
            Utterance("words from 60.", 60.0, 120.0),
            Utterance("words from 120.", 120.0, 130.0),
        ),
        "en",
        "recognized",
    )
    assert summary.stages["hear"] >= 0


def test_a_recording_in_which_nobody_speaks_has_an_empty_transcript(
    talks: Path, catalog: Catalog
) -> None:
    run(talks, catalog)
    assert transcript(catalog, "silent.wav") == Transcript((), None, "recognized")
    known = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert known["silent.wav"].channels["speech"][0].num_segments == 0


def test_a_second_run_hears_nothing_again(talks: Path, catalog: Catalog) -> None:
    run(talks, catalog)
    summary, loader = run(talks, catalog)
    assert summary.counts["unchanged"] == 3
    assert not loader.calls


def test_a_copy_shares_the_transcript_without_hearing(talks: Path, catalog: Catalog) -> None:
    run(talks, catalog)
    (talks / "copy.wav").write_bytes((talks / "short.wav").read_bytes())
    _, loader = run(talks, catalog)
    assert not loader.calls
    assert transcript(catalog, "copy.wav") == transcript(catalog, "short.wav")


def test_a_transcript_beside_the_recording_is_used_instead_of_hearing(
    talks: Path, catalog: Catalog
) -> None:
    (talks / "short.srt").write_text(SRT)
    summary, loader = run(talks, catalog)
    assert summary.planned == 3
    assert transcript(catalog, "short.wav") == Transcript(
        (Utterance("read, not heard.", 1.0, 2.5),), None, "file"
    )
    heard_before = loader.calls["fake-ears-v1"]
    (talks / "short.srt").write_text(SRT.replace("read", "changed"))
    summary, loader = run(talks, catalog)
    assert (summary.counts["encoded"], summary.counts["unchanged"]) == (1, 2)
    assert heard_before
    assert loader.calls["fake-ears-v1"] == 0
    changed = transcript(catalog, "short.wav")
    assert changed is not None
    assert changed.utterances[0].text == "changed, not heard."


def test_timed_json_named_like_a_sidecar_is_a_transcript(talks: Path, catalog: Catalog) -> None:
    words = {"language": "de", "segments": [{"start": 0.5, "end": 2, "text": " Guten Tag."}]}
    (talks / "short.json").write_text(json.dumps(words))
    run(talks, catalog)
    assert transcript(catalog, "short.wav") == Transcript(
        (Utterance("Guten Tag.", 0.5, 2.0),), "de", "file"
    )
    item = catalog.item(CONFIG.name, ids(catalog)["short.wav"])
    assert item is not None
    assert item.attributes == {}


def test_timed_json_may_carry_attributes_and_gives_other_files_nothing_else(
    talks: Path, catalog: Catalog
) -> None:
    said = {"segments": [{"start": 0.5, "end": 2, "text": "Hi."}], "text": "Hi.", "model": "base"}
    (talks / "short.json").write_text(json.dumps({**said, "title": "A talk"}))
    (talks / "short.txt").write_text("Hi.")
    summary, _ = run(talks, catalog)
    assert summary.counts["encoded"] == summary.planned == 4
    attributes = {
        Path(entry.item.location).name: dict(entry.item.attributes)
        for entry in catalog.known_items(CONFIG.name)
    }
    assert attributes["short.wav"] == attributes["short.txt"] == {"title": "A talk"}
    assert transcript(catalog, "short.wav") == Transcript(
        (Utterance("Hi.", 0.5, 2.0),), None, "file"
    )


def test_the_name_of_a_transcript_says_its_language(talks: Path, catalog: Catalog) -> None:
    (talks / "short.de.srt").write_text(SRT)
    run(talks, catalog)
    found = transcript(catalog, "short.wav")
    assert found is not None
    assert found.language == "de"


def test_a_recording_of_which_only_the_transcript_is_read_has_a_length(
    talks: Path, catalog: Catalog
) -> None:
    (talks / "short.srt").write_text(SRT)
    channels = {"speech": CONFIG.channels["speech"]}
    config = msgspec.structs.replace(CONFIG, name="talks", channels=channels)
    ingest([talks], catalog, config, FakeLoader())  # type: ignore[arg-type]
    lengths = {
        Path(entry.item.location).name: entry.item.duration_seconds
        for entry in catalog.known_items("talks")
    }
    assert lengths == {"long.flac": 130.0, "short.wav": 4.0, "silent.wav": 3.0}


def test_a_transcript_that_is_not_there_is_named(talks: Path, catalog: Catalog) -> None:
    (talks / "short.srt").symlink_to(talks / "nowhere.srt")
    summary, _ = run(talks, catalog)
    (failure,) = summary.failures
    assert failure.reason == "vanished"
    assert failure.detail.startswith("short.srt: ")


def test_a_broken_transcript_fails_its_recording_alone_and_is_named(
    talks: Path, catalog: Catalog
) -> None:
    (talks / "short.srt").write_text("1\n00:00:05,000 --> nonsense\nwords\n")
    summary, _ = run(talks, catalog)
    assert (summary.counts["encoded"], summary.counts["failed"]) == (2, 1)
    (failure,) = summary.failures
    assert failure.reason == "invalid_transcript"
    assert "short.srt" in failure.detail


def test_a_recording_that_cannot_be_heard_fails_alone(talks: Path, catalog: Catalog) -> None:
    summary, _ = run(talks, catalog, FakeLoader(deaf_at=60.0))
    assert (summary.counts["encoded"], summary.counts["failed"]) == (2, 1)
    (failure,) = summary.failures
    assert (Path(failure.location).name, failure.reason) == ("long.flac", "encoder_failed")


def test_captions_that_were_an_item_leave_it_when_their_recording_comes(
    tmp_path: Path, catalog: Catalog
) -> None:
    folder = tmp_path / "late"
    folder.mkdir()
    (folder / "talk.srt").write_text(SRT)
    run(folder, catalog)
    assert set(ids(catalog)) == {"talk.srt"}
    write_sound(folder / "talk.wav", 2.0)
    summary, _ = run(folder, catalog)
    assert summary.missing == 1
    run(folder, catalog, prune=True)
    assert set(ids(catalog)) == {"talk.wav"}
