"""From the rows of a load generator to figures: failures, mixtures, percentiles, delays."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.swap_load import LoadReport, Row

AFTER_SWAP_SECONDS = 0.5
"""How long after all workers followed an answer still counts as one beside a swap."""

VISIBLE_SECONDS = 1.0
MAX_ROLLBACK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SwapEvent:
    """A command that swaps snapshots."""

    kind: str
    began: float
    ended: float
    round: int
    """0 while warming up."""


@dataclass(slots=True)
class SwapRun:
    """What happened."""

    events: list[SwapEvent] = field(default_factory=list)
    calm: list[tuple[float, float]] = field(default_factory=list)
    """Begin and end of the calm stretch of each round."""

    commits: list[tuple[float, int]] = field(default_factory=list)
    """When each generation was committed."""

    moves: list[tuple[float, str]] = field(default_factory=list)
    """When which snapshot became the live one."""


@dataclass(frozen=True, slots=True)
class Swap:
    """One move of the pointer, and how workers followed."""

    event: SwapEvent
    moved: float
    followed: float | None
    """When the last worker gave its first answer from the new snapshot; ``None``: one never did."""


def figures(run: SwapRun, load: LoadReport, workers: Sequence[int]) -> dict[str, Any]:
    """Return the figures of a run and, under ``problems``, everything that is wrong."""
    swaps = [swap for event in run.events if (swap := _swap(event, run, load.rows, workers))]
    problems = [f"failed, {count} times: {what}" for what, count in load.failures.items()]
    problems += [f"mixed, {count} times: {what}" for what, count in load.mixed.items()]
    problems += [f"writes, {count} times: {what}" for what, count in load.lost_writes.items()]
    late = [seconds for _, seconds in load.found_by_all if seconds > VISIBLE_SECONDS]
    if late:
        problems.append(f"slow: {len(late)} writes took up to {max(late):.2f} s to all workers")
    problems += _stale(load.rows, run.commits)
    if len(swaps) != len(run.events):
        problems.append(f"{len(run.events)} commands moved the pointer {len(swaps)} times")
    missed = [swap for swap in swaps if swap.followed is None]
    problems += [f"a worker never followed the {swap.event.kind}" for swap in missed]
    rollbacks = _seconds([one for one in swaps if one.event.kind != "publish"], _from_command)
    if rollbacks and max(rollbacks) > MAX_ROLLBACK_SECONDS:
        problems.append(f"slow: a rollback took {max(rollbacks):.1f} s")
    counted = [swap for swap in swaps if swap.event.round > 0]
    return {
        "swaps": len(swaps),
        "answers": len(load.rows),
        "failed": sum(load.failures.values()),
        "mixed": sum(load.mixed.values()),
        "writes": len(load.writes),
        "writes_lost": sum(load.lost_writes.values()),
        "latency": _latencies(load.rows, run.calm, counted),
        "seconds_until_all_find_a_write": _spread([seconds for _, seconds in load.found_by_all]),
        "write_latency_ms": _write_latencies(load, run.calm, counted),
        "seconds_from_pointer_to_all_workers": _spread(
            _seconds(swaps, lambda one: (one.followed or 0.0) - one.moved)
        ),
        "seconds_from_command_to_all_workers": {
            kind: _spread(_seconds([one for one in swaps if one.event.kind == kind], _from_command))
            for kind in ("publish", "rollback", "rollback_http")
        },
        "lag_ms": {
            str(q): round(
                1000 * float(np.percentile([row.sent - row.due for row in load.rows], q)), 2
            )
            for q in (50, 99)
        },
        "generator_cpu_seconds": round(load.cpu_seconds, 1),
        "problems": problems,
    }


def _from_command(swap: Swap) -> float:
    return (swap.followed or 0.0) - swap.event.began


def _seconds(swaps: Sequence[Swap], seconds: Callable[[Swap], float]) -> list[float]:
    return [seconds(one) for one in swaps if one.followed is not None]


def _swap(
    event: SwapEvent, run: SwapRun, rows: Sequence[Row], workers: Sequence[int]
) -> Swap | None:
    """Return the pointer's move during a command and when all workers had followed."""
    move = next((one for one in run.moves if event.began <= one[0] <= event.ended + 0.1), None)
    if move is None:
        return None
    moved, snapshot_id = move
    until = min((at for at, _ in run.moves if at > moved), default=float("inf"))
    first = {
        worker: min(
            (
                row.done
                for row in rows
                if row.worker == worker
                and row.snapshot == snapshot_id
                and moved <= row.done < until
            ),
            default=None,
        )
        for worker in workers
    }
    seen = [at for at in first.values() if at is not None]
    return Swap(event, moved, max(seen) if len(seen) == len(workers) else None)


def _stale(rows: Sequence[Row], commits: Sequence[tuple[float, int]]) -> list[str]:
    """Return a sentence per generation that was answered from too long after the next came."""
    problems = []
    for committed, generation in commits:
        late = [
            row.sent - committed
            for row in rows
            if 0 <= row.generation < generation and row.sent > committed + VISIBLE_SECONDS
        ]
        if late:
            problems.append(
                f"slow: generation {generation} was not shown {max(late):.2f} s after it was "
                f"written, by {len(late)} answers"
            )
    return problems


def _latencies(
    rows: Sequence[Row], calm: Sequence[tuple[float, float]], swaps: Sequence[Swap]
) -> dict[str, Any]:
    """Return percentiles in calm, beside swaps and while commands run, by round and over all."""
    at = np.array([row.due for row in rows])
    wall_ms = 1000 * np.array([row.done - row.due for row in rows])
    by_round: list[dict[str, float]] = []
    masks: dict[str, list[np.ndarray[Any, np.dtype[np.bool_]]]] = {
        "calm": [],
        "swap": [],
        "work": [],
    }
    for number, (began, ended) in enumerate(calm, start=1):
        mine = [swap for swap in swaps if swap.event.round == number]
        in_swap, in_work = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
        for swap in mine:
            end = (swap.followed or swap.event.ended) + AFTER_SWAP_SECONDS
            in_swap |= (at >= swap.moved) & (at < end)
            in_work |= (at >= swap.event.began) & (at < swap.moved)
        masks["calm"].append((at >= began) & (at < ended))
        masks["swap"].append(in_swap)
        masks["work"].append(in_work & ~in_swap)
        by_round.append(
            {name: _p99(wall_ms[found[-1]]) for name, found in masks.items() if found[-1].any()}
        )
    together = {
        name: {
            str(q): round(float(np.percentile(wall_ms[np.any(found, axis=0)], q)), 2)
            for q in (50, 90, 99)
        }
        for name, found in masks.items()
        if found and np.any(found)
    }
    ratios = {
        name: _spread([one[name] / one["calm"] for one in by_round if {name, "calm"} <= one.keys()])
        for name in ("swap", "work")
    }
    counts = {name: int(np.sum(found)) for name, found in masks.items()}
    return {"answers": counts, "ms": together, "p99_over_calm_by_round": ratios}


def _p99(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(np.percentile(values, 99))


def _write_latencies(
    load: LoadReport, calm: Sequence[tuple[float, float]], swaps: Sequence[Swap]
) -> dict[str, Any]:
    def within(spans: Sequence[tuple[float, float]]) -> list[float]:
        return [
            1000 * (done - sent)
            for sent, done in load.writes
            if any(began <= sent < ended for began, ended in spans)
        ]

    spans = {
        "calm": list(calm),
        "swap": [(one.moved, (one.followed or one.moved) + AFTER_SWAP_SECONDS) for one in swaps],
    }
    return {name: _spread(within(span)) for name, span in spans.items()}


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "count": len(values),
        "median": round(statistics.median(values), 3),
        "max": round(max(values), 3),
    }
