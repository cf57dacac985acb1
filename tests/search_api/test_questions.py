"""Files to search with are kept under their content, for a while."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.datastructures import UploadFile

from encoders.media.rejection import MediaRejected
from search_api.bounded_pool import BoundedPool
from search_api.errors import QuestionGone, UploadTooLarge
from search_api.questions import KEPT_SECONDS, Question, Questions


@pytest.fixture
def questions(tmp_path: Path) -> Iterator[Questions]:
    pool = BoundedPool(1, 8, "test")
    yield Questions(tmp_path / "questions", 1000, pool)
    pool.close()


async def keep(questions: Questions, name: str, content: bytes) -> Question:
    upload = UploadFile("application/octet-stream", name)
    with upload.file:
        upload.file.write(content)
        return await questions.keep(upload)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_kept_file_is_found_by_its_content(questions: Questions) -> None:
    content = b"# A heading\n\nand words below it"
    kept = await keep(questions, "../../notes.md", content)
    assert kept.sha256 == hashlib.sha256(content).hexdigest()
    assert kept.sniffed.format == "markdown"
    found = await questions.find(kept.sha256)
    assert found == kept
    assert found.path.read_bytes() == content


async def test_what_cannot_be_searched_with_is_not_kept(
    questions: Questions, tmp_path: Path
) -> None:
    for content in (b"", b"\x00\x01\x02 of no known kind"):
        with pytest.raises(MediaRejected):
            await keep(questions, "a.bin", content)
    with pytest.raises(UploadTooLarge):
        await keep(questions, "a.txt", b"a" * 1001)
    assert files_in(tmp_path) == []


async def test_what_is_not_kept_is_said_to_be_gone(questions: Questions) -> None:
    for sha256 in ("0" * 64, "../../../etc/passwd", "ABC", ""):
        with pytest.raises(QuestionGone):
            await questions.find(sha256)


async def test_a_file_nobody_asks_with_is_gone_after_a_day(questions: Questions) -> None:
    kept = await keep(questions, "a.txt", b"some words")
    then = time.time() - KEPT_SECONDS - 60
    os.utime(kept.path, (then, then))
    with pytest.raises(QuestionGone):
        await questions.find(kept.sha256)
