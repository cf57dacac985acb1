"""Which kinds of index a channel may have, in the order in which ``auto`` tries them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, sqrt

from encoders.errors import ConfigError
from indexer.ann.index_entry import TriedIndex
from indexer.ann.size_estimate import estimated_bytes, padded_dim

FLAT_BELOW_ROWS = 20_000
"""Up to here comparing with every row is fast, and nothing has to be trained."""

FLAT_BYTES_PER_MICROSECOND = 12_000
"""How fast one core reads vectors while it compares them; 12 to 15 GB/s were measured."""

SHORT_VECTOR_DIMS = 192
"""Up to here a 4-bit code stands for 2 dimensions, beyond for 4: short vectors give too few codes
to order candidates by (GloVe-100: 0.6 of the time at recall@10 0.98).
"""

ROWS_PER_SQUARED_LIST = 2
"""There are as many inverted lists as the root of the number of rows divided by this.

A question asked alone reads all centres in full precision, yet of the rows only 4-bit codes: a
centre costs as much as 32 rows of long vectors. Six times as many lists, which suit plain inverted
lists, took 1.4 to 2 times as long a question asked alone (50 000 rows of 100 and of 512 dimensions,
20 000 of 64), 1.2 to 1.6 times as long in batches, and four times as long to build.
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind of index that fits."""

    factory: str
    estimated_bytes: int

    max_microseconds: float
    """What a query may cost: where it costs more, comparing with every row is faster."""


def flat_microseconds(num_rows: int, dim: int) -> float:
    """Return about what one query costs that is compared with every row, in microseconds."""
    return 4 * num_rows * dim / FLAT_BYTES_PER_MICROSECOND


def candidates(
    num_rows: int, dim: int, target_recall: float, memory_budget_bytes: int | None
) -> tuple[list[Candidate], list[TriedIndex]]:
    """Return what to try, best first, and what is too large for the budget.

    Inverted lists with product-quantised codes come first, then a graph, then comparing with every
    row; of each the most exact storage that fits. Few rows, and a target recall of 1, are compared
    with every row at once: nothing else finds everything.

    Raises:
        ConfigError: not even the smallest kind fits the budget.
    """
    fitting: list[Candidate] = []
    too_large: list[TriedIndex] = []
    limit = flat_microseconds(num_rows, dim)
    for compares_all, variants in _kinds(num_rows, dim, target_recall):
        for factory in variants:
            size = estimated_bytes(factory, num_rows, dim)
            if memory_budget_bytes is None or size <= memory_budget_bytes:
                fitting.append(Candidate(factory, size, inf if compares_all else limit))
                break
            why = f"takes about {size} bytes; the budget is {memory_budget_bytes}"
            too_large.append(TriedIndex(factory, why, size))
    if not fitting:
        smallest = min(too_large, key=lambda tried: tried.estimated_bytes)
        raise ConfigError(
            f"memory_budget: {num_rows} vectors of {dim} dimensions need at least "
            f"{smallest.estimated_bytes} bytes ({smallest.factory}), got {memory_budget_bytes}",
            field="memory_budget",
            expected=smallest.estimated_bytes,
            got=memory_budget_bytes,
        )
    return fitting, too_large


def lists_factory(num_rows: int, dim: int) -> str:
    """Return inverted lists with product-quantised codes, without the refinement."""
    codes = padded_dim(dim) // (2 if dim <= SHORT_VECTOR_DIMS else 4)
    num_lists = round(sqrt(num_rows / ROWS_PER_SQUARED_LIST))
    # Residuals from the list's centre ("r") cost nothing in speed and double what four bits say.
    return f"IVF{num_lists},PQ{codes}x4fsr"


def _kinds(num_rows: int, dim: int, target_recall: float) -> Iterator[tuple[bool, tuple[str, ...]]]:
    """Yield whether a kind compares with every row, and its variants, the most exact first."""
    if num_rows >= FLAT_BELOW_ROWS and target_recall < 1:
        lists = lists_factory(num_rows, dim)
        yield False, (f"{lists},RFlat", f"{lists},Refine(SQfp16)", f"{lists},Refine(SQ8)")
        yield False, ("HNSW16", "HNSW16_SQfp16", "HNSW16_SQ8")
    yield True, ("Flat", "SQfp16", "SQ8")
