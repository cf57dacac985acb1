"""What a classifier gives for a batch, and a memory of the last batch."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierOutputs:
    """Class scores and features, one row per content; read-only."""

    logits: NDArray[np.float32]
    """``(num_contents, num_classes)`` float32 scores before any softmax or sigmoid."""

    features: NDArray[np.float32]
    """``(num_contents, feature_dim)`` float32, what the last layer sees; not normalised."""

    def __post_init__(self) -> None:
        self.logits.flags.writeable = False
        self.features.flags.writeable = False


class LastBatch:
    """Remembers the outputs of one batch for as long as its contents are alive.

    Contents are compared by identity of their arrays, which are held weakly: nothing is hashed
    and no picture is kept in memory for the sake of the next call.
    """

    def __init__(self) -> None:
        self._arrays: list[weakref.ref[NDArray[Any]]] = []
        self._outputs: ClassifierOutputs | None = None

    def recall(self, arrays: Sequence[NDArray[Any]]) -> ClassifierOutputs | None:
        """Return the remembered outputs if ``arrays`` are the very ones they were made from."""
        if len(arrays) != len(self._arrays):
            return None
        same = all(known() is array for known, array in zip(self._arrays, arrays, strict=True))
        return self._outputs if same else None

    def remember(
        self, arrays: Sequence[NDArray[Any]], outputs: ClassifierOutputs
    ) -> ClassifierOutputs:
        """Keep ``outputs`` in place of what was remembered before, and return them."""
        self._arrays = [weakref.ref(array) for array in arrays]
        self._outputs = outputs
        return outputs
