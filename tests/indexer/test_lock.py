from __future__ import annotations

from pathlib import Path

import pytest

from indexer.data_dir import DataDir
from indexer.errors import LockHeld
from indexer.lock import writer_lock


def test_a_second_writer_is_told_who_is_writing(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    with writer_lock(data_dir, "starter", "kindred ingest"):
        with (
            pytest.raises(LockHeld, match=r"`kindred ingest` \(process \d+, since"),
            writer_lock(data_dir, "starter", "kindred reindex"),
        ):
            pass
        with writer_lock(data_dir, "other", "kindred reindex"):
            pass
    with writer_lock(data_dir, "starter", "kindred reindex"):
        pass


def test_a_writer_that_has_not_said_who_it_is_holds_the_lock_too(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    with writer_lock(data_dir, "starter", "kindred ingest"):
        data_dir.writer_lock("starter").with_suffix(".holder").unlink()
        with (
            pytest.raises(LockHeld, match="written by another process"),
            writer_lock(data_dir, "starter", "kindred reindex"),
        ):
            pass
