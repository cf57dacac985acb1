from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.write_points import step_name, watching


def test_every_change_below_the_root_is_a_point(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    points: list[tuple[str, str]] = []

    def note(action: str, path: str) -> None:
        points.append((action, Path(path).relative_to(root).as_posix()))

    with watching(root, note):
        elsewhere.write_bytes(b"unseen")
        (root / "a").mkdir()
        (root / "a" / "text").write_text("ä")
        np.save(root / "numbers.npy", np.zeros(3))
        with pa.OSFile(str(root / "table"), "wb") as file:
            file.write(b"x")
        (root / "text").touch()
        (root / "text").replace(root / "moved")
        (root / "linked").hardlink_to(root / "moved")
        shutil.copyfile(root / "a" / "text", root / "copy")
        shutil.rmtree(root / "a")
    assert (root / "table").read_bytes() == b"x"
    assert np.load(root / "numbers.npy").tolist() == [0, 0, 0]
    assert points == [
        ("mkdir", "a"),
        ("open", "a/text"),
        ("write", "a/text"),
        ("open", "numbers.npy"),
        ("write", "numbers.npy"),
        ("open", "table"),
        ("open", "text"),
        ("rename", "text"),
        ("link", "linked"),
        ("open", "copy"),
        ("sendfile", "copy"),
        ("sendfile", "copy"),
        ("unlink", "a/text"),
        ("rmdir", "a"),
    ]


def test_what_is_raised_at_a_point_comes_instead_of_the_change(tmp_path: Path) -> None:
    def full(action: str, path: str) -> None:
        if action == "write":
            raise OSError(28, "No space left on device", path)

    with watching(tmp_path, full), pytest.raises(OSError, match="No space left"):
        (tmp_path / "file").write_bytes(b"content")
    assert (tmp_path / "file").read_bytes() == b""


def test_steps_have_the_same_names_in_every_run(tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots/tiny/.building-20260102T030405.678901Z-0a1b2c"
    path = str(snapshot / "channels/pictures/index.faiss")
    name = "open snapshots/tiny/.building-ID/channels/CHANNEL/index.faiss"
    assert step_name("open", path, tmp_path) == name
    pointer = str(tmp_path / "snapshots/tiny/.live-0a1b2c3d")
    assert step_name("rename", pointer, tmp_path) == "rename snapshots/tiny/.live-#"
