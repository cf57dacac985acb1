from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from encoders.media.content import Medium
from encoders.media.sandbox import DecodeSandbox
from indexer.config import load_collection
from indexer.corpus_probe import MIN_FILES_PER_MEDIUM, Probe, ProbedFile, draw, probe
from indexer.walk import FoundFile, find_files
from tests.indexer.small_media import CONFIG, write_picture
from tests.indexer.stored_items import tiny_config


def probed(folder: Path, collection: str = "starter") -> Probe:
    config = tiny_config() if collection == "tiny" else load_collection(collection)
    with DecodeSandbox() as sandbox:
        return probe(find_files([folder]), config, sandbox)


def made(medium: Medium, seconds: float, size_bytes: int = 1) -> ProbedFile:
    name = f"{medium}-{seconds}-{size_bytes}"
    return ProbedFile(FoundFile(Path(name), ".", name), medium, size_bytes, seconds)


def test_headers_give_medium_size_and_length(media: Path) -> None:
    found = probed(media)
    assert {medium: len(files) for medium, files in found.files.items()} == {
        "image": 5, "audio": 2, "text": 1,
    }  # fmt: skip
    lengths = {file.found.path.name: file.seconds for file in found.files["audio"]}
    assert lengths == pytest.approx({"short.wav": 3.0, "long.flac": 95.0})
    assert {file.seconds for file in found.files["image"]} == {0.0}
    assert found.files["text"][0].size_bytes == (media / "story.txt").stat().st_size


def test_what_cannot_be_taken_is_counted_with_its_reason(media: Path) -> None:
    (media / "empty.png").write_bytes(b"")
    (media / "cut.wav").write_bytes((media / "deep" / "short.wav").read_bytes()[:20])
    (media / "list.mp4").write_text("#EXTM3U\n")
    found = probed(media)
    reasons = Counter(failed.reason for failed in found.unreadable)
    assert reasons["empty"] == 1
    assert reasons["content_mismatch"] == 1
    assert sum(reasons.values()) == 3
    planned = sum(map(len, found.files.values()))
    assert found.num_found == planned + found.num_copies + found.num_skipped + 3


def test_copies_and_files_without_a_channel_are_counted_apart(media: Path) -> None:
    for name in ("copy-1.png", "copy-2.png"):
        shutil.copy(media / "picture-1.png", media / name)
    (media / "same-size.txt").write_text("x" * len("Once upon a time. " * 60))
    found = probed(media)
    assert (found.num_copies, len(found.files["image"]), len(found.files["text"])) == (2, 5, 2)
    assert probed(media, "tiny").num_skipped == 2


def test_the_sample_covers_every_length_and_each_group_too() -> None:
    files: dict[Medium, list[ProbedFile]] = {
        "audio": [made("audio", float(n)) for n in range(1000)],
        "image": [made("image", 0.0, n) for n in range(30)],
    }
    drawn = draw(files, 200, 4)
    audio = [file for group in drawn["audio"] for file in group]
    assert len(audio) == len({file.found.location for file in audio}) >= 194
    assert sum(map(len, drawn["image"])) == 30, "a rare medium is drawn whole"
    for group in drawn["audio"]:
        assert sum(file.seconds for file in group) / len(group) == pytest.approx(500, rel=0.05)


def test_fewer_files_than_wanted_are_all_drawn() -> None:
    files: dict[Medium, list[ProbedFile]] = {"text": [made("text", 0.0, n) for n in range(3)]}
    drawn = draw(files, 200, 4)
    assert [len(group) for group in drawn["text"]] == [1, 1, 1]
    assert draw({}, 200, 4) == {}
    many: dict[Medium, list[ProbedFile]] = {"text": [made("text", 0.0, n) for n in range(500)]}
    assert sum(map(len, draw(many, 1, 4)["text"])) == MIN_FILES_PER_MEDIUM


def test_a_folder_that_cannot_be_read_is_unreadable(tmp_path: Path) -> None:
    write_picture(tmp_path / "one.png", 1)
    broken = FoundFile(tmp_path / "x", str(tmp_path), "x", problem="the folder cannot be read: no")
    with DecodeSandbox() as sandbox:
        found = probe([broken, *find_files([tmp_path])], CONFIG, sandbox)
    assert [failed.reason for failed in found.unreadable] == ["unreadable"]
    assert len(found.files["image"]) == 1
