"""Latency and memory of a running server.

    python -m benchmarks.http --url http://127.0.0.1:8080 --pid PID

Sends text queries one after the other and reports wall-clock percentiles; with the supervisor's
process id also the summed PSS of the server's process tree.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time

import httpx
import numpy as np
import psutil

from benchmarks.ingest import tree_pss_bytes

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


def main() -> int:
    """Measure and print a JSON report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--pid", type=int, help="process id of `kindred serve`")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    wall_ms = []
    with httpx.Client(base_url=options.url, timeout=30) as client:
        for text in texts(options.warmup + options.queries, options.seed):
            started = time.perf_counter()
            response = client.post("/v1/search", json={"query": {"text": text}})
            response.raise_for_status()
            wall_ms.append(1000 * (time.perf_counter() - started))
    measured = np.array(wall_ms[options.warmup :])
    report: dict[str, object] = {
        "queries": len(measured),
        "p50_ms": round(float(np.percentile(measured, 50)), 1),
        "p95_ms": round(float(np.percentile(measured, 95)), 1),
        "p99_ms": round(float(np.percentile(measured, 99)), 1),
    }
    if options.pid is not None:
        report["server_pss_mib"] = round(tree_pss_bytes(psutil.Process(options.pid)) / 2**20, 1)
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
