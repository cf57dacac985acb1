"""What becomes of damaged snapshots: processes that may die of it open and search them."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from benchmarks.fresh_processes import fork_server, start
from benchmarks.made_up_items import DIM, made_up_identities, made_up_vectors
from encoders.errors import KindredError
from indexer.config import CollectionConfig
from indexer.opened_snapshot import OpenedSnapshot
from indexer.snapshot import Snapshot

MAX_SECONDS = 20.0
MAX_BYTES = 6 << 30
"""Of address space: what asks for more is refused by the kernel."""

NUM_QUESTIONS = 6
K = 10

Kind: TypeAlias = Literal["refused", "same answers", "other answers", "unmapped", "died", "hung"]
Answers: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One damaged snapshot."""

    what: str
    folder: Path
    channels: tuple[str, ...]
    """Which are opened."""

    file: str | None = None
    """The damaged file, which the reason must name."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of it."""

    kind: Kind
    reason: str
    peak_bytes: int = 0
    """Memory the process had taken at most, cases before this one included."""


def verdicts(
    cases: Sequence[Case], config: CollectionConfig, expected: Answers
) -> Iterator[tuple[Case, Verdict]]:
    """Yield every case with what became of it.

    Args:
        cases: damaged snapshots.
        config: the collection.
        expected: what the undamaged snapshot answers, by channel.
    """
    done = 0
    while done < len(cases):
        ours, theirs = fork_server().Pipe(duplex=False)
        process = start(_judge_all, theirs, cases[done:], config, expected)
        theirs.close()
        kind: Kind = "died"
        with ours, contextlib.suppress(EOFError):
            while done < len(cases):
                if not ours.poll(MAX_SECONDS + 40 * (done == 0)):
                    kind = "hung"
                    process.kill()
                    break
                yield cases[done], ours.recv()
                done += 1
        process.join()
        if done < len(cases):
            code = process.exitcode or 0
            reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            yield cases[done], Verdict(kind, reason)
            done += 1


def _judge_all(
    answers: Connection, cases: Sequence[Case], config: CollectionConfig, expected: Answers
) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What libraries say when they give up is of no use here, and there is much of it.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    with answers:
        for case in cases:
            answers.send(_judged(case, config, expected))


def _judged(case: Case, config: CollectionConfig, expected: Answers) -> Verdict:
    try:
        found = answers_of(case.folder, config, case.channels)
    except KindredError as error:
        kind: Kind = "refused"
        reason = error.message
        if "\n" in reason or case.folder.name not in reason:
            kind, reason = "unmapped", f"does not name the snapshot, or has lines: {reason}"
    except Exception as error:  # whatever it is, it should have been a KindredError
        kind, reason = "unmapped", f"{type(error).__name__}: {error}"
    else:
        same = all(np.array_equal(found[each], expected[each]) for each in found)
        kind, reason = ("same answers" if same else "other answers"), ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Verdict(kind, reason, peak)


def answers_of(folder: Path, config: CollectionConfig, channels: Sequence[str]) -> Answers:
    """Open a snapshot as a server does and return what it answers, by channel."""
    identity = made_up_identities()["flat"]
    identities = dict.fromkeys(channels, identity)
    snapshot = Snapshot.open(folder, identities=identities)
    opened = OpenedSnapshot(snapshot, config.attributes, identities)
    queries = np.concatenate(
        [made_up_vectors(f"item-{number:04d}", 0)[:1] for number in range(NUM_QUESTIONS)]
    )
    assert queries.shape == (NUM_QUESTIONS, DIM)
    found = {}
    for name, channel in opened.channels.items():
        neighbors = channel.index.search(queries, K)
        rows = neighbors.rows.ravel()
        rows = rows[rows >= 0]
        items = opened.items.take(channel.item_rows[rows]).to_pylist()
        vectors = channel.index.vectors(rows)
        found[name] = np.array(
            [
                repr(neighbors.rows.tolist()),
                repr(neighbors.scores.tolist()),
                repr(items),
                repr(channel.texts(rows)),
                repr(channel.start_seconds[rows].tolist()),
                repr(vectors.tolist()),
            ]
        )
    return found
