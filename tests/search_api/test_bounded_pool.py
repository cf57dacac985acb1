import asyncio
import threading

import pytest

from encoders.serving.errors import Overloaded
from search_api.bounded_pool import BoundedPool


@pytest.mark.asyncio
async def test_work_beyond_threads_and_queue_is_refused_at_once() -> None:
    pool = BoundedPool(1, 1, "test")
    gate = threading.Event()
    running = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 requests wait"):
        await pool.run(lambda: None)
    gate.set()
    assert await asyncio.gather(*running) == [True, True]
    assert await pool.run(lambda: 3) == 3
    pool.close()


@pytest.mark.asyncio
async def test_failed_and_cancelled_work_gives_its_place_back() -> None:
    pool = BoundedPool(1, 1, "test")
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 / 0)
    gate = threading.Event()
    running = asyncio.create_task(pool.run(gate.wait))
    waiting = asyncio.create_task(pool.run(lambda: None))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    follower = asyncio.create_task(pool.run(lambda: 4))
    await asyncio.sleep(0)
    gate.set()
    assert await follower == 4
    await running
    pool.close()
