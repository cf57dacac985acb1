"""FAISS itself: imported here and nowhere else, set up for this processor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from encoders.errors import DependencyMissing, KindredError

DISTRIBUTIONS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12")

# Above num_queries * dim of this, batches go through BLAS. The wheel's 128 000 keeps batches of 64
# at a seventh of the speed BLAS has; below about five queries of 384 dimensions BLAS is the slower.
BLAS_THRESHOLD = 2_000


class DependencyConflict(KindredError):
    """Two installed packages overwrite each other's files."""

    code = "dependency_conflict"


@cache
def load_faiss() -> Any:
    """Import FAISS, set up for this processor.

    Raises:
        DependencyMissing: neither extra, ``cpu`` or ``gpu``, is installed.
        DependencyConflict: both are; they share one folder and the later one wins silently.
    """
    installed = [name for name in DISTRIBUTIONS if _is_installed(name)]
    if len(installed) > 1:
        raise DependencyConflict(
            f"{' and '.join(installed)} are both installed and overwrite each other's files: "
            "uninstall both, then install kindred-search[cpu] or kindred-search[gpu]",
            installed=installed,
        )
    try:
        with _blas_for_this_processor():
            import faiss
    except ImportError as error:
        raise DependencyMissing(
            "FAISS is not installed: install kindred-search[cpu], or kindred-search[gpu] where "
            f"there is a CUDA device ({error})",
            extras=["cpu", "gpu"],
        ) from error
    faiss.cvar.distance_compute_blas_threshold = BLAS_THRESHOLD
    return faiss


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


@contextmanager
def _blas_for_this_processor() -> Iterator[None]:
    """Tell the OpenBLAS inside the FAISS wheel which processor it runs on.

    The one it bundles is older than current processors, takes them for a Prescott and uses SSE3
    only: a twentieth of the machine on batches. It reads the variable while being loaded.
    """
    name = "OPENBLAS_CORETYPE"
    core = _openblas_core(Path("/proc/cpuinfo"))
    if core is None or name in os.environ:
        yield
        return
    os.environ[name] = core
    try:
        yield
    finally:
        del os.environ[name]


def _openblas_core(cpuinfo: Path) -> str | None:
    if not cpuinfo.is_file():
        return None
    flags: set[str] = set()
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("flags"):
            flags = set(line.split(":", 1)[1].split())
            break
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags:
        return "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= flags else None


def faiss_build() -> str:
    """Return which FAISS this is, for people: ``faiss-cpu 1.15.1 (OPTIMIZE AVX512 ...)``."""
    faiss = load_faiss()
    (distribution,) = [name for name in DISTRIBUTIONS if _is_installed(name)] or ["faiss"]
    return f"{distribution} {faiss.__version__} ({faiss.get_compile_options().strip()})"
