"""A folder of files that never grows beyond its bound."""

import os
import time
from pathlib import Path

from search_api.blob_cache import BlobCache


def aged(cache: BlobCache, name: str, idle_seconds: float) -> Path:
    path = cache.path(name)
    then = time.time() - idle_seconds
    os.utime(path, (then, then))
    return path


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_what_was_kept_is_found_again(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "new", max_bytes=1000)
    assert cache.find("abc") is None
    cache.write("abc", b"content")
    found = BlobCache(tmp_path / "new", max_bytes=1000).find("abc")
    assert found is not None
    assert found.read_bytes() == b"content"
    assert kept(tmp_path) == {"abc"}


def test_the_least_used_goes_first(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, max_bytes=100_000)
    for number, name in enumerate(("first", "second", "third")):
        cache.write(name, bytes(100))
        aged(cache, name, 1000.0 - 100 * number)
    assert cache.find("first") is not None  # and so was used just now
    BlobCache(tmp_path, max_bytes=250).sweep()
    assert kept(tmp_path) == {"first", "third"}


def test_room_is_made_while_files_come_in(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, max_bytes=1000)
    for number in range(50):
        cache.write(f"{number:04}", bytes(100))
    assert len(kept(tmp_path)) <= 11


def test_what_nobody_used_for_long_is_gone(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, max_bytes=1000, max_age_seconds=60.0)
    cache.write("old", b"content")
    cache.write("new", b"content")
    aged(cache, "old", 61.0)
    assert cache.find("old") is None
    cache.sweep()
    assert kept(tmp_path) == {"new"}


def test_half_a_file_stays_while_it_may_be_written(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, max_bytes=10)
    for name, idle_seconds in (("now.partial", 60.0), ("then.partial", 1e5)):
        cache.path(name).parent.mkdir(exist_ok=True)
        cache.path(name).write_bytes(bytes(100))
        aged(cache, name, idle_seconds)
    cache.sweep()
    assert kept(tmp_path) == {"now.partial"}


def test_a_disk_that_takes_nothing_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    cache = BlobCache(tmp_path / "taken", max_bytes=1000)
    cache.write("abc", b"content")
    assert cache.find("abc") is None
    cache.sweep()
