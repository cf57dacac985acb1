"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx

RETRY_STATUSES = frozenset({429, 502, 503, 504})
"""Answers that may be another a moment later."""

IN_PROGRESS_CODE = "idempotency_key_in_use"
"""The same request is still being carried out."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How patient a client is.

    Waits grow twofold from ``first_wait_seconds``, and are drawn at random below that so that
    many clients do not come back at once (AWS Architecture Blog, *Exponential Backoff and
    Jitter*, 2015: "full jitter"). A server that says ``Retry-After`` is waited for at least so
    long.
    """

    attempts: int = 4
    """Most times that a request is sent; 1: never again."""

    first_wait_seconds: float = 0.25
    max_wait_seconds: float = 8.0
    """A server that asks for more is not waited for."""

    def wait_seconds(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Return how long to wait before the next attempt; ``None``: there is none.

        Args:
            attempt: how many were made.
            response: the last answer; ``None``: none came.
        """
        if attempt >= self.attempts:
            return None
        asked = 0.0
        if response is not None:
            if not _may_pass(response):
                return None
            asked = _retry_after(response)
            if asked > self.max_wait_seconds:
                return None
        longest = min(self.max_wait_seconds, self.first_wait_seconds * 2 ** (attempt - 1))
        return asked + random.uniform(0, longest)


PATIENT = Retries()


def _may_pass(response: httpx.Response) -> bool:
    if response.status_code == 409:
        return f'"{IN_PROGRESS_CODE}"'.encode() in response.content
    return response.status_code in RETRY_STATUSES


def _retry_after(response: httpx.Response) -> float:
    """Return what the header ``Retry-After`` says in seconds; a date counts as nothing said."""
    try:
        return max(0.0, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0
