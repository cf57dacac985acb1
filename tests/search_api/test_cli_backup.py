"""``kindred backup`` and ``kindred restore``: output and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.reindex import reindex
from search_api.cli.main import run
from tests.search_api.small_collection import SmallCollection


@pytest.fixture
def kindred(
    small: SmallCollection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Any]]:
    def call(*arguments: str, data_dir: Path = small.data_dir.root) -> tuple[int, Any]:
        monkeypatch.setenv("KINDRED_DATA_DIR", str(data_dir))
        code = run([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def test_backup_and_restore_count_what_they_copied(
    kindred: Callable[..., tuple[int, Any]], small: SmallCollection, tmp_path: Path
) -> None:
    report = reindex(small.catalog, small.data_dir, small.config, small.identities())
    assert report.manifest is not None
    backup, back = tmp_path / "backup", tmp_path / "back"
    code, made = kindred("backup", str(backup))
    assert code == 0
    assert made["folder"] == str(backup)
    assert made["collections"] == {
        "small": {
            "items": 8,
            "snapshot": report.manifest.snapshot_id,
            "through_seq": 8,
            "change_seq": 8,
            "on_servers": {},
        }
    }
    code, restored = kindred("restore", str(backup), data_dir=back)
    assert code == 0
    takedowns = restored.pop("takedowns")
    assert restored == {**made, "folder": str(back)}
    assert takedowns == {
        "known_through": made["created"],
        "asked": False,
        "brought": [],
        "lifted": [],
        "hidden_items": [],
    }
    num_bytes = sum(path.stat().st_size for path in back.rglob("*") if path.is_file())
    assert restored["bytes"] == num_bytes


def test_refusals_and_failures_have_their_exit_codes(
    kindred: Callable[..., tuple[int, Any]], small: SmallCollection, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    kindred("backup", str(backup))
    code, answer = kindred("backup", str(backup))
    assert (code, answer["error"]["code"]) == (3, "target_not_empty")
    code, answer = kindred("restore", str(backup))
    assert (code, answer["error"]["code"]) == (3, "target_not_empty")
    (backup / "catalog.sqlite").write_bytes(b"damaged")
    code, answer = kindred("restore", str(backup), data_dir=tmp_path / "back")
    assert (code, answer["error"]["code"]) == (1, "backup_corrupt")
    code, answer = kindred("restore", str(tmp_path / "nowhere"), data_dir=tmp_path / "back")
    assert (code, answer["error"]["code"]) == (1, "backup_unreadable")
    code, answer = kindred("backup", str(tmp_path / "new"), data_dir=tmp_path / "empty")
    assert (code, answer["error"]["code"]) == (1, "catalog_error")


def test_people_get_a_line_for_each_collection(
    small: SmallCollection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(small.data_dir.root))
    assert run(["backup", str(tmp_path / "backup")]) == 0
    printed = capsys.readouterr().out
    assert "1 files" in printed
    assert "small: 8 items, snapshot none through change 0 of 8" in printed


def test_what_was_taken_down_after_a_backup_stays_away_when_it_is_restored(
    kindred: Callable[..., tuple[int, Any]],
    small: SmallCollection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    backup, listed = tmp_path / "backup", tmp_path / "takedowns.jsonl"
    collection = ("--collection", str(small.config_path))
    kindred("backup", str(backup))
    _, receipt = kindred("takedown", "red-1", *collection)
    code, exported = kindred("takedown", "--export", str(listed), *collection)
    assert (code, exported["takedowns"]) == (0, 1)

    back = tmp_path / "back"
    monkeypatch.setenv("KINDRED_DATA_DIR", str(back))
    assert run(["restore", str(backup)]) == 0
    assert "NOT KNOWN HERE: what was taken down after" in capsys.readouterr().err
    code, imported = kindred("takedown", "--import", str(listed), *collection, data_dir=back)
    assert (code, imported["brought"], imported["hidden_items"]) == (0, 1, 1)
    code, again = kindred("takedown", "--import", str(listed), *collection, data_dir=back)
    assert (code, again["brought"], again["hidden_items"]) == (0, 0, 0)

    code, restored = kindred(
        "restore", str(backup), "--takedowns", str(listed), data_dir=tmp_path / "again"
    )
    assert (code, restored["takedowns"]["brought"]) == (0, [receipt["takedown_id"]])
    assert restored["takedowns"]["hidden_items"] == ["small/red-1"]
    assert restored["takedowns"]["known_through"] == exported["known_through"]
    code, answer = kindred("takedown", "--export", str(listed), "red-1", *collection)
    assert (code, answer["error"]["code"]) == (2, "usage")
    code, answer = kindred("restore", str(backup), "--takedowns", str(small.config_path),
                           data_dir=tmp_path / "third")  # fmt: skip
    assert (code, answer["error"]["code"]) == (1, "takedown_list_unreadable")
    assert not (tmp_path / "third").exists()
