from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.errors import SourceMissing
from indexer.walk import find_files, is_gone


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_files_come_sorted_with_their_sidecar_and_hidden_ones_are_passed_over(
    tmp_path: Path,
) -> None:
    make(tmp_path, "b/z.png", "a.png", "a.json", "b/y.mp3", "b/y.mp3.json", ".hidden", ".git/c.png")
    found = list(find_files([tmp_path]))
    assert [file.relative_path for file in found] == ["a.png", "b/y.mp3", "b/z.png"]
    assert [file.sidecar and file.sidecar.name for file in found] == ["a.json", "y.mp3.json", None]
    assert {file.source for file in found} == {os.fspath(tmp_path.resolve())}


def test_a_json_file_that_describes_nothing_is_an_item(tmp_path: Path) -> None:
    make(tmp_path, "records.json", "a.png")
    assert [file.relative_path for file in find_files([tmp_path])] == ["a.png", "records.json"]


def test_a_file_named_twice_is_found_once(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    found = list(find_files([tmp_path, tmp_path / "a.png"]))
    assert len(found) == 1


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    make(tmp_path, "real/a.png")
    (tmp_path / "real" / "again").symlink_to(tmp_path / "real")
    assert [file.relative_path for file in find_files([tmp_path])] == ["real/a.png"]


def test_a_list_file_names_paths_relative_to_itself(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "list.txt").write_text("a.png\n\nc.png\n")
    found = list(find_files([Path(f"@{tmp_path / 'list.txt'}")]))
    assert [file.relative_path for file in found] == ["a.png", "c.png"]


def test_a_missing_path_is_refused_before_anything_is_found(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    with pytest.raises(SourceMissing, match="nowhere"):
        next(find_files([tmp_path, tmp_path / "nowhere"]))


def test_a_folder_that_cannot_be_read_is_yielded_with_its_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.png", "shut/b.png", "z/c.png")
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = {file.relative_path: file.problem for file in find_files([tmp_path])}
    refusal = "the folder cannot be read: Permission denied"
    assert found == {"a.png": None, "shut": refusal, "z/c.png": None}


def test_what_may_not_be_looked_at_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.png")
    assert not is_gone(str(tmp_path / "a.png"))
    assert is_gone(str(tmp_path / "b.png"))
    assert is_gone(str(tmp_path / "a.png" / "c.png"))

    def refusing(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "lstat", refusing)
    assert not is_gone(str(tmp_path / "b.png"))


def test_a_folder_is_looked_through_once_for_the_transcripts_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.mp3" for number in range(20)]
    make(tmp_path, *names, "3.SRT", "7.de.vtt")
    (tmp_path / "list.txt").write_text("\n".join(names))
    scandir = os.scandir
    looked_at: list[object] = []

    def counting(path: Path) -> object:
        looked_at.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    found = list(find_files([Path(f"@{tmp_path / 'list.txt'}")]))
    beside = {file.path.name: [path.name for path in file.transcripts] for file in found}
    assert {name: paths for name, paths in beside.items() if paths} == {
        "3.mp3": ["3.SRT"],
        "7.mp3": ["7.de.vtt"],
    }
    assert looked_at == [tmp_path]


def test_a_single_file_has_its_sidecar(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "a.json", "b.png")
    found = list(find_files([tmp_path / "a.png", tmp_path / "b.png"]))
    assert [file.sidecar and file.sidecar.name for file in found] == ["a.json", None]


def test_a_file_whose_name_is_not_utf8_is_not_gone(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9.png"))
    path.write_bytes(b"x")
    (found,) = find_files([tmp_path])
    assert not is_gone(found.listed_location)
    path.unlink()
    assert is_gone(found.listed_location)
