from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.adapters.encoder import AdapterEncoder, adapter_identity
from encoders.adapters.file import AdapterParts, read_adapter, write_adapter
from encoders.adapters.fitting import FittedAdapter, Mixture
from encoders.config import ConceptsConfig, FeaturesConfig, SentenceConfig
from encoders.errors import SpaceMismatch
from encoders.loading import EncoderLoader
from encoders.media.content import Picture
from tests.encoders.adapters.small_adapter import (
    BASE,
    FEATURES,
    PARTS_WITHOUT_BASE,
    RECALL,
    PickedNumbers,
    written,
)

CONTENTS = [[1.0, 0, 0, 3, 4], [0.0, 1, 1, 0, 0], [0.6, 0.8, 0, 1, 0]]


def encoders() -> tuple[PickedNumbers, PickedNumbers]:
    return PickedNumbers(FEATURES, slice(0, 2)), PickedNumbers(BASE, slice(2, 5))


def small_encoder(folder: Path) -> AdapterEncoder[list[float]]:
    written(folder / "stamps")
    return AdapterEncoder(*encoders(), read_adapter(folder / "stamps"))


def test_vectors_by_hand(tmp_path: Path) -> None:
    # Base (0, .6, .8), features (1, 0) mapped to (0, 1, 0), bias (1, 0, 0): (1, 1.6, .8).
    expected = np.array([1, 1.6, 0.8])
    rows = small_encoder(tmp_path).encode(CONTENTS[:1])
    assert rows[0] == pytest.approx(expected / np.linalg.norm(expected))


def test_rows_are_unit_float32_and_nothing_gives_nothing(tmp_path: Path) -> None:
    encoder = small_encoder(tmp_path)
    rows = encoder.encode(CONTENTS)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(3))
    assert encoder.encode([]).shape == (0, 3)


def test_batch_gives_the_same_vectors_as_single(tmp_path: Path) -> None:
    encoder = small_encoder(tmp_path)
    single = np.concatenate([encoder.encode([each]) for each in CONTENTS])
    assert encoder.encode(CONTENTS) == pytest.approx(single, abs=1e-6)


def test_both_encoders_are_asked_once_with_the_same_batch(tmp_path: Path) -> None:
    written(tmp_path / "stamps")
    features, base = encoders()
    batch = list(CONTENTS)
    AdapterEncoder(features, base, read_adapter(tmp_path / "stamps")).encode(batch)
    assert len(features.batches) == len(base.batches) == 1
    assert features.batches[0] is batch
    assert base.batches[0] is batch


def test_adapter_without_a_base_maps_features_alone(tmp_path: Path) -> None:
    written(tmp_path / "stamps", PARTS_WITHOUT_BASE)
    encoder = AdapterEncoder(encoders()[0], None, read_adapter(tmp_path / "stamps"))
    assert encoder.encode(CONTENTS[:1])[0] == pytest.approx([2**-0.5, 2**-0.5, 0])


def test_identity_is_in_the_titles_space(tmp_path: Path) -> None:
    record = written(tmp_path / "stamps")
    identity = adapter_identity(record, FEATURES, BASE)
    assert identity == small_encoder(tmp_path / "again").identity
    assert identity.encoder_id == f"adapter-{record.digest}"
    assert (identity.space_id, identity.dim, identity.medium) == ("fake-space", 3, "image")


def test_other_encoders_than_it_was_fitted_on_are_refused(tmp_path: Path) -> None:
    record = written(tmp_path / "stamps")
    with pytest.raises(SpaceMismatch, match="features fake-features-1, here it is fake-features-2"):
        adapter_identity(record, replace(FEATURES, encoder_id="fake-features-2"), BASE)
    with pytest.raises(SpaceMismatch, match="base fake-concepts-1, here it is None"):
        adapter_identity(record, FEATURES, None)


@pytest.mark.weights
def test_real_picture_runs_through_the_network_once(
    tmp_path: Path, loader: EncoderLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, concepts = FeaturesConfig("efficientnet_lite2"), ConceptsConfig("efficientnet_lite2")
    features, base, texts = loader.open(looks), loader.open(concepts), SentenceConfig()
    parts = AdapterParts(
        looks, features.identity, concepts, base.identity, texts, loader.identify(texts)
    )
    shape = (features.identity.dim, base.identity.dim)
    matrix = np.random.default_rng(0).normal(0, 0.05, shape).astype(np.float32)
    fitted = FittedAdapter(matrix, matrix[0], 1.0, 1.0, Mixture(1.0, 1.0, 0.0), ())
    write_adapter(tmp_path / "random", fitted, parts, RECALL, num_pairs=40)
    encoder = AdapterEncoder(features, base, read_adapter(tmp_path / "random"))
    pictures = [Picture(np.full((60, 90, 3), value, np.uint8)) for value in (9, 200)]
    runs: list[int] = []
    classifier = features._classifier  # type: ignore[attr-defined]
    run = classifier._run
    monkeypatch.setattr(classifier, "_run", lambda batch: runs.append(len(batch)) or run(batch))
    rows = encoder.encode(pictures)
    assert runs == [2]
    single = np.concatenate([encoder.encode([each]) for each in pictures])
    # The network's sums run in another order in a batch; unit rows, float32.
    assert np.abs(rows - single).max() <= 1e-4
    assert encoder.identity.space_id == loader.identify(texts).space_id
