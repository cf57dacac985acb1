from __future__ import annotations

import numpy as np

from indexer.delta import GrowingArray


def test_views_taken_before_stay_as_they_were() -> None:
    growing = GrowingArray((2,), np.float32)
    first = growing.extended(0, np.ones((3, 2), np.float32))
    views = [first]
    for number in range(2, 60):
        block = np.full((3, 2), number, np.float32)
        views.append(growing.extended(len(views[-1]), block))
    assert first.tolist() == [[1, 1]] * 3
    assert views[-1][:, 0].tolist() == [number for number in range(1, 60) for _ in range(3)]
    assert [len(view) for view in views] == list(range(3, 180, 3))


def test_an_extension_that_was_given_up_is_overwritten() -> None:
    growing = GrowingArray((), np.int64)
    kept = growing.extended(0, np.array([1, 2]))
    growing.extended(len(kept), np.array([66, 66, 66]))
    assert growing.extended(len(kept), np.array([3])).tolist() == [1, 2, 3]
