import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.adapters.file import (
    AdapterParts,
    adapter_digest,
    read_adapter,
    read_record,
    write_adapter,
)
from encoders.config import ConceptsConfig
from encoders.encoder import EncoderIdentity
from encoders.errors import ConfigError, ModelCorrupt, ModelMissing, SpaceMismatch
from tests.encoders.adapters.small_adapter import (
    BASE,
    FEATURES,
    PARTS,
    PARTS_WITHOUT_BASE,
    RECALL,
    SMALL,
    fitted,
    written,
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    record = written(tmp_path / "adapters" / "stamps")
    adapter = read_adapter(tmp_path / "adapters" / "stamps")
    assert adapter.record == record == read_record(tmp_path / "adapters" / "stamps")
    assert adapter.matrix.tolist() == SMALL.matrix.tolist()
    assert adapter.bias.tolist() == SMALL.bias.tolist()
    assert record.base == ConceptsConfig("efficientnet_lite2")
    assert (record.feature_dim, record.dim, record.num_pairs) == (2, 3, 40)
    assert (record.strength, record.mapped_weight, record.offset) == (3.0, 0.75, 0.5)
    assert record.recall == RECALL


def test_adapter_without_a_base_is_read(tmp_path: Path) -> None:
    written(tmp_path / "stamps", PARTS_WITHOUT_BASE)
    record = read_adapter(tmp_path / "stamps").record
    assert record.base is None
    assert record.base_id is None


def test_arrays_that_were_read_cannot_be_changed(tmp_path: Path) -> None:
    written(tmp_path / "stamps")
    adapter = read_adapter(tmp_path / "stamps")
    with pytest.raises(ValueError, match="read-only"):
        adapter.bias[0] = 2


def test_same_adapter_has_the_same_digest_and_files_twice(tmp_path: Path) -> None:
    assert written(tmp_path / "a") == written(tmp_path / "b")
    for name in ("adapter.json", "adapter.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_digest_changes_with_everything_that_moves_vectors() -> None:
    def digest(
        bias: float = 0.0, base_weight: float = 1.0, features: str = "f", space: str = "s"
    ) -> str:
        return adapter_digest(
            np.zeros((2, 1), np.float32),
            np.array([bias], np.float32),
            base_weight,
            features_id=features,
            base_id="b",
            space_id=space,
        )

    others = {digest(1.0), digest(base_weight=0.0), digest(features="g"), digest(space="t")}
    assert len(others | {digest()}) == 5


def test_adapter_is_not_replaced(tmp_path: Path) -> None:
    first = written(tmp_path / "stamps")
    other = fitted([[1, 0, 0], [0, 1, 0]], [0, 0, 0])
    with pytest.raises(ConfigError, match="is there already; choose another name"):
        write_adapter(tmp_path / "stamps", other, PARTS, RECALL, num_pairs=40)
    assert read_record(tmp_path / "stamps") == first


def test_adapter_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path / "stamps")
    assert list(tmp_path.iterdir()) == []


def test_adapter_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="kindred models fit-adapter"):
        read_record(tmp_path / "stamps")


def test_numbers_that_were_changed_are_corrupt(tmp_path: Path) -> None:
    written(tmp_path / "stamps")
    path = tmp_path / "stamps" / "adapter.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"adapter\.npz: expected sha256"):
        read_adapter(tmp_path / "stamps")


def test_numbers_that_are_gone_are_corrupt(tmp_path: Path) -> None:
    written(tmp_path / "stamps")
    (tmp_path / "stamps" / "adapter.npz").unlink()
    with pytest.raises(ModelCorrupt, match="got no file"):
        read_adapter(tmp_path / "stamps")


def edit_record(folder: Path, **values: object) -> None:
    path = folder / "adapter.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format_version": 3}, "format_version is 3, this release reads 2"),
        ({"dim": "three"}, "dim"),
        ({"unknown": 1}, "unknown"),
        ({"dim": 4}, r"expected \(\(2, 4\), \(4,\)"),
        ({"base_weight": 0.5}, "the record says"),
        ({"features_id": "another"}, "the record says"),
    ],
)
def test_record_that_does_not_fit_is_corrupt(
    tmp_path: Path, values: dict[str, object], said: str
) -> None:
    written(tmp_path / "stamps")
    edit_record(tmp_path / "stamps", **values)
    with pytest.raises(ModelCorrupt, match=said):
        read_adapter(tmp_path / "stamps")


def test_numbers_that_are_not_finite_are_corrupt(tmp_path: Path) -> None:
    broken = fitted([[0, 1, 0], [0, float("nan"), 2]], [1, 0, 0])
    write_adapter(tmp_path / "stamps", broken, PARTS, RECALL, num_pairs=40)
    with pytest.raises(ModelCorrupt, match="not finite"):
        read_adapter(tmp_path / "stamps")


def test_base_of_another_space_is_refused() -> None:
    with pytest.raises(SpaceMismatch, match="elsewhere"):
        replace(PARTS, base_identity=replace(BASE, space_id="elsewhere"))


def test_base_of_another_medium_is_refused() -> None:
    with pytest.raises(ConfigError, match="the base takes audio"):
        replace(PARTS, base_identity=replace(BASE, medium="audio", sample_rate_hz=16_000))


def test_titles_need_a_text_encoder() -> None:
    with pytest.raises(ConfigError, match="titles need a text encoder"):
        replace(PARTS, texts_identity=BASE)


def test_features_of_texts_are_refused() -> None:
    identity: EncoderIdentity = replace(FEATURES, medium="text")
    with pytest.raises(ConfigError, match="adapters map features of image or audio"):
        AdapterParts(PARTS.features, identity, None, None, PARTS.texts, PARTS.texts_identity)
