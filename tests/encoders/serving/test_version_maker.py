"""Versions are made once, however many ask, and failures are remembered."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path

import pytest

from encoders.media.rejection import MediaRejected
from encoders.serving import version_maker
from encoders.serving.errors import BeingPrepared, Overloaded
from encoders.serving.version_maker import (
    ORIGINAL,
    VersionMaker,
    VersionRequest,
    version_path,
)


class Workshop:
    """Makes nothing until told how it went."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Path, Future[str | None]]] = []
        self.begun = asyncio.Event()

    def make(self, _path: Path, target: Path) -> Future[str | None]:
        target.write_bytes(b"half a version")
        self.jobs.append((target, Future()))
        self.begun.set()
        return self.jobs[-1][1]

    async def next_job(self) -> tuple[Path, Future[str | None]]:
        await self.begun.wait()
        self.begun.clear()
        return self.jobs[-1]


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


def request_for(folder: Path, name: str = "film") -> VersionRequest:
    path = folder / f"{name}.avi"
    path.write_bytes(b"a film")
    status = path.stat()
    return VersionRequest(path, status.st_size, status.st_mtime_ns, folder / "kept" / name)


async def test_all_who_ask_get_the_one_version(tmp_path: Path, workshop: Workshop) -> None:
    maker, request = VersionMaker(workshop.make), request_for(tmp_path)
    tasks = [asyncio.create_task(maker.version(request)) for _ in range(5)]
    target, future = await workshop.next_job()
    assert not version_path(request.target, "mp4").exists()
    future.set_result("mp4")
    assert await asyncio.gather(*tasks) == ["mp4"] * 5
    assert len(workshop.jobs) == 1
    assert version_path(request.target, "mp4").read_bytes() == b"half a version"
    assert not target.exists()


async def test_two_servers_never_write_into_one_file(tmp_path: Path, workshop: Workshop) -> None:
    request, other = request_for(tmp_path), Workshop()
    tasks, targets = [], set()
    for each in (workshop, other):
        tasks.append(asyncio.create_task(VersionMaker(each.make).version(request)))
        targets.add((await each.next_job())[0])
    assert len(targets) == 2
    for each in (workshop, other):
        each.jobs[0][1].set_result("mp4")
    assert await asyncio.gather(*tasks) == ["mp4", "mp4"]
    assert list((tmp_path / "kept").iterdir()) == [version_path(request.target, "mp4")]


async def test_a_file_that_plays_gets_an_empty_mark(tmp_path: Path, workshop: Workshop) -> None:
    def plays(_path: Path, _target: Path) -> Future[str | None]:
        future: Future[str | None] = Future()
        future.set_result(None)
        return future

    request = request_for(tmp_path)
    assert await VersionMaker(plays).version(request) == ORIGINAL
    assert version_path(request.target, ORIGINAL).read_bytes() == b""


async def test_long_work_goes_on_without_whoever_asked(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_maker, "WAIT_SECONDS", 0.01)
    maker, request = VersionMaker(workshop.make), request_for(tmp_path)
    with pytest.raises(BeingPrepared):
        await maker.version(request)
    (await workshop.next_job())[1].set_result("mp4")
    monkeypatch.setattr(version_maker, "WAIT_SECONDS", 5.0)
    assert await maker.version(request) == "mp4"
    assert len(workshop.jobs) == 1


async def test_a_failure_is_told_again_without_another_attempt(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, request = VersionMaker(workshop.make), request_for(tmp_path)
    task = asyncio.create_task(maker.version(request))
    (await workshop.next_job())[1].set_exception(MediaRejected("corrupt", "it is damaged"))
    for attempt in (task, maker.version(request)):
        with pytest.raises(MediaRejected, match="damaged"):
            await attempt
    assert len(workshop.jobs) == 1
    assert list((tmp_path / "kept").iterdir()) == []
    monkeypatch.setattr(version_maker, "REMEMBERED_SECONDS", 0.0)
    task = asyncio.create_task(maker.version(request))
    (await workshop.next_job())[1].set_result("mp4")
    assert await task == "mp4"


async def test_a_version_of_another_file_is_thrown_away(tmp_path: Path, workshop: Workshop) -> None:
    maker, request = VersionMaker(workshop.make), request_for(tmp_path)
    task = asyncio.create_task(maker.version(request))
    _, future = await workshop.next_job()
    request.path.write_bytes(b"another film")
    future.set_result("mp4")
    with pytest.raises(MediaRejected) as caught:
        await task
    assert caught.value.reason == "vanished"
    assert list((tmp_path / "kept").iterdir()) == []


async def test_too_much_work_is_refused(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_maker, "MAX_JOBS", 1)
    maker = VersionMaker(workshop.make)
    first = asyncio.create_task(maker.version(request_for(tmp_path, "one")))
    _, future = await workshop.next_job()
    with pytest.raises(Overloaded):
        await maker.version(request_for(tmp_path, "two"))
    future.set_result("mp4")
    assert await first == "mp4"
    await maker.aclose()
