from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from encoders.admission import speed as speed_module
from encoders.admission.speed import Speed, SpeedRecords, measure_speed

SPEED = Speed(
    encoder_id="hub/model-1", medium="image", device="cpu", per_second=20.0, measured="2026-01-01"
)


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_module, "MEASURE_SECONDS", 0.02)


def test_speed_is_amount_by_time_of_the_processor() -> None:
    ticks = iter(range(0, 100_000, 2))  # a round lasts as long as lies between two looks

    def encode(batch: Sequence[str]) -> None:
        time.sleep(0.005)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(speed_module.time, "process_time", lambda: float(next(ticks)))
        speed = measure_speed(encode, ["a", "b"], 2, encoder_id="one", medium="text", device="cpu")
    assert speed.per_second == 1.0
    assert (speed.encoder_id, speed.unit, speed.device) == ("one", "texts/s", "cpu")


def test_every_round_has_objects_of_its_own() -> None:
    """An encoder that remembers its last answer must not look faster than it is."""
    content = ["a text"]
    seen: list[Sequence[list[str]]] = []
    measure_speed(seen.append, [content], 1, encoder_id="one", medium="text", device="cpu")
    assert len(seen) >= 2
    assert all(batch == [content] and batch[0] is not content for batch in seen)
    assert len({id(batch[0]) for batch in seen}) == len(seen)


def test_a_speed_is_kept_by_encoder_and_device(tmp_path: Path) -> None:
    records = SpeedRecords(tmp_path / "speed")
    assert records.of("hub/model-1") == []
    on_gpu = Speed(
        encoder_id="hub/model-1", medium="image", device="cuda:0", per_second=900, measured="x"
    )
    other = Speed(
        encoder_id="hub/model-10", medium="image", device="cpu", per_second=1, measured="x"
    )
    for speed in (SPEED, on_gpu, other):
        records.keep(speed)
    assert records.of("hub/model-1") == [SPEED, on_gpu]
    records.keep(on_gpu)
    assert len(records.of("hub/model-1")) == 2


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    records = SpeedRecords(tmp_path)
    records.keep(SPEED)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"\xff{")
    assert records.of("hub/model-1") == []
