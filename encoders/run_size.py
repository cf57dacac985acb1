"""How many contents go through a network at once, chosen by a short warm-up where many come.

The run sizes that encoders begin with were measured for a few models on one kind of processor. A
smaller network, or another machine, is faster with larger runs, and one with little memory needs
smaller ones. The warm-up tries some on contents made for it and keeps the best.

The choice depends on the clock, so it may differ from process to process. A vector does not depend
on it beyond the last digits of float32, in which kernels of matrix products differ with the size
of a run; nothing of it enters an ``encoder_id``. Without a `RunBudget` nothing is tried, and
vectors repeat to the last bit.
"""

from __future__ import annotations

import logging
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

CONTENTS_BEFORE_WARM_UP = 256
"""Fewer are encoded before a warm-up would pay."""

MAX_RUN_SIZE = 64
MIN_GAIN = 1.1
"""How much faster a run of twice the size has to be; less is the noise of a short measurement."""

log = logging.getLogger("kindred.encoders")


@dataclass(frozen=True, slots=True)
class RunBudget:
    """What a warm-up may use."""

    memory_bytes: int = 1_000_000_000
    """Memory that one run may need beyond weights."""

    seconds: float = 1.0
    """A size whose run would end later is not tried."""


class RunSize:
    """The number of contents per run of one tower; safe to use from several threads.

    Args:
        name: of the network and the tower, for the log.
        default: the size that is tried first, and the only one without a budget.
        run: encodes so many made contents.
        device: ``cpu`` or ``cuda:N``.
        budget: of the warm-up; ``None``: there is none.
    """

    def __init__(
        self,
        name: str,
        default: int,
        run: Callable[[int], object],
        *,
        device: str,
        budget: RunBudget | None,
    ) -> None:
        self._name = name
        self._size = default
        self._run = run
        self._device = device
        self._budget = budget
        self._num_seen = 0
        self._lock = threading.Lock()

    def of(self, num_contents: int) -> int:
        """Return the size for a batch, after a warm-up if enough contents came before it."""
        with self._lock:
            if self._budget is not None and self._num_seen >= CONTENTS_BEFORE_WARM_UP:
                self._warm_up(self._budget)
                self._budget = None
            self._num_seen += num_contents
            return self._size

    def _warm_up(self, budget: RunBudget) -> None:
        default, started = self._size, time.perf_counter()
        self._size = best_run_size(
            self._run, default, budget, memory_bytes=lambda run: _memory_bytes(run, self._device)
        )
        log.info(
            "run size of %s on %s: %d, before %d; %.2f s of warm-up",
            self._name,
            self._device,
            self._size,
            default,
            time.perf_counter() - started,
        )


def best_run_size(
    run: Callable[[int], object],
    default: int,
    budget: RunBudget,
    *,
    memory_bytes: Callable[[Callable[[], object]], int],
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Return a run size that is fast and keeps within the budget.

    Sizes are doubled from the default while that is faster. Where already the default needs more
    memory than there is, it is halved until it fits.

    Args:
        run: encodes so many contents.
        default: from 1 to `MAX_RUN_SIZE`.
        budget: of memory and time.
        memory_bytes: calls what it is given and returns the memory that needed.
        clock: seconds.

    Returns:
        From 1 to `MAX_RUN_SIZE`; 1 also where even that needs more memory than the budget.
    """
    started = clock()
    size, seconds = default, _measured(run, default, budget, memory_bytes, clock)
    while seconds is None and size > 1:
        size //= 2
        seconds = _measured(run, size, budget, memory_bytes, clock)
    if seconds is None or size < default:
        return size
    while size * 2 <= MAX_RUN_SIZE and clock() - started + 2 * seconds <= budget.seconds:
        larger = _measured(run, size * 2, budget, memory_bytes, clock)
        if larger is None or larger * MIN_GAIN > 2 * seconds:
            break
        size, seconds = size * 2, larger
    return size


def _measured(
    run: Callable[[int], object],
    size: int,
    budget: RunBudget,
    memory_bytes: Callable[[Callable[[], object]], int],
    clock: Callable[[], float],
) -> float | None:
    """Return the seconds of a run, or ``None`` if it needs more memory than it may."""
    # Whoever has a network has imported torch long before.
    import torch

    started = clock()
    try:
        needed = memory_bytes(lambda: run(size))
    except torch.OutOfMemoryError:
        return None
    return clock() - started if needed <= budget.memory_bytes else None


def _memory_bytes(run: Callable[[], object], device: str) -> int:
    """Return what a run needed: on CUDA its peak, else how far the process's own peak rose.

    A process that has needed more before shows no rise: the run fits into what is there anyway.
    """
    import torch

    if device == "cpu":
        before = _peak_bytes()
        run()
        return _peak_bytes() - before
    torch.cuda.reset_peak_memory_stats(device)
    allocated = torch.cuda.memory_allocated(device)
    run()
    return torch.cuda.max_memory_allocated(device) - allocated


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
