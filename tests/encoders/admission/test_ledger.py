from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from encoders.admission import ledger as ledger_module
from encoders.admission.ledger import AdmissionLedger
from encoders.admission.report import AdmissionRefused, AdmissionReport
from encoders.media.content import Picture
from encoders.space import Vectors
from tests.encoders.admission.fake_towers import PICTURES, TEXTS, NamesOfPictures, SmallPictures


class Unnormalised(SmallPictures):
    def encode(self, batch: Sequence[Picture]) -> Vectors:
        return 2 * super().encode(batch)


@pytest.fixture
def ledger(tmp_path: Path) -> AdmissionLedger:
    return AdmissionLedger(tmp_path / "admission")


def admit(ledger: AdmissionLedger, encoder: SmallPictures | None = None) -> AdmissionReport:
    return ledger.admit(encoder or SmallPictures(), text_encoder=NamesOfPictures(), trained=True)


def was_examined(ledger: AdmissionLedger) -> bool:
    encoder = SmallPictures()
    admit(ledger, encoder)
    return encoder.num_encoded > 0


def test_encoder_is_examined_once(ledger: AdmissionLedger) -> None:
    report = admit(ledger)
    assert report.admitted
    assert not was_examined(ledger)
    assert admit(ledger) == report
    assert [path.name for path in ledger.folder.iterdir()] == ["small-pictures.json"]


def test_refusal_is_not_kept(ledger: AdmissionLedger) -> None:
    with pytest.raises(AdmissionRefused):
        admit(ledger, Unnormalised())
    assert not ledger.folder.exists()
    assert admit(ledger).admitted


def test_other_version_is_examined_anew(
    ledger: AdmissionLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(ledger)
    monkeypatch.setattr(ledger_module, "ADMISSION_VERSION", 0)
    assert was_examined(ledger)


def test_other_text_encoder_or_weights_now_called_trained_are_examined_anew(
    ledger: AdmissionLedger,
) -> None:
    ledger.admit(SmallPictures(), text_encoder=NamesOfPictures(), trained=False)
    assert was_examined(ledger)
    encoder = SmallPictures()
    other = NamesOfPictures(replace(TEXTS, encoder_id="other-texts"))
    ledger.admit(encoder, text_encoder=other, trained=True)
    assert encoder.num_encoded > 0


def test_devices_are_compared_once_there_are_two(ledger: AdmissionLedger) -> None:
    admit(ledger)
    for expected in (True, False):
        twin = SmallPictures()
        ledger.admit(SmallPictures(), text_encoder=NamesOfPictures(), trained=True, gpu_twin=twin)
        assert (twin.num_encoded > 0) == expected
    assert not was_examined(ledger)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'"\xff"', b"[1]", b'{"version": 1}'])
def test_entry_that_cannot_be_read_is_as_good_as_none(
    ledger: AdmissionLedger, content: bytes
) -> None:
    admit(ledger)
    ledger.path("small-pictures").write_bytes(content)
    assert was_examined(ledger)
    assert not was_examined(ledger)


def test_entry_under_another_encoder_s_name_or_not_admitted_does_not_count(
    ledger: AdmissionLedger,
) -> None:
    report = admit(ledger)
    for wrong in (
        msgspec.structs.replace(report, encoder_id="other"),
        msgspec.structs.replace(report, admitted=False),
    ):
        ledger.path("small-pictures").write_bytes(msgspec.json.encode(wrong))
        assert was_examined(ledger)


def test_folder_that_cannot_be_written_to_costs_nothing_but_time(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    ledger = AdmissionLedger(blocked / "admission")
    assert admit(ledger).admitted
    assert was_examined(ledger)


def test_id_with_a_slash_stays_in_the_folder(ledger: AdmissionLedger) -> None:
    admit(ledger, SmallPictures(replace(PICTURES, encoder_id="../hub/name")))
    assert [path.name for path in ledger.folder.iterdir()] == ["..%2Fhub%2Fname.json"]
