"""FAISS on a GPU: a copy of an index lies there and is asked by the one thread that owns the GPU.

Not tried on a device yet: the tests run it with a stand-in for FAISS's GPU classes.
"""

from __future__ import annotations

import re
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.errors import ConfigError
from encoders.space import Vectors
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.faiss_library import faiss_build, load_faiss
from indexer.ann.faiss_parts import FaissParts
from indexer.ann.vector_index import (
    NO_ROW,
    Neighbors,
    Rows,
    Selection,
    check_queries,
    nearest,
    no_neighbors,
)

CPU = "cpu"
MAX_K = 2_048
"""Neighbours, and inverted lists too, that FAISS's GPU kernels can select."""

_CUDA_DEVICE = re.compile(r"cuda:(\d{1,3})")
_OWNERS_LOCK = threading.Lock()


class GpuIndex:
    """Searches a copy on a GPU; what a GPU cannot do, the index on the processor does.

    FAISS takes no selection on a GPU, and no more than `MAX_K` neighbours: filtered and very long
    searches go to the original, which stays memory-mapped and holds the same lists.

    Args:
        original: an index opened from its file.
        device: ``cuda:N``.
        float16: keep flat vectors, and the tables of product quantisers, as float16: half the
            memory. Scores are then rounded, so that the index is no longer exact.

    Raises:
        ConfigError: this FAISS or machine has no such GPU, or FAISS keeps no such index on one.
    """

    def __init__(self, original: FaissIndex, device: str, *, float16: bool = False) -> None:
        number = _gpu_number(device)
        _refuse_other_kinds(original, device)
        self._original = original
        self._parts = FaissParts(original.index)
        self._owner = _owner_of(number)
        self._copy = self._owner.keep(original.index, float16)
        self.space_id = original.space_id
        self.dim = original.dim
        self.exact = original.exact and not float16
        # At the end of the process the driver takes everything back by itself.
        weakref.finalize(self, self._owner.drop, self._copy).atexit = False

    @property
    def num_rows(self) -> int:
        """How many rows it holds."""
        return self._original.num_rows

    def add(self, rows: Rows, vectors: Vectors) -> None:
        """Refuse: what lies on a GPU was opened from a file."""
        raise ValueError("an index opened from a file cannot be added to")

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of ``rows``: ``(len(rows), dim)`` float32."""
        return self._original.vectors(rows)

    def search(self, queries: Vectors, k: int, *, among: Selection | None = None) -> Neighbors:
        """Return the ``k`` nearest rows of each query, waiting for the GPU's turn.

        Args:
            queries: ``(num_queries, dim)`` float32.
            k: at least 1.
            among: the rows that may be returned; all when ``None``.

        Raises:
            BadQuery: the queries have the wrong shape or hold NaN, or ``k`` is below 1.
        """
        queries = check_queries(queries, self.dim, k)
        if among is not None and among.num_selected < self.num_rows:
            return self._original.search(queries, k, among=among)
        if self.num_rows == 0 or len(queries) == 0:
            return no_neighbors(len(queries), k)
        if max(k, self._num_lists_read()) > MAX_K:
            return self._original.search(queries, k)
        parameters = self._parts.parameters(self._original.settings, k)
        scores, rows = self._owner.search(self._copy, self._original.padded(queries), k, parameters)
        found = nearest(rows, scores, k, mode="exact" if self.exact else "approximate")
        short = found.rows[:, min(k, self.num_rows) - 1] == NO_ROW
        if short.any():
            more = self._original.search(queries[short], k)
            found.rows[short], found.scores[short] = more.rows, more.scores
        return found

    def _num_lists_read(self) -> int:
        lists = self._parts.lists
        return 0 if lists is None else self._original.settings.nprobe or int(lists.nprobe)


class GpuOwner:
    """The one thread that talks to a GPU, for all indexes that this process keeps there.

    FAISS allows one calling thread for a GPU index and for the memory that indexes share; even
    their release is done here.

    Args:
        number: of the device.
    """

    def __init__(self, number: int) -> None:
        self._faiss = load_faiss()
        self._number = number
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"faiss-cuda:{number}")
        self._tickets = count()
        self._copies: dict[int, Any] = {}
        self._resources = self._thread.submit(self._faiss.StandardGpuResources).result()

    def keep(self, index: Any, float16: bool) -> int:
        """Copy an index to the GPU and return the ticket to search it with.

        Raises:
            ConfigError: FAISS cannot keep it there, for instance because memory is too small.
        """

        def copied() -> int:
            options = self._faiss.GpuClonerOptions()
            options.useFloat16 = float16
            copy = self._faiss.index_cpu_to_gpu(self._resources, self._number, index, options)
            ticket = next(self._tickets)
            self._copies[ticket] = copy
            return ticket

        try:
            return self._thread.submit(copied).result()
        except RuntimeError as error:
            raise ConfigError(
                f"FAISS cannot keep this index on cuda:{self._number}: {error}",
                device=f"cuda:{self._number}",
            ) from error

    def search(
        self, ticket: int, queries: Vectors, k: int, parameters: Any
    ) -> tuple[NDArray[np.float32], Rows]:
        """Return scores and rows of a copy, ``(num_queries, k)`` each."""

        def asked() -> tuple[NDArray[np.float32], Rows]:
            found: tuple[NDArray[np.float32], Rows] = self._copies[ticket].search(
                queries, k, params=parameters
            )
            return found

        return self._thread.submit(asked).result()

    def drop(self, ticket: int) -> Future[Any]:
        """Free a copy once the searches before are done."""
        return self._thread.submit(self._copies.pop, ticket)


def _owner_of(number: int) -> GpuOwner:
    with _OWNERS_LOCK:
        return _kept_owner(number)


_kept_owner = cache(GpuOwner)


def _gpu_number(device: str) -> int:
    """Return N of ``cuda:N``, once FAISS was found to see that device."""
    matched = _CUDA_DEVICE.fullmatch(device)
    if matched is None:
        raise ConfigError(
            f"index device must be cpu or cuda:N, got {device!r}", field="index_device", got=device
        )
    faiss = load_faiss()
    if not hasattr(faiss, "StandardGpuResources"):
        raise ConfigError(
            f"index device {device!r}: {faiss_build()} is built without GPU support; uninstall it "
            "and install kindred-search[gpu], or set KINDRED_INDEX_DEVICE=cpu",
            field="index_device",
            got=device,
        )
    number, available = int(matched[1]), int(faiss.get_num_gpus())
    if number >= available:
        raise ConfigError(
            f"index device {device!r} is not there: FAISS sees {available} CUDA devices; set "
            "KINDRED_INDEX_DEVICE to one of them or to cpu",
            field="index_device",
            expected=[f"cuda:{each}" for each in range(available)],
            got=device,
        )
    return number


def _refuse_other_kinds(index: FaissIndex, device: str) -> None:
    """Raise `ConfigError` for kinds that FAISS has no GPU class for."""
    faiss = load_faiss()
    parts = FaissParts(index.index)
    # By their very class: some kinds inherit from these and would be copied as what they are not.
    kinds = (
        *(faiss.IndexFlat, faiss.IndexFlatIP, faiss.IndexIVFFlat),
        *(faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ),
    )
    halves = type(parts.inner) is faiss.IndexScalarQuantizer and (
        parts.inner.sq.qtype == faiss.ScalarQuantizer.QT_fp16
    )
    if parts.refinement is None and (type(parts.inner) in kinds or halves):
        return
    kind = type(parts.outer if parts.refinement is not None else parts.inner).__name__
    raise ConfigError(
        f"FAISS keeps no {kind} on a GPU, so {device!r} cannot serve it: name a factory made of "
        "Flat, SQfp16, IVF…,Flat, IVF…,SQ8 or IVF…,PQ… for the channel and reindex, or set "
        "KINDRED_INDEX_DEVICE=cpu",
        field="index_device",
        got=device,
        kind=kind,
    )
