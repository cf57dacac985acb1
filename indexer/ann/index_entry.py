"""What a snapshot's manifest says about one index."""

from __future__ import annotations

from typing import Literal

import msgspec


class SearchSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """How hard an index looks; ``None`` where its kind has no such knob."""

    nprobe: int | None = None
    """How many inverted lists are read."""

    k_factor: int | None = None
    """How many candidates per wanted neighbour are compared again with their full vectors."""

    ef_search: int | None = None
    """How many candidates a walk through an HNSW graph keeps."""


class CurvePoint(msgspec.Struct, frozen=True):
    """What one setting was worth while the index was tuned."""

    search: SearchSettings

    recall_at_10: float
    """Against exact search, on the sample it was tuned with."""


class IndexEntry(msgspec.Struct, frozen=True):
    """One index on disk."""

    engine: Literal["faiss", "exact"]

    factory: str
    """The FAISS factory string it was made from; ``numpy`` for the exact engine."""

    dim: int
    """Length of the vectors."""

    padded_dim: int
    """Length they are stored with: zeros are appended where the quantiser needs a multiple of 8."""

    num_rows: int

    exact: bool
    """Whether it always finds the true nearest rows."""

    vectors_file: bool
    """Whether ``vectors.npy`` lies beside it, because the index cannot give its vectors back."""

    search: SearchSettings = SearchSettings()

    recall_curve: tuple[CurvePoint, ...] = ()
    """The settings tried, in order; the last is the best.

    ``search`` is that one, unless ``auto`` found that none reaches the target recall and took a
    flat index instead.
    """
