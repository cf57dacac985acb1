"""What may not be so after a command met a full disk or an I/O error, and after the next run."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.made_up_commands import CommandEnd, Place
from benchmarks.stored_state import StoredState, answers_differ

FAILED, REFUSED = 1, 3
NAMES = ("live rank", "snapshots", "items", "delta", "files")

BESIDE = "kindred: the metrics were not written: "
"""What a command may say besides its reason, on stderr."""


def problems_of_end(
    end: CommandEnd, place: Place, after: StoredState | None, whole: StoredState
) -> Iterator[str]:
    """Yield what is wrong with how a command ended that met a fault.

    Args:
        end: how it ended.
        place: where it ran.
        after: what it left; ``None``: no catalog.
        whole: what it leaves when nothing goes wrong.
    """
    beside = [line for line in end.err.splitlines() if not line.startswith(BESIDE)]
    if beside:
        yield f"it said on stderr: {beside[-5:]}"
    if end.out.count("\n") != 1:
        yield f"it printed {end.out.count(chr(10))} lines: {end.out[-500:]}"
    if end.exit_code == 0:
        if after is None or after.settled()[:4] != whole.settled()[:4]:
            yield "it called itself done and was not"
        return
    if end.exit_code not in (FAILED, REFUSED):
        yield f"it ended with {end.exit_code}"
    if "internal_error" in end.out or not end.reason or "\n" in end.reason:
        yield f"its reason is no sentence: {end.out[-500:]}"
    if str(place.folder) not in end.reason:
        yield f"its reason names no path: {end.reason}"


def problems_of_state(
    before: StoredState | None, after: StoredState | None, whole: StoredState
) -> Iterator[str]:
    """Yield what is wrong with what a fault left, ``after``, where ``before`` was served."""
    if after is None:
        if before is not None:
            yield "the catalog is gone"
        return
    yield from after.problems
    if before is None:
        return
    yield from answers_differ(before, after)
    if after.live != before.live and (after.live_rank, after.items) != (
        whole.live_rank,
        whole.items,
    ):
        yield f"{after.live} is served, which is neither the one before nor the right new one"


def problems_of_next(
    end: CommandEnd, again: CommandEnd, last: StoredState, whole: StoredState
) -> Iterator[str]:
    """Yield what is wrong with the next run, ``again``, and with what it left, ``last``.

    Args:
        end: how the run ended that met the fault.
        again: how the next one ended.
        last: what it left.
        whole: what an undisturbed run leaves.
    """
    # A backup or restore that did its work in spite of the fault refuses to do it over.
    if again.exit_code != 0 and not (end.exit_code == 0 and again.exit_code == REFUSED):
        yield f"the next run ended with {again.exit_code}: {again.reason}"
    yield from last.problems
    yield from answers_differ(last, whole)
    for name, left, right in zip(NAMES, last.settled(), whole.settled(), strict=True):
        if left == right:
            continue
        if isinstance(left, frozenset) and isinstance(right, frozenset):
            yield f"files differ in the end: {sorted(left ^ right)}"
        else:
            yield f"{name} differ in the end: {left} instead of {right}"
