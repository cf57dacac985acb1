"""How many threads and heaps the libraries below start with, before anybody asks for more."""

from __future__ import annotations

import ctypes
import os

# Threads are settings of each library here; what these stop is a second pool of BLAS threads that
# spin on small matrices (a 10 s sound through YAMNet: 61 ms of processor time with two of them,
# 31 ms with one, and no less wall time).
THREAD_DEFAULTS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    # glibc makes heaps by the number of processors and leaves holes in all of them: over hours of
    # speech memory then wanders by 200 MB, with two heaps by 50.
    "MALLOC_ARENA_MAX": "2",
}

_M_ARENA_MAX = -8
"""Of ``mallopt(3)``."""


def set_thread_defaults() -> None:
    """Set `THREAD_DEFAULTS` where the environment does not say otherwise.

    They are read once, when numpy, torch and FAISS are imported: call it before that.
    """
    for variable, value in THREAD_DEFAULTS.items():
        os.environ.setdefault(variable, value)
    # The C library read its variable when this process began; children will find it there.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    num_heaps = os.environ["MALLOC_ARENA_MAX"]
    if mallopt is not None and num_heaps.isdecimal():
        mallopt(_M_ARENA_MAX, int(num_heaps))
