from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from encoders.errors import DependencyMissing
from indexer.ann import faiss_library
from indexer.ann.faiss_library import DependencyConflict, faiss_build, load_faiss

ROOT = Path(__file__).parents[3]


@pytest.fixture
def not_loaded() -> None:
    load_faiss.cache_clear()


def test_two_distributions_of_faiss_are_refused(
    not_loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.0")
    with pytest.raises(DependencyConflict, match="faiss-cpu and faiss-gpu"):
        load_faiss()


def test_without_faiss_the_extras_are_named(
    not_loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(DependencyMissing, match=r"kindred-search\[cpu\].*kindred-search\[gpu\]"):
        load_faiss()


@pytest.mark.parametrize(
    ("flags", "core"),
    [
        ("fpu avx2 fma avx512f avx512dq avx512bw avx512vl", "SkylakeX"),
        ("fpu avx2 fma avx512f", "Haswell"),
        ("fpu sse2", None),
    ],
)
def test_blas_is_told_which_processor_it_runs_on(
    tmp_path: Path, flags: str, core: str | None
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor: 0\nflags\t\t: {flags}\n")
    assert faiss_library._openblas_core(cpuinfo) == core
    assert faiss_library._openblas_core(tmp_path / "absent") is None


def test_the_environment_is_left_as_it_was(not_loaded: None) -> None:
    before = dict(os.environ)
    faiss = load_faiss()
    assert dict(os.environ) == before
    assert faiss.cvar.distance_compute_blas_threshold == faiss_library.BLAS_THRESHOLD
    assert "faiss" in faiss_build()


def test_faiss_is_loaded_only_when_an_index_needs_it() -> None:
    code = "import sys, indexer.live_view, indexer.snapshot; print('faiss' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
