"""Looks and timbre: a classifier's features as vectors, in a space of their own.

The features are taken as they are. Subtracting their mean or taking roots changed how often
like was found by like, among 785 pictures and 249 sounds, by less than the sampling error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from encoders.encoder import EncoderIdentity
from encoders.space import Vectors, unit_rows

ContentT_contra = TypeVar("ContentT_contra", contravariant=True)


class Features(Protocol):
    """What a classifier sees in a batch."""

    @property
    def features(self) -> NDArray[np.float32]:
        """``(num_contents, feature_dim)`` float32."""
        ...


class FeatureClassifier(Protocol[ContentT_contra]):
    """A classifier that shows what its last layer sees."""

    def outputs(self, batch: Sequence[ContentT_contra]) -> Features:
        """Return the features of every content of the batch."""
        ...


class FeatureEncoder(Generic[ContentT_contra]):
    """Encodes pictures or sounds as the unit vectors of a classifier's features.

    Args:
        classifier: gives the features.
        identity: as `EncoderLoader.identify` gives it.
    """

    def __init__(
        self, classifier: FeatureClassifier[ContentT_contra], identity: EncoderIdentity
    ) -> None:
        self._classifier = classifier
        self._identity = identity

    @property
    def identity(self) -> EncoderIdentity:
        """Which encoder this is and which space it feeds."""
        return self._identity

    def encode(self, batch: Sequence[ContentT_contra]) -> Vectors:
        """Return the ``(len(batch), dim)`` float32 unit rows of a batch."""
        return unit_rows(self._classifier.outputs(batch).features)
