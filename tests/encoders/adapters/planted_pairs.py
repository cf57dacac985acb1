"""Pairs in vectors whose rule is known."""

import numpy as np
from numpy.typing import NDArray

from encoders.adapters.encoded_pairs import EncodedPairs
from encoders.space import Vectors, unit_rows

FEATURE_DIM = 24
DIM = 16


def draw(seed: int, *shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape)


def pairs_of(features: Vectors, base: Vectors | None, targets: Vectors) -> EncodedPairs:
    numbers = np.arange(len(targets))
    return EncodedPairs(features, base, targets, numbers, numbers, numbers)


def planted_pairs(num_pairs: int = 120) -> EncodedPairs:
    """Titles are a linear map of the features; the base knows nothing."""
    features = unit_rows(draw(1, num_pairs, FEATURE_DIM))
    targets = unit_rows(features @ draw(2, FEATURE_DIM, DIM))
    return pairs_of(features, unit_rows(draw(3, num_pairs, DIM)), targets)


def pairs_with_noise_for_features(num_pairs: int = 120) -> EncodedPairs:
    """The base knows about the titles; the features have nothing to do with them."""
    targets = unit_rows(draw(2, num_pairs, DIM))
    base = unit_rows(targets + 0.35 * draw(3, num_pairs, DIM))
    return pairs_of(unit_rows(draw(1, num_pairs, FEATURE_DIM)), base, targets)
