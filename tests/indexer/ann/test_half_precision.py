from __future__ import annotations

import numpy as np

from indexer.ann.half_precision import as_float32


def test_every_finite_half_becomes_the_same_number() -> None:
    halves = np.arange(65_536, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(-1, 2)
    floats = as_float32(halves)
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, halves.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(floats), np.signbit(halves))


def test_float32_rows_are_left_alone() -> None:
    rows = np.ones((3, 4), np.float32)
    assert np.shares_memory(as_float32(rows), rows)
    assert as_float32(np.empty((0, 4), np.float16)).shape == (0, 4)
