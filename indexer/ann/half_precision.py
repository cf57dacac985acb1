"""Float16 rows as float32, several times faster than numpy's own conversion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors

Stored = NDArray[np.float32] | NDArray[np.float16]
"""``(num_rows, dim)`` rows as they lie in a file or in memory."""

_EXPONENT_SHIFT = np.int32(13)
_EXPONENT_SCALE = np.float32(2.0**112)

# Bits 28 to 30 only repeat the sign after a half was widened as a whole number.
_WITHOUT_REPEATED_SIGN = np.int32(-0x70000001)

ROWS_PER_PASS = 256
"""Few enough rows that the passes below find each other's results in the processor's cache."""


def as_float32(rows: Stored) -> Vectors:
    """Return ``rows`` as float32: themselves where they are float32 already.

    Exact for every finite number, subnormal ones included. Infinity and NaN become other numbers;
    stored vectors are unit rows and hold neither.
    """
    if rows.dtype == np.float32:
        return rows.astype(np.float32, copy=False)
    floats = np.empty(rows.shape, np.float32)
    for start in range(0, len(rows), ROWS_PER_PASS):
        halves = rows[start : start + ROWS_PER_PASS].view(np.int16)
        _widen(halves, floats[start : start + ROWS_PER_PASS])
    return floats


def _widen(halves: NDArray[np.int16], floats: Vectors) -> None:
    """Write the bits of halves into ``floats``, of the same shape, by shifting them.

    A half has 5 bits of exponent where a float has 8. Shifted into place they say a number that is
    2**112 too small, the difference of the two biases, which one multiplication puts right.
    """
    bits = floats.view(np.int32)
    np.copyto(bits, halves)
    np.left_shift(bits, _EXPONENT_SHIFT, out=bits)
    np.bitwise_and(bits, _WITHOUT_REPEATED_SIGN, out=bits)
    np.multiply(floats, _EXPONENT_SCALE, out=floats)
