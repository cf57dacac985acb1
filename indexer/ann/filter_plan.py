"""How to answer a filtered search: compare with every kept row, or ask the index.

Costs are processor microseconds of one query. What an index costs was measured while it was tuned;
what comparing costs follows from the bytes read.
"""

from __future__ import annotations

from dataclasses import dataclass

GATHER_BYTES_PER_MICROSECOND = 4_000
"""How fast rows are read that lie scattered."""

COMPARED_DIMS_PER_MICROSECOND = 25_000
"""How fast a batch multiplies, once the rows are there: 50 GFLOP/s of one core."""

UNKNOWN_MICROSECONDS = 150.0
"""Taken for the cost of a search where none was measured."""

READ_AGAIN = 4.0
"""Kept rows to read, against the rows that an unfiltered search reads for its recall.

The nearest kept rows lie among their like as the nearest of all rows lie among theirs, so reading
as many of them would find the same share. The rest is for filters that go with the vectors: the
query is then further from what is kept, and the order of the lists says less. Measured by
`benchmarks.ann` on 50 000 vectors like CLIP's, together with `COMPARED_AGAIN`.
"""

COMPARED_AGAIN = 4
"""Candidates to compare in full, against those that an unfiltered search compares: further from the
query, their quantised codes tell them apart less well.
"""

ROWS_PER_NEIGHBOR = 8
"""Kept rows to read at least for each neighbour wanted."""

GRAPH_MARGIN = 3.0
"""Neighbours to walk to, against those that would hold ``k`` kept rows on average."""


@dataclass(frozen=True, slots=True)
class FilterPlan:
    """What is known of an approximate index, to weigh it against comparing with the kept rows."""

    num_rows: int
    dim: int

    cpu_microseconds: float | None
    """Of an unfiltered search; ``None`` where it was not measured."""

    share_of_lists: float | None = None
    """Read by an unfiltered search; ``None`` without inverted lists."""

    ef_search: int | None = None
    """Of an unfiltered search; ``None`` without a graph."""

    def prefers_exact(
        self, num_kept: int, k: int, num_queries: int, walked: int | None = None
    ) -> bool:
        """Tell whether comparing with every kept row costs less than asking the index.

        Args:
            num_kept: rows that the filter keeps.
            k: neighbours wanted.
            num_queries: asked together, which share the reading of the kept rows.
            walked: neighbours that a graph has to be walked to; estimated when ``None``.
        """
        gathering = 4 * num_kept * self.dim / GATHER_BYTES_PER_MICROSECOND / max(1, num_queries)
        exact = gathering + num_kept * self.dim / COMPARED_DIMS_PER_MICROSECOND
        return exact <= self._index_microseconds(num_kept, k, walked)

    def rows_to_read(self, k: int) -> int:
        """Return how many kept rows a search through inverted lists has to see."""
        share = self.share_of_lists or 1.0
        return int(max(READ_AGAIN * share * self.num_rows, ROWS_PER_NEIGHBOR * k))

    def neighbors_to_walk(self, num_kept: int, k: int) -> int:
        """Return how many neighbours to look at in a graph when ``k`` kept ones are wanted."""
        return int(GRAPH_MARGIN * k * self.num_rows / max(1, num_kept)) + 1

    def _index_microseconds(self, num_kept: int, k: int, walked: int | None) -> float:
        unfiltered = self.cpu_microseconds or UNKNOWN_MICROSECONDS
        if self.ef_search is not None:
            walked = walked or self.neighbors_to_walk(num_kept, k)
            return unfiltered * max(1.0, walked / self.ef_search)
        if self.share_of_lists is not None:
            share = min(1.0, self.rows_to_read(k) / max(1, num_kept))
            # About half of an unfiltered search is finding the lists, which happens once.
            return unfiltered * max(1.0, 0.5 + 0.5 * share / self.share_of_lists)
        return unfiltered
