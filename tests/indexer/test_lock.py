from __future__ import annotations

from pathlib import Path

import pytest

from indexer.data_dir import DataDir
from indexer.errors import LockHeld, WriterLeaseLost
from indexer.lock import LeaseDamaged, newest_lease, require_newest, take_lease, writer_lock


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
        data_dir.lease("starter").unlink()
        with (
            pytest.raises(LockHeld, match="written by another process"),
            writer_lock(data_dir, "starter", "kindred reindex"),
        ):
            pass


def test_each_writer_gets_a_larger_token_and_only_the_newest_counts(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    leases = []
    for _ in range(3):
        with writer_lock(data_dir, "starter", "kindred ingest") as lease:
            require_newest(data_dir, lease)
            leases.append(lease)
    assert [lease.token for lease in leases] == [1, 2, 3]
    require_newest(data_dir, leases[-1])
    with pytest.raises(WriterLeaseLost, match=r"`kindred ingest` .* token is 2, the newest is 3"):
        require_newest(data_dir, leases[1])
    assert newest_lease(data_dir, "other").token == 0


def test_a_writer_refused_the_lock_takes_no_lease(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    with writer_lock(data_dir, "starter", "kindred ingest") as lease:
        with pytest.raises(LockHeld), writer_lock(data_dir, "starter", "kindred reindex"):
            pass
        require_newest(data_dir, lease)


def test_a_removed_or_damaged_count_is_not_taken_for_the_newest(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    lease = take_lease(data_dir, "starter", "reindex")
    data_dir.lease("starter").unlink()
    with pytest.raises(WriterLeaseLost, match="given to nobody"):
        require_newest(data_dir, lease)
    for content in (b"", b"7", b'{"token": "x"}', b"\xff"):
        data_dir.lease("starter").write_bytes(content)
        with pytest.raises(LeaseDamaged, match=r"starter\.lease: not a lease"):
            require_newest(data_dir, lease)


def test_what_killed_writers_left_of_their_leases_goes_with_the_next(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    path = data_dir.lease("starter")
    path.parent.mkdir(parents=True)
    left = path.with_name(f".{path.name}-0123abcd")
    left.touch()
    assert take_lease(data_dir, "starter", "reindex").token == 1
    assert not left.exists()
