"""How many requests a key may send, whichever worker answers them.

A key of 60 requests a minute may send 60 at once and one more each second: the bucket that GCRA
keeps in one number per key (ITU-T I.371, generic cell rate algorithm). The supervisor holds the
numbers, since each worker sees a part of the requests only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from encoders.errors import KindredError

MINUTE_NS = 60_000_000_000
SWEEP_KEYS = 10_000
"""So many keys are kept before those are forgotten whose buckets are full again."""


class TooManyRequests(KindredError):
    """A key that has sent as many requests as it may for now."""

    code = "rate_limited"


class LimitsUnreachable(KindredError):
    """The place where requests are counted does not answer."""

    code = "limits_unreachable"


class RateLimits(Protocol):
    """Counts requests."""

    async def wait_seconds(self, key_id: str, per_minute: int) -> float:
        """Count a request; see `Buckets.wait_seconds`.

        Raises:
            LimitsUnreachable: it could not be counted.
        """
        ...


class Buckets:
    """Counts requests in this process. Not safe for several threads.

    Args:
        now_ns: nanoseconds on a clock that never goes back.
    """

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        # Whole numbers, since many small steps must add up to a minute exactly.
        self._full_at_ns: dict[str, int] = {}
        """When each key's bucket is full again: GCRA's theoretical arrival time."""

    def wait_seconds(self, key_id: str, per_minute: int) -> float:
        """Count a request of a key, if it may be sent.

        Args:
            key_id: the key.
            per_minute: how many it may send, at once or in a minute.

        Returns:
            0: it may, and counts; else how long to wait, and it does not count.
        """
        now = self._now_ns()
        step = MINUTE_NS // per_minute
        full_at = max(self._full_at_ns.get(key_id, now), now) + step
        wait = full_at - now - step * per_minute
        if wait > 0:
            return wait / 1e9
        self._full_at_ns[key_id] = full_at
        if len(self._full_at_ns) > SWEEP_KEYS:
            self._full_at_ns = {key: at for key, at in self._full_at_ns.items() if at > now}
        return 0.0
