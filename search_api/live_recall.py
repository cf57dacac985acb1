"""Recall of what searches really answer: some are answered exactly too, in the background."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import structlog
from numpy.typing import NDArray

from encoders.query_encoding import ChannelQuery
from indexer.ann.vector_index import Rows
from indexer.live_view import LiveView
from indexer.recall import is_right

if TYPE_CHECKING:
    # The command line searches without a server's libraries.
    from search_api.metrics import Metrics

RECALL_AT = 10

UNFILTERED = "unfiltered"
BANDS = (
    (0.1, "10-100 %"),
    (0.01, "1-10 %"),
    (0.001, "0.1-1 %"),
    (0.0001, "0.01-0.1 %"),
    (0.0, "below 0.01 %"),
)
"""Share of a channel's segments that a filter leaves, from which on, and its name."""

LOWEST_PRIORITY = 19

log = structlog.get_logger("kindred.api")


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredSearch:
    """What was asked of a view, and the nearest segments that it answered."""

    view: LiveView
    queries: Mapping[str, ChannelQuery]
    """By channel."""

    nearest_rows: Mapping[str, Rows]
    """By channel, ``(num_queries, up to RECALL_AT)`` segment rows, nearest first."""

    among: NDArray[np.bool_] | None
    """``(num_items,)`` mask of items that might answer; ``None``: all."""


def band_of(num_selected: int, num_rows: int) -> str:
    """Return the name of the band that a filter falls into.

    Args:
        num_selected: segments that it leaves, at least 1.
        num_rows: segments without it.
    """
    share = num_selected / num_rows
    return next(name for least, name in BANDS if share >= least)


class LiveRecall:
    """Answers some searches exactly and counts how many of the true neighbours were found.

    One sample is taken at a time, by a thread that yields to all others; what comes meanwhile is
    not waited for but counted as dropped. A sample that fails is logged and counted.

    Args:
        every: on average one of so many searches is sampled; 0: none.
        metrics: where it is counted.
    """

    def __init__(self, every: int, metrics: Metrics) -> None:
        self._every = every
        self._metrics = metrics
        # Drawn by lot: every hundredth search of a program that asks in turns is always the same.
        self._random = random.Random()
        self._busy = threading.Lock()
        self._executor = ThreadPoolExecutor(1, "live-recall", initializer=_yield_to_others)

    def offer(self, answered: AnsweredSearch) -> None:
        """Take a search for a sample, or not; returns at once."""
        if not self._every or self._random.random() * self._every >= 1:
            return
        if not self._busy.acquire(blocking=False):
            self._metrics.recall_samples.labels("dropped").inc()
            return
        try:
            self._executor.submit(self._take, answered)
        except RuntimeError:  # closed: the server is ending
            self._busy.release()

    def close(self) -> None:
        """Wait for the sample that is being taken; no other follows."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _take(self, answered: AnsweredSearch) -> None:
        try:
            for channel in answered.nearest_rows:
                self._count(answered, channel)
        except Exception as error:
            # Whatever is wrong, the search was answered; only its figure is missing.
            log.error("a sample of recall failed", exc_info=error)
            self._metrics.recall_samples.labels("failed").inc()
        else:
            self._metrics.recall_samples.labels("taken").inc()
        finally:
            self._busy.release()

    def _count(self, answered: AnsweredSearch, channel: str) -> None:
        view, among = answered.view, answered.among
        num_selected = view.num_selected(channel, among)
        if not num_selected:
            return
        band = UNFILTERED
        if among is not None:
            band = band_of(num_selected, view.num_selected(channel, None))
        queries = answered.queries[channel].vectors
        k = min(RECALL_AT, num_selected)
        exact = view.search_exactly(channel, queries, k, among)
        found = answered.nearest_rows[channel][:, :k]
        candidates = view.vectors(channel, np.maximum(found, 0).ravel())
        right = is_right(
            queries, exact.scores[:, -1], found, candidates.reshape(*found.shape, queries.shape[1])
        )
        self._metrics.recall_expected.labels(channel, band).inc(len(queries) * k)
        self._metrics.recall_found.labels(channel, band).inc(int(right.sum()))


def _yield_to_others() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
