"""How many threads the libraries below start on their own, before anybody asks for more."""

from __future__ import annotations

import os

# Threads are settings of each library here; what these stop is a second pool of BLAS threads that
# spin on small matrices (a 10 s sound through YAMNet: 61 ms of processor time with two of them,
# 31 ms with one, and no less wall time).
THREAD_DEFAULTS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def set_thread_defaults() -> None:
    """Set `THREAD_DEFAULTS` where the environment does not say otherwise.

    They are read once, when numpy, torch and FAISS are imported: call it before that.
    """
    for variable, value in THREAD_DEFAULTS.items():
        os.environ.setdefault(variable, value)
