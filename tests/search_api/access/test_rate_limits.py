from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from search_api.access.api_key import new_key
from search_api.access.key_file import KeyFile
from search_api.access.limit_service import CountedBySupervisor, LimitService
from search_api.access.rate_limit import SWEEP_KEYS, Buckets, LimitsUnreachable
from tests.search_api.small_collection import SmallCollection

KEY = "0123456789ab"
OTHER = "ba9876543210"


class Clock:
    def __init__(self) -> None:
        self.now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns

    def pass_by(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.mark.parametrize("per_minute", [1, 3, 60, 7, 1000, 999_983])
def test_a_full_bucket_holds_exactly_its_number(per_minute: int) -> None:
    clock = Clock()
    buckets = Buckets(clock)
    tries = min(per_minute, 3000)
    allowed = sum(buckets.wait_seconds(KEY, per_minute) == 0 for _ in range(tries))
    assert allowed == tries
    if tries == per_minute:
        wait = buckets.wait_seconds(KEY, per_minute)
        assert wait == pytest.approx(60 / per_minute)
        assert buckets.wait_seconds(OTHER, per_minute) == 0
        clock.pass_by(wait)
        assert buckets.wait_seconds(KEY, per_minute) == 0
        assert buckets.wait_seconds(KEY, per_minute) > 0
        clock.pass_by(1e6)
        assert sum(buckets.wait_seconds(KEY, per_minute) == 0 for _ in range(2 * tries)) == tries


def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    for number in range(SWEEP_KEYS):
        buckets.wait_seconds(f"{number:012x}", 60)
    clock.pass_by(61)
    buckets.wait_seconds(KEY, 60)
    assert len(buckets._full_at_ns) == 1


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("l") / "limits.sock"
    service = LimitService(path)
    service.start()
    yield path
    service.stop()


def test_the_count_is_one_for_many_workers(socket_path: Path) -> None:
    allowed: list[int] = []

    async def ask() -> int:
        limits = CountedBySupervisor(socket_path)
        waits = await asyncio.gather(*(limits.wait_seconds(KEY, 90) for _ in range(50)))
        await limits.aclose()
        return sum(wait == 0 for wait in waits)

    workers = [
        threading.Thread(target=lambda: allowed.append(asyncio.run(ask()))) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # One more comes back every 0.7 s.
    assert 90 <= sum(allowed) <= 95


def test_a_worker_whose_supervisor_is_away_says_so_and_finds_it_again(tmp_path: Path) -> None:
    path = tmp_path / "limits.sock"

    async def ask() -> None:
        limits = CountedBySupervisor(path)
        with pytest.raises(LimitsUnreachable):
            await limits.wait_seconds(KEY, 10)
        service = LimitService(path)
        service.start()
        assert await limits.wait_seconds(KEY, 10) == 0
        service.stop()
        with pytest.raises(LimitsUnreachable):
            await limits.wait_seconds(KEY, 10)
        path.unlink(missing_ok=True)
        service = LimitService(path)
        service.start()
        assert await limits.wait_seconds(KEY, 10) == 0
        await limits.aclose()
        service.stop()

    asyncio.run(ask())


def test_a_request_too_many_is_told_when_to_come_again(
    client: TestClient[Any], small: SmallCollection
) -> None:
    file = KeyFile(small.data_dir.keys)
    key, token = new_key("slow", "read", requests_per_minute=3)
    free, free_token = new_key("free", "read")
    file.add(key)
    file.add(free)
    headers = {"Authorization": f"Bearer {token}"}
    for number in range(3):
        spoofed = {**headers, "X-Forwarded-For": f"10.0.0.{number}"}
        assert client.get("/v1/items", headers=spoofed).status_code == 200
    refused = client.post("/v1/search", headers=headers, json={"query": {"text": "red"}})
    assert refused.status_code == 429
    assert refused.json()["code"] == "rate_limited"
    assert 18 <= int(refused.headers["retry-after"]) <= 20
    others = {"Authorization": f"Bearer {free_token}"}
    assert client.get("/v1/items", headers=others).status_code == 200
    assert client.get("/healthz", headers=headers).status_code == 200
