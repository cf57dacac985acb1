"""Vector spaces: what may be compared with what."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.errors import SpaceMismatch

Vectors: TypeAlias = NDArray[np.float32]
"""``(num_rows, dim)`` float32, C-contiguous, unit rows."""

MIN_LENGTH = 1e-12


def unit_rows(vectors: NDArray[np.floating]) -> Vectors:
    """Return a float32 copy of ``vectors`` whose rows have length 1.

    Args:
        vectors: ``(num_rows, dim)`` of any float type.

    Returns:
        ``(num_rows, dim)`` float32. Rows shorter than 1e-12 come back as zeros, so they match
        nothing instead of everything.
    """
    rows = np.array(vectors, dtype=np.float32, order="C", copy=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    short = lengths < MIN_LENGTH
    rows /= np.where(short, np.float32(1), lengths)
    rows[short[:, 0]] = 0
    return rows


def require_same_space(
    left: str, left_space_id: str, left_dim: int, right: str, right_space_id: str, right_dim: int
) -> None:
    """Refuse to compare across spaces.

    Args:
        left: what is being compared, for the message ("query", "snapshot 2026…").
        left_space_id: its space.
        left_dim: its dimension.
        right: the other side.
        right_space_id: its space.
        right_dim: its dimension.

    Raises:
        SpaceMismatch: naming both sides.
    """
    if left_space_id != right_space_id or left_dim != right_dim:
        raise SpaceMismatch(
            f"{left} is in {left_space_id} (dim {left_dim}), "
            f"{right} in {right_space_id} (dim {right_dim})",
            left={"name": left, "space_id": left_space_id, "dim": left_dim},
            right={"name": right, "space_id": right_space_id, "dim": right_dim},
        )
