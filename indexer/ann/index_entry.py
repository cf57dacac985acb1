"""What a snapshot's manifest says about one index."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Length: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Effort: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
"""Some of the rows or lists there are: how much of an index is looked at."""


class SearchSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """How hard an index looks; ``None`` where its kind has no such knob."""

    nprobe: Effort | None = None
    """How many inverted lists are read."""

    k_factor: Effort | None = None
    """How many candidates per wanted neighbour are compared again with their full vectors."""

    ef_search: Effort | None = None
    """How many candidates a walk through an HNSW graph keeps."""


class CurvePoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one setting was worth, and what it cost, while the index was tuned."""

    search: SearchSettings

    recall_at_10: float
    """Against exact search, on the sample it was tuned with."""

    cpu_microseconds: float | None = None
    """Processor time of one query asked alone, on one thread: the median over the sample. ``None``
    in manifests that are older than this measurement.
    """


class TriedIndex(msgspec.Struct, frozen=True, omit_defaults=True):
    """A kind of index that was considered and not taken."""

    factory: str

    why: str
    """Why it was passed over, in numbers."""

    estimated_bytes: int

    best_recall_at_10: float | None = None
    """The most it reached, on the sample it was tuned with; ``None`` where it was not built."""


class IndexChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a channel has the kind of index it has."""

    why: str

    estimated_bytes: int | None = None
    """About what it takes; ``None`` where the configuration names the kind."""

    memory_budget_bytes: int | None = None
    """What the index was allowed to take; ``None`` without a limit."""

    tried: tuple[TriedIndex, ...] = ()
    """Those passed over before, in order of preference."""


class IndexEntry(msgspec.Struct, frozen=True):
    """One index on disk."""

    engine: Literal["faiss", "exact", "qdrant"]

    factory: str
    """The FAISS factory string it was made from; ``numpy`` for the exact engine; for Qdrant
    how it keeps the vectors.
    """

    dim: Length
    """Length of the vectors."""

    padded_dim: Length
    """Length they are stored with: zeros are appended where the quantiser needs a multiple of 8."""

    num_rows: Count

    exact: bool
    """Whether it always finds the true nearest rows."""

    vectors_file: bool
    """Whether ``vectors.npy`` lies beside it, because the index cannot give its vectors back."""

    search: SearchSettings = SearchSettings()

    recall_curve: tuple[CurvePoint, ...] = ()
    """The settings tried with this index, in order; ``search`` is one of them: the cheapest that
    reaches the target recall, or the best where none does.
    """

    choice: IndexChoice | None = None
    """Why it is this kind of index; ``None`` in manifests that are older than this field."""

    payload: dict[str, str] = {}
    """The columns that the engine can filter on by itself, with their types."""

    @property
    def cpu_microseconds(self) -> float | None:
        """What a query cost with ``search`` while the index was tuned, if that was measured."""
        return next(
            (point.cpu_microseconds for point in self.recall_curve if point.search == self.search),
            None,
        )
