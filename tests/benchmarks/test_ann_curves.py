from collections.abc import Callable, Sequence

import numpy as np
import pytest

from benchmarks.ann_comparison import against_best_peer
from benchmarks.ann_curves import (
    Point,
    Questions,
    fastest_at,
    front,
    questions,
    ratio,
    recall,
    swept,
    take_turns,
)
from benchmarks.ann_engines import Setting
from benchmarks.timing import Spent
from encoders.space import Vectors
from indexer.ann.vector_index import Rows, Selection

# On a line: the score of row n with the query (1, 0) is its first number.
VECTORS = np.array([[0.9, 0], [0.8, 0], [0.7, 0], [0.7, 0.1], [0.1, 0]], np.float32)
QUERY = np.array([[1.0, 0.0]], np.float32)


class FirstRows:
    """Finds the first ``width`` rows and nothing else."""

    name = "first rows"

    def __init__(self, settings: Sequence[Sequence[Setting]] = ()) -> None:
        self.settings = settings
        self.asked: list[tuple[int, Setting]] = []

    def ladder(self) -> Sequence[Sequence[Setting]]:
        return self.settings

    def search(self, queries: Vectors, k: int, setting: Setting) -> Rows:
        self.asked.append((len(queries), setting))
        rows = np.full((len(queries), k), -1, np.int64)
        width = min(k, setting["width"])
        rows[:, :width] = np.arange(width)
        return rows


def point(recall_reached: float, *cpu_seconds: float, engine: FirstRows | None = None) -> Point:
    spent = [Spent(seconds, 9.0) for seconds in cpu_seconds]
    return Point(engine or FirstRows(), {}, recall_reached, batch=spent, single=list(spent))


def test_recall_counts_equally_near_rows_and_no_row_twice() -> None:
    asked = questions(VECTORS, QUERY, k=3)
    assert asked.kth_scores.tolist() == pytest.approx([0.7])
    assert recall(asked, np.array([[0, 1, 2]]), VECTORS) == 1
    assert recall(asked, np.array([[0, 1, 3]]), VECTORS) == 1
    assert recall(asked, np.array([[3, 0, 4]]), VECTORS) == pytest.approx(2 / 3)
    assert recall(asked, np.array([[1, 1, 1]]), VECTORS) == pytest.approx(1 / 3)
    assert recall(asked, np.array([[0, -1, -1]]), VECTORS) == pytest.approx(1 / 3)


def test_recall_among_survivors_asks_for_no_more_than_there_are() -> None:
    among = Selection(np.array([False, True, False, False, True]))
    asked = questions(VECTORS, QUERY, among)
    assert asked.k == 2
    assert recall(asked, np.array([[1, 4]]), VECTORS, among) == 1
    # Row 0 is nearer than either, but not allowed.
    assert recall(asked, np.array([[0, 1]]), VECTORS, among) == 0.5


def test_a_sweep_ends_when_enough_is_found() -> None:
    asked = questions(VECTORS, QUERY, k=3)
    engine = FirstRows([[{"width": n}] for n in (1, 2, 3, 4)])
    assert [found.recall for found in swept(engine, asked, VECTORS)] == pytest.approx(
        [1 / 3, 2 / 3, 1]
    )


def test_a_sweep_leaves_a_row_of_settings_that_gains_nothing() -> None:
    asked = Questions(QUERY, np.array([0.9], np.float32), 2)
    engine = FirstRows([[{"width": 1, "factor": n} for n in (1, 2, 3)], [{"width": 1}]])
    tried = [found.setting for found in swept(engine, asked, VECTORS)]
    assert tried == [{"width": 1, "factor": 1}, {"width": 1, "factor": 2}, {"width": 1}]


def test_front_holds_what_is_beaten_in_neither_recall_nor_speed() -> None:
    slow_and_good, beaten, fast_and_bad = point(0.99, 2.0), point(0.95, 3.0), point(0.9, 1.0)
    assert front([slow_and_good, beaten, fast_and_bad], 10) == [fast_and_bad, slow_and_good]


def test_fastest_of_those_that_find_enough() -> None:
    points = [point(0.97, 1.0), point(0.98, 3.0), point(0.99, 2.0)]
    assert fastest_at(points, 0.98, 10) is points[2]
    assert fastest_at(points, 0.995, 10) is None


def test_ratio_compares_within_rounds() -> None:
    # Both slow down tenfold in the second round: still twice as fast.
    ours, theirs = point(1, 1.0, 10.0, 1.0), point(1, 2.0, 20.0, 2.0)
    assert ratio(ours.batch, theirs.batch) == 2


def test_the_best_peer_may_be_another_in_batches_than_singly() -> None:
    own = point(0.98, 1.0)
    good_at_batches = point(0.98, 0.5, engine=FirstRows())
    good_at_batches.single = [Spent(4.0, 0)]
    good_singly = point(0.98, 2.0, engine=FirstRows())
    ours_tuned = point(0.98, 0.1, engine=own.engine)  # type: ignore[arg-type]
    finalists = {"own": own, "tuned": ours_tuned, "a": good_at_batches, "b": good_singly}
    assert against_best_peer(finalists) == {
        "batch_over_best_peer": 0.5,
        "single_over_best_peer": 2.0,
    }
    assert set(against_best_peer({"own": own}).values()) == {None}


def test_every_point_has_its_turn_in_every_round() -> None:
    order: list[int] = []
    engine = FirstRows()
    points = [Point(engine, {"width": width}, 1.0) for width in (1, 2)]

    def spent(action: Callable[[], object]) -> Spent:
        action()
        order.append(engine.asked[-1][1]["width"])
        return Spent(1.0, 1.0)

    take_turns(points, np.repeat(QUERY, 4, axis=0), 2, num_single=3, spent=spent)
    assert order == [1, 1, 2, 2, 2, 2, 1, 1]
    assert [len(each.batch) for each in points] == [2, 2]
    assert [size for size, _ in engine.asked[:4]] == [4, 1, 1, 1]
