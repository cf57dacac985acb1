"""A small fitted adapter, and encoders of numbers that it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from encoders.adapters.file import AdapterParts, AdapterRecord, write_adapter
from encoders.adapters.fitting import FittedAdapter, Mixture
from encoders.adapters.recall import HeldOutRecall, RecallGain
from encoders.config import ConceptsConfig, FeaturesConfig, SentenceConfig
from encoders.encoder import EncoderIdentity
from encoders.retrieval_measures import Interval
from encoders.space import Vectors, unit_rows

FEATURES = EncoderIdentity("fake-features-1", "fake-features-1", 2, "image")
BASE = EncoderIdentity("fake-concepts-1", "fake-space", 3, "image")
TEXTS = EncoderIdentity("fake-space", "fake-space", 3, "text")

PARTS = AdapterParts(
    FeaturesConfig("efficientnet_lite2"),
    FEATURES,
    ConceptsConfig("efficientnet_lite2"),
    BASE,
    SentenceConfig(),
    TEXTS,
)
PARTS_WITHOUT_BASE = AdapterParts(
    FeaturesConfig("efficientnet_lite2"), FEATURES, None, None, SentenceConfig(), TEXTS
)
FOUND = RecallGain(
    Interval(0.3, 0.2, 0.4),
    Interval(0.5, 0.4, 0.6),
    Interval(0.2, 0.1, 0.3),
    Interval(0.2, 0.05, 0.35),
)
RECALL = HeldOutRecall(40, 30, (8, 8, 8, 8, 8), FOUND, FOUND)


class PickedNumbers:
    """Contents are lists of numbers, of which this encoder takes some."""

    def __init__(self, identity: EncoderIdentity, columns: slice) -> None:
        self.identity = identity
        self.columns = columns
        self.batches: list[Sequence[list[float]]] = []

    def encode(self, batch: Sequence[list[float]]) -> Vectors:
        self.batches.append(batch)
        return unit_rows(np.array(batch, dtype=np.float32)[:, self.columns])


def fitted(matrix: list[list[float]], bias: list[float], base_weight: float = 1.0) -> FittedAdapter:
    return FittedAdapter(
        np.array(matrix, np.float32),
        np.array(bias, np.float32),
        base_weight,
        3.0,
        Mixture(base_weight, 0.75, 0.5),
        (),
    )


SMALL = fitted([[0, 1, 0], [0, 0, 2]], [1, 0, 0])


def written(folder: Path, parts: AdapterParts = PARTS) -> AdapterRecord:
    return write_adapter(folder, SMALL, parts, RECALL, num_pairs=40)
