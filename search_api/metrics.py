"""Prometheus metrics, right for several workers.

Under the supervisor every worker keeps its numbers in files of one folder
(``PROMETHEUS_MULTIPROC_DIR``), and whichever worker answers ``/metrics`` adds up all of them. The
variable must be set before ``prometheus_client`` is imported, so only this module imports it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from search_api.settings import METRICS_FOLDER_VARIABLE

# Litestar adds the character set to every text type by itself.
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4.removesuffix("; charset=utf-8")

LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The metrics of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kindred_http_requests",
            "HTTP requests answered by a route; unknown paths and wrong methods are not counted.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "kindred_http_request_seconds",
            "Time from the request to the end of its answer.",
            ["method", "route"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.text_questions = Counter(
            "kindred_text_questions",
            "Questions in words, by whether their vectors were remembered.",
            ["remembered"],
            registry=self.registry,
        )
        # Two counters, so that workers can be added up: recall is found over expected.
        self.recall_expected = Counter(
            "kindred_recall_expected",
            "True nearest segments, at most 10 a query vector, of searches sampled for recall.",
            ["channel", "band"],
            registry=self.registry,
        )
        self.recall_found = Counter(
            "kindred_recall_found",
            "Those of kindred_recall_expected that the search had found.",
            ["channel", "band"],
            registry=self.registry,
        )
        self.recall_samples = Counter(
            "kindred_recall_samples",
            "Searches drawn for a sample of recall: taken, dropped while another was, or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.refresh_failures = Counter(
            "kindred_refresh_failures",
            "Attempts to read new writes or a new snapshot that failed.",
            registry=self.registry,
        )
        self.items = self._gauge("kindred_items", "Items that can be found.")
        self.delta_items = self._gauge(
            "kindred_delta_items", "Items that answer from memory because no snapshot holds them."
        )
        self.change_seq = self._gauge("kindred_change_seq", "Newest write that can be found.")

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(
            name,
            help_text,
            ["collection"],
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )

    def exposition(self) -> bytes:
        """Return the text that ``/metrics`` answers."""
        folder = os.environ.get(METRICS_FOLDER_VARIABLE)
        if folder and Path(folder).is_dir():
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        return generate_latest(self.registry)


def metrics_middleware(metrics: Metrics) -> Any:
    """Return middleware that counts and times requests by route template, never by raw path."""

    def middleware(app: ASGIApp) -> ASGIApp:
        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            started = time.perf_counter()
            status = 500

            async def watch(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, watch)
            finally:
                method, route = scope["method"], scope["path_template"]
                metrics.requests.labels(method, route, str(status)).inc()
                metrics.request_seconds.labels(method, route).observe(time.perf_counter() - started)

        return counted

    return middleware
