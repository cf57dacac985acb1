"""Processor time beside wall time, of one action or of the stages of a long one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that one run took."""

    cpu: float
    wall: float

    def __add__(self, other: Spent) -> Spent:
        """Return both together."""
        return Spent(self.cpu + other.cpu, self.wall + other.wall)


def spent_on(action: Callable[[], object]) -> Spent:
    """Return what ``action`` took of this process, all of its threads together."""
    cpu, wall = time.process_time(), time.perf_counter()
    action()
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


class StageClock:
    """Shares out the time between stages, each a function that is called inside.

    A stage is charged with its own time alone: what a watched function spends in another watched
    one counts for the other. Watch only functions that are called from one thread.
    """

    def __init__(self) -> None:
        self.stages: dict[str, Spent] = {}
        """What each stage took, in the order in which they first ended."""

        self.num_calls: dict[str, int] = {}

        self._running: list[str] = []
        self._cpu = self._wall = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge ``name`` with what is done inside."""
        self._charge()
        self._running.append(name)
        self.num_calls[name] = self.num_calls.get(name, 0) + 1
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    @contextmanager
    def watch(self, owner: Any, attribute: str, name: str) -> Iterator[None]:
        """Charge ``name`` with every call of ``owner.attribute`` until the block ends.

        Args:
            owner: a module or a class; callers must look the function up there.
            attribute: the function's name.
            name: the stage.
        """
        original = getattr(owner, attribute)

        @wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return original(*args, **kwargs)

        setattr(owner, attribute, timed)
        try:
            yield
        finally:
            setattr(owner, attribute, original)

    def _charge(self) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        if self._running:
            name = self._running[-1]
            spent = Spent(cpu - self._cpu, wall - self._wall)
            self.stages[name] = self.stages.get(name, Spent(0.0, 0.0)) + spent
        self._cpu, self._wall = cpu, wall
