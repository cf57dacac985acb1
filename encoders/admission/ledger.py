"""Which encoders have passed, so that each is examined once on a machine and not at every start."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from encoders.admission.examination import examine
from encoders.admission.report import ADMISSION_VERSION, AdmissionReport, require
from encoders.encoder import Encoder
from encoders.models.files import keep_if_possible


class AdmissionLedger:
    """The reports of encoders that passed, one file each.

    An entry that cannot be read, or is of another version, is as good as none; a folder that
    cannot be written to costs the next process an examination, nothing else. Several processes may
    use one folder. Refusals are not kept: a mended checkpoint is examined anew.

    Args:
        folder: made when the first encoder passes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def admit(
        self,
        encoder: Encoder[Any],
        *,
        text_encoder: Encoder[str] | None,
        trained: bool,
        gpu_twin: Encoder[Any] | None = None,
    ) -> AdmissionReport:
        """Return the report of an encoder that passed, examining it only if none is kept.

        Args:
            encoder: see `examine`, as for the others.
            text_encoder: a kept report counts only if it was made with the same one.
            trained: likewise.
            gpu_twin: a kept report counts only if it compared devices where one is given.

        Raises:
            AdmissionRefused: the encoder lacks a property.
            SpaceMismatch: see `examine`.
        """
        path = self.path(encoder.identity.encoder_id)
        known = _read(path)
        if known is not None and _covers(known, encoder, text_encoder, trained, gpu_twin):
            return known
        report = examine(encoder, text_encoder=text_encoder, trained=trained, gpu_twin=gpu_twin)
        require(report)
        self.keep(report)
        return report

    def keep(self, report: AdmissionReport) -> None:
        """Keep the report of an encoder that passed, so that it is not examined again."""
        if report.admitted:
            content = msgspec.json.format(msgspec.json.encode(report))
            keep_if_possible(self.path(report.encoder_id), content)

    def path(self, encoder_id: str) -> Path:
        """Return where the report of an encoder is, or would be."""
        # Ids made of hub names may hold slashes.
        return self.folder / f"{quote(encoder_id, safe='')}.json"


def _read(path: Path) -> AdmissionReport | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=AdmissionReport)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _covers(
    known: AdmissionReport,
    encoder: Encoder[Any],
    text_encoder: Encoder[str] | None,
    trained: bool,
    gpu_twin: Encoder[Any] | None,
) -> bool:
    text_encoder_id = None if text_encoder is None else text_encoder.identity.encoder_id
    if (known.version, known.encoder_id, known.trained, known.text_encoder_id) != (
        ADMISSION_VERSION,
        encoder.identity.encoder_id,
        trained,
        text_encoder_id,
    ):
        return False
    compared = any(
        each.name == "cpu_matches_gpu" and each.outcome == "passed" for each in known.properties
    )
    return known.admitted and (gpu_twin is None or compared)
