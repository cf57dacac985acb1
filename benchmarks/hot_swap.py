"""Snapshots swapped under load: nothing fails, no answer mixes two states, how slow it gets.

    python -m benchmarks.hot_swap --swaps 100 --workers 4

A real `kindred serve` answers searches at a share of the peak that is measured first, and takes
writes. By turns a new generation of items is written and reindexed, and the snapshot before is
gone back to, by the command and by HTTP. The load generator checks every answer. Calm stretches
lie between the swaps; percentiles are compared within each round, so that what else the machine
does weighs on both.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import environment, write_json
from benchmarks.swap_figures import SwapEvent, SwapRun, figures
from benchmarks.swap_items import SwapItems, swap_collection, swap_identity
from benchmarks.swap_load import LoadJob, LoadReport
from benchmarks.swap_server import Held, PointerWatch, SwapServer, grown, load_generator
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.lock import writer_lock
from indexer.reindex import reindex

SETTLE_SECONDS = 1.5
"""After a swap until the next thing happens: what is written meanwhile must be visible then."""

SWAPS_PER_ROUND = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapPlan:
    """How large and how long."""

    num_workers: int = 4
    num_swaps: int = 100
    num_warm_up_swaps: int = 6
    """Before memory is measured: as many snapshots as are kept have come and gone."""

    num_fixed: int = 19_500
    num_changing: int = 500
    load_share: float = 0.3
    calm_seconds: float = 8.0
    peak_seconds: float = 6.0
    connections_per_worker: int = 4
    rate: float | None = None
    """Requests a second; ``None``: `load_share` of the measured peak."""


class HotSwap:
    """One server whose snapshots are swapped.

    Args:
        folder: an empty one.
        plan: how large and how long.
    """

    def __init__(self, folder: Path, plan: SwapPlan) -> None:
        self._folder, self._plan = folder, plan
        self._data_dir = DataDir(folder / "data")
        self._items = SwapItems(swap_identity(), plan.num_fixed, plan.num_changing)
        self._generation = 0
        self._run = SwapRun()

    def run(self) -> dict[str, Any]:
        """Prepare, serve, swap under load, and return the figures."""
        plan = self._plan
        self._prepare()
        server = SwapServer(self._folder, self._data_dir, plan.num_workers)
        try:
            server.wait_until_ready()
            peak = plan.rate or self._peak(server)
            rate = plan.rate or plan.load_share * peak
            with (
                load_generator(self._folder, self._job(server, rate)) as reports,
                PointerWatch(self._data_dir) as watch,
            ):
                time.sleep(plan.calm_seconds)
                self._swap_many(server, plan.num_warm_up_swaps)
                before = server.held()
                self._rounds(server)
                after = server.held()
            self._run.moves = watch.moves
            return self._report(peak, rate, before, after, reports[0])
        finally:
            server.close()

    def _prepare(self) -> None:
        config = swap_collection()
        identities = dict.fromkeys(config.channels, self._items.identity)
        with Catalog.open(self._data_dir) as catalog:
            catalog.register_collection(config)
            for _ in range(2):  # so that there is one to go back to from the first
                self._items.write_generation(catalog, self._generation)
                self._generation += 1
                with writer_lock(self._data_dir, config.name, "hot swap"):
                    reindex(catalog, self._data_dir, config, identities)

    def _job(self, server: SwapServer, rate: float | None) -> LoadJob:
        return LoadJob(
            port=server.port,
            workers=server.workers(),
            num_fixed=self._plan.num_fixed,
            num_changing=self._plan.num_changing,
            rate=rate,
            connections_per_worker=self._plan.connections_per_worker,
            with_writes=rate is not None,
            seed=7,
            report=str(self._folder / "load.msgpack"),
        )

    def _peak(self, server: SwapServer) -> float:
        """Return answers a second when every connection asks one after the other."""
        with load_generator(self._folder, self._job(server, None)) as reports:
            time.sleep(self._plan.peak_seconds + 8.0)
        ends = sorted(row.done for row in reports[0].rows)
        late = [end for end in ends if end > ends[-1] - self._plan.peak_seconds]
        return len(late) / self._plan.peak_seconds

    def _rounds(self, server: SwapServer) -> None:
        left = self._plan.num_swaps
        while left > 0:
            began = time.monotonic()
            time.sleep(self._plan.calm_seconds)
            self._run.calm.append((began, time.monotonic()))
            self._swap_many(server, min(SWAPS_PER_ROUND, left))
            left -= SWAPS_PER_ROUND

    def _swap_many(self, server: SwapServer, num_swaps: int) -> None:
        """Publish and go back by turns, back alternately by command and by request."""
        for number in range(num_swaps):
            kind = ("publish", "rollback", "publish", "rollback_http")[number % 4]
            if kind == "publish":
                self._write_generation()
            began = time.monotonic()
            if kind == "publish":
                server.run("reindex")
            elif kind == "rollback":
                server.run("rollback")
            else:
                server.http.post("/v1/rollback", json={}).raise_for_status()
            self._run.events.append(
                SwapEvent(kind, began, time.monotonic(), round=len(self._run.calm))
            )
            time.sleep(SETTLE_SECONDS)

    def _write_generation(self) -> None:
        with Catalog.open(self._data_dir) as catalog:
            self._items.write_generation(catalog, self._generation)
        self._run.commits.append((time.monotonic(), self._generation))
        self._generation += 1

    def _report(
        self,
        peak: float,
        rate: float,
        before: dict[int, Held],
        after: dict[int, Held],
        load: LoadReport,
    ) -> dict[str, Any]:
        report = figures(self._run, load, sorted(before))
        if before.keys() != after.keys():
            report["problems"].append(f"workers were {sorted(before)} and are {sorted(after)}")
        removed = [each.num_mappings_of_removed for each in after.values()]
        return {
            "workers": self._plan.num_workers,
            "items": self._plan.num_fixed + self._plan.num_changing,
            "peak_per_second": round(peak, 1),
            "asked_per_second": round(rate, 1),
            **report,
            "grown_per_worker": grown(list(before.values()), list(after.values())),
            "mappings_of_removed_files": removed,
            "rss_mib": {
                "before": [round(each.rss_bytes / 2**20) for each in before.values()],
                "after": [round(each.rss_bytes / 2**20) for each in after.values()],
            },
        }


def main() -> int:
    """Run the suite and print a JSON report; exit 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--changing", type=int, default=500, help="items that change each time")
    parser.add_argument("--calm-seconds", type=float, default=8.0)
    parser.add_argument("--rate", type=float, help="requests a second instead of 30 %% of the peak")
    parser.add_argument("--json", type=Path, help="also write the report here")
    options = parser.parse_args()
    plan = SwapPlan(
        num_workers=options.workers,
        num_swaps=options.swaps,
        num_fixed=options.items - options.changing,
        num_changing=options.changing,
        calm_seconds=options.calm_seconds,
        rate=options.rate,
    )
    with tempfile.TemporaryDirectory() as scratch:
        report = HotSwap(Path(scratch), plan).run()
    print(json.dumps(report, indent=2))
    if options.json:
        write_json(options.json, {**environment(), **report})
    return int(bool(report["problems"]))


if __name__ == "__main__":
    sys.exit(main())
