from pathlib import Path

import pytest
import soundfile
from PIL import Image

from benchmarks import demo_media, demo_recordings
from benchmarks.captioned_media import CaptionedFile
from benchmarks.demo_media import bundled_demo, package_demo, spread
from tests.benchmarks.test_captioned_media import write
from tests.generated_media import sine, write_sound


@pytest.fixture
def stamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(demo_recordings, "RECORDINGS", {"walk": ("animals/birds/crow",)})
    monkeypatch.setattr(demo_media, "VIDEOS", {"birds": ("animals/birds/owl.png",)})
    root = tmp_path / "stamps"
    for name, caption in (("owl", "An owl."), ("crow", "A crow."), ("crow2", "A crow.")):
        write(root / "animals/birds" / f"{name}.txt", f"{caption}\n")
        Image.new("RGBA", (40, 30), "navy").save(root / "animals/birds" / f"{name}.png")
    for name in ("crow", "crow_desc"):
        write_sound(root / "animals/birds" / f"{name}.ogg", sine(seconds=0.5), 16_000)
    write(root / "vehicles/emergency/firetruck.png", "picture")
    write(root / "vehicles/emergency/firetruck.txt", "A fire truck.\n")
    write(root / "symbols/math/1.png", "picture")
    write(root / "symbols/math/1.txt", "One.\n")
    return root


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    root = tmp_path / "Media"
    write(root / "Sounds/Human/Laugh-male1.wav", "sound")
    write(root / "Sounds/Human/Laugh-male2.wav", "sound")
    return root


def names_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_demo_copies_media_without_captions_and_one_text_per_theme(
    tmp_path: Path, stamps: Path, scratch: Path
) -> None:
    corpus = package_demo(tmp_path / "demo", stamps, scratch)
    assert names_below(corpus.folder) == [
        "pictures/animals/birds/crow.png",
        "recordings/walk.flac",
        "sounds/scratch/Human/Laugh-male1.wav",
        "sounds/stamps/animals/birds/crow.ogg",
        "texts/animals/birds.md",
        "texts/vehicles/emergency.md",
        "videos/birds.mp4",
    ]
    theme = (corpus.folder / "texts/animals/birds.md").read_text(encoding="utf-8")
    assert theme == "# animals / birds\n\n- A crow.\n- An owl.\n"


def test_files_that_are_asked_are_not_ingested(tmp_path: Path, stamps: Path, scratch: Path) -> None:
    corpus = package_demo(tmp_path / "demo", stamps, scratch)
    asked = [question.file for question in corpus.questions if question.file]
    assert asked
    assert all(file.is_file() for file in asked)
    assert not any(file.is_relative_to(corpus.folder) for file in asked)


def test_demo_asks_every_kind_of_question(tmp_path: Path, stamps: Path, scratch: Path) -> None:
    titles = {question.title for question in package_demo(tmp_path, stamps, scratch).questions}
    assert titles == {
        "text -> image",
        "text -> sound",
        "text -> speech",
        "text -> video",
        "text -> text",
        "image -> image",
        "image -> video",
        "sound -> sound",
        "image -> text",
    }


def test_a_second_call_leaves_the_folder_as_it_is(
    tmp_path: Path, stamps: Path, scratch: Path
) -> None:
    first = package_demo(tmp_path / "demo", stamps, scratch)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.png")}
    second = package_demo(tmp_path / "demo", stamps, scratch)
    assert second == first
    assert before == {path: path.stat().st_mtime_ns for path in second.folder.rglob("*.png")}


def test_without_packages_the_demo_says_why_and_still_has_media(tmp_path: Path) -> None:
    corpus = bundled_demo(tmp_path, "no apt-get here")
    assert "no apt-get here" in corpus.notice
    suffixes = {path.suffix for path in corpus.folder.rglob("*") if path.is_file()}
    assert {".jpg", ".wav", ".txt"} <= suffixes
    for question in corpus.questions:
        assert (question.text is None) != (question.file is None)
    samples, rate = soundfile.read(next((corpus.folder / "sounds").glob("*.wav")))
    assert len(samples) == 4 * rate


def test_spread_takes_from_every_top_folder_in_proportion() -> None:
    files = [
        CaptionedFile(Path(f"{folder}/{n:03}.png"), str(n), f"{folder}/sub")
        for folder, count in (("animals", 80), ("space", 8))
        for n in range(count)
    ]
    chosen = spread(files, 22)
    assert len(chosen) == 22
    assert sum(each.group.startswith("space") for each in chosen) == 2
    numbers = [int(each.path.stem) for each in chosen if each.group.startswith("animals")]
    assert min(numbers) < 10
    assert max(numbers) > 70
