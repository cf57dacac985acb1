"""Latency, throughput and memory of a running server.

    python -m benchmarks.http --url http://127.0.0.1:8080 --pid PID --clients 32

Sends distinct text queries, each client one after the other, and reports wall-clock percentiles and
answers per second; with the supervisor's process id also the summed PSS of the server's process
tree. What this program itself takes of the processor is reported too: it shares the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence

import httpx
import numpy as np
import psutil

from benchmarks.ingest import tree_memory_bytes

# fmt: off
WORDS = [
    "red", "green", "small", "large", "old", "young", "happy", "wild", "dog", "cat", "bird",
    "fish", "car", "boat", "tree", "flower", "house", "bell", "drum", "water", "rain", "wind",
    "engine", "door", "laugh", "apple", "bread", "star", "moon", "castle", "train", "robot",
    "guitar",
]
# fmt: on


def texts(num_queries: int, seed: int) -> list[str]:
    """Return distinct short queries, so that no cache answers for the model."""
    every = list(itertools.permutations(WORDS, 3))
    chosen = np.random.default_rng(seed).choice(len(every), num_queries, replace=False)
    return [" ".join(every[number]) for number in chosen]


async def ask_all(url: str, queries: Sequence[str], num_clients: int) -> list[float]:
    """Share ``queries`` among clients and return how many milliseconds each of them took."""
    wall_ms: list[float] = []
    left: Iterator[str] = iter(queries)

    async def ask(client: httpx.AsyncClient) -> None:
        for text in left:
            started = time.perf_counter()
            response = await client.post("/v1/search", json={"query": {"text": text}})
            response.raise_for_status()
            wall_ms.append(1000 * (time.perf_counter() - started))

    async with httpx.AsyncClient(
        base_url=url, timeout=60, limits=httpx.Limits(max_connections=num_clients)
    ) as client:
        await asyncio.gather(*(ask(client) for _ in range(num_clients)))
    return wall_ms


def main() -> int:
    """Measure and print a JSON report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--pid", type=int, help="process id of `kindred serve`")
    parser.add_argument("--clients", type=int, default=1, help="that ask at the same time")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    queries = texts(options.warmup + options.queries, options.seed)
    asyncio.run(ask_all(options.url, queries[: options.warmup], options.clients))
    cpu, started = time.process_time(), time.perf_counter()
    measured = np.array(
        asyncio.run(ask_all(options.url, queries[options.warmup :], options.clients))
    )
    seconds = time.perf_counter() - started
    report: dict[str, object] = {
        "clients": options.clients,
        "queries": len(measured),
        "answers_per_second": round(len(measured) / seconds, 1),
        "own_cpu_ms_per_query": round(1000 * (time.process_time() - cpu) / len(measured), 2),
        "p50_ms": round(float(np.percentile(measured, 50)), 1),
        "p95_ms": round(float(np.percentile(measured, 95)), 1),
        "p99_ms": round(float(np.percentile(measured, 99)), 1),
    }
    if options.pid is not None:
        pss, _ = tree_memory_bytes(psutil.Process(options.pid))
        report["server_pss_mib"] = round(pss / 2**20, 1)
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
