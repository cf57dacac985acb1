"""What a data folder holds and answers, in a form in which two of them can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.made_up_commands import TO_TAKE_DOWN, Place, item_names
from benchmarks.made_up_items import COLLECTION, made_up_identities, made_up_vectors
from benchmarks.write_points import step_name
from encoders.errors import KindredError
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.durable_files import file_sha256
from indexer.live_view import LiveCollection
from indexer.publish import finished_snapshots, live_snapshot_path
from indexer.snapshot import Snapshot

K = 5
NUM_QUESTIONS = 10
MAX_SCORE_DIFFERENCE = 1e-3
"""Vectors are kept as float16."""

Answer = list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class StoredState:
    """A data folder as a fresh process finds it."""

    live: str | None
    """The live snapshot."""

    live_rank: int
    """How many finished snapshots are newer."""

    num_snapshots: int
    items: dict[str, str]
    """Content by item."""

    num_delta: int
    """Items changed since the live snapshot."""

    answers: dict[str, list[Answer]]
    """By channel, to each question: items that no command touches, nearest first."""

    files: frozenset[str]
    """Names of all files, the same in every run."""

    problems: list[str]
    """What is not whole although it looks so."""

    def settled(self) -> tuple[object, ...]:
        """Return what a completed command leaves behind, whatever happened before it."""
        return self.live_rank, self.num_snapshots, self.items, self.num_delta, self.files


def look(place: Place, *, data: str = "data") -> StoredState:
    """Open a data folder as a server does, and read everything in it that may be served."""
    data_dir = DataDir(place.folder / data)
    identity = made_up_identities()["flat"]
    config = place.config
    with Catalog.open(data_dir) as catalog:
        catalog.check_integrity()
        items = {
            known.item.item_id: known.item.content_sha256
            for known in catalog.known_items(COLLECTION)
        }
        identities = dict.fromkeys(config.channels, identity)
        view = LiveCollection(catalog, data_dir, config, identities).view()
        ids = np.array(view.items.column("item_id").to_pylist())
        untouched = np.isin(ids, [name for name in item_names() if name != TO_TAKE_DOWN])
        questions = np.concatenate(
            [made_up_vectors(name, 0)[:1] for name in item_names()[-NUM_QUESTIONS:]]
        )
        answers = {}
        for channel in view.channels:
            found = view.search(channel, questions, K, untouched)
            names = [ids[view.segments(channel, rows).item_rows].tolist() for rows in found.rows]
            answers[channel] = [
                list(zip(name, scores.tolist(), strict=True))
                for name, scores in zip(names, found.scores, strict=True)
            ]
    finished = finished_snapshots(data_dir, COLLECTION)
    live = live_snapshot_path(data_dir, COLLECTION)
    return StoredState(
        live=live.name if live else None,
        live_rank=-1 if live is None else len(finished) - 1 - finished.index(live),
        num_snapshots=len(finished),
        items=items,
        num_delta=view.num_delta_items,
        answers=answers,
        files=_files(data_dir.root),
        problems=[*_damaged(finished), *_other_content(data_dir)],
    )


def answers_differ(one: StoredState, other: StoredState) -> list[str]:
    """Return how the answers of two states differ; empty if they are the same."""
    differences = []
    for channel, answers in one.answers.items():
        for number, (left, right) in enumerate(zip(answers, other.answers[channel], strict=True)):
            same_names = [name for name, _ in left] == [name for name, _ in right]
            scores = np.array([[score for _, score in left], [score for _, score in right]])
            if not same_names or np.ptp(scores, axis=0).max() > MAX_SCORE_DIFFERENCE:
                differences.append(f"channel {channel}, question {number}: {left} became {right}")
    return differences


def _files(root: Path) -> frozenset[str]:
    # The log beside the catalog comes and goes with those who have it open.
    return frozenset(
        step_name("", str(path), root).strip()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith("catalog.sqlite-")
    )


def _damaged(finished: list[Path]) -> list[str]:
    problems = []
    for path in finished:
        try:
            Snapshot.open(path)
        except KindredError as error:
            problems.append(f"a snapshot that looks finished is damaged: {error.message}")
    return problems


def _other_content(data_dir: DataDir) -> list[str]:
    return [
        f"{path.name} has other content than its name says"
        for path in data_dir.blobs.glob("??/*")
        if path.parent.name != "in" and file_sha256(path) != path.name
    ]
