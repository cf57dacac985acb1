"""Examining an encoder, whatever its family, before anything relies on its vectors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from encoders.admission import properties
from encoders.admission.plain_pictures import SHIFT_PX
from encoders.admission.plain_sounds import SHIFT_SECONDS
from encoders.admission.probes import probes_for
from encoders.admission.report import (
    ADMISSION_VERSION,
    AdmissionReport,
    PropertyFinding,
    PropertyName,
)
from encoders.encoder import Encoder, EncoderIdentity
from encoders.media.content import Medium
from encoders.space import Vectors, require_same_space

# Without these nothing else can be measured.
_FOUNDATIONS = ("dimension", "finite")

_DISTINCT: Mapping[Medium, PropertyName] = {
    "text": "texts_distinct",
    "image": "pictures_distinct",
    "audio": "sounds_distinct",
}
_SHIFTS: Mapping[Medium, str] = {
    "image": f"{SHIFT_PX} px",
    "audio": f"{round(1000 * SHIFT_SECONDS)} ms",
}
_UNTRAINED = "the weights are not trained, so their vectors need not mean anything."

# Encoding is most of the cost: as many contents alone as tell, beside the extremes.
_NUM_PLAIN_ALONE = 3


def examine(
    encoder: Encoder[Any],
    *,
    text_encoder: Encoder[str] | None,
    trained: bool,
    gpu_twin: Encoder[Any] | None = None,
) -> AdmissionReport:
    """Return what an encoder's vectors are worth.

    The order of properties is that of cause and consequence: a zeroed projection, for instance,
    gives vectors of length zero, but that all contents have one vector is what is wrong with it.

    Args:
        encoder: of any family and medium.
        text_encoder: how questions enter the same space; ``None`` where the space has none.
        trained: also ask that vectors mean something, which random weights cannot.
        gpu_twin: the same encoder on a CUDA device, if there is one.

    Raises:
        SpaceMismatch: ``text_encoder`` or ``gpu_twin`` gives vectors of another space.
        ConfigError: nothing is known of the encoder's medium.
    """
    identity = encoder.identity
    for other in (text_encoder, gpu_twin):
        if other is not None:
            _require_same_space(identity, other.identity)
    # A damaged network computes with what is no number; the report says so, not a warning.
    with np.errstate(all="ignore"):
        findings = _Examination(encoder, text_encoder, trained, gpu_twin).findings()
    return AdmissionReport(
        version=ADMISSION_VERSION,
        encoder_id=identity.encoder_id,
        space_id=identity.space_id,
        medium=identity.medium,
        trained=trained,
        text_encoder_id=None if text_encoder is None else text_encoder.identity.encoder_id,
        admitted=all(each.outcome != "failed" for each in findings),
        properties=findings,
    )


class _Examination:
    """One encoder's examination; its vectors of the probes are made once."""

    def __init__(
        self,
        encoder: Encoder[Any],
        text_encoder: Encoder[str] | None,
        trained: bool,
        gpu_twin: Encoder[Any] | None,
    ) -> None:
        self._encoder = encoder
        self._text_encoder = text_encoder
        self._trained = trained
        self._gpu_twin = gpu_twin
        self._probes = probes_for(encoder.identity)
        self._distinct: PropertyName = _DISTINCT[encoder.identity.medium]

    def findings(self) -> tuple[PropertyFinding, ...]:
        """Return the findings in order; after a foundation that is missing, none is measured."""
        measures: Mapping[PropertyName, Callable[[], PropertyFinding]] = {
            "dimension": self._dimension,
            "finite": lambda: properties.finite(self._rows),
            self._distinct: self._contents_distinct,
            "unit_norm": lambda: properties.unit_norm(self._rows, len(self._probes.blank)),
            "repeatable": self._repeatable,
            "batch_independent": self._batch_independent,
            "shift_stable": self._shift_stable,
            "pairs_ranked": self._pairs_ranked,
            "cpu_matches_gpu": self._cpu_matches_gpu,
        }
        findings: list[PropertyFinding] = []
        missing: PropertyName | None = None
        for name, measure in measures.items():
            if missing is not None:
                reason = f"not measured, since {missing} failed."
                findings.append(properties.not_applicable(name, reason))
                continue
            findings.append(measure())
            if name in _FOUNDATIONS and findings[-1].outcome == "failed":
                missing = name
        return tuple(findings)

    @cached_property
    def _plain_rows(self) -> Vectors:
        return self._encoder.encode(self._probes.plain)

    @cached_property
    def _odd_rows(self) -> Vectors:
        # A batch of their own: padding thirty texts to the longest there is would cost seconds.
        return self._encoder.encode(self._probes.odd)

    @property
    def _rows(self) -> Vectors:
        """The vectors of all contents that are not shifted, blank ones last."""
        return np.concatenate([self._plain_rows, self._odd_rows])

    def _dimension(self) -> PropertyFinding:
        plain, odd = self._probes.plain, self._probes.odd
        batches = [(size, self._encoder.encode(plain[:size])) for size in (0, 1)]
        return properties.dimension(
            [*batches, (len(plain), self._plain_rows), (len(odd), self._odd_rows)],
            self._encoder.identity.dim,
        )

    def _contents_distinct(self) -> PropertyFinding:
        if not self._trained:
            return properties.not_applicable(self._distinct, _UNTRAINED)
        return properties.distinct(self._distinct, self._plain_rows)

    def _repeatable(self) -> PropertyFinding:
        # Copies, since an encoder may remember the answer to the very objects it last saw.
        plain, odd = copy.deepcopy((self._probes.plain, self._probes.odd))
        again = np.concatenate([self._encoder.encode(plain), self._encoder.encode(odd)])
        return properties.repeatable(self._rows, again)

    def _batch_independent(self) -> PropertyFinding:
        together = np.concatenate([self._plain_rows[:_NUM_PLAIN_ALONE], self._odd_rows])
        contents = [*self._probes.plain[:_NUM_PLAIN_ALONE], *self._probes.odd]
        alone = [self._encoder.encode([content]) for content in contents]
        return properties.batch_independent(together, np.concatenate(alone))

    def _shift_stable(self) -> PropertyFinding:
        if not self._trained:
            return properties.not_applicable("shift_stable", _UNTRAINED)
        if not self._probes.shifted:
            return properties.not_applicable("shift_stable", "a text has no place or time.")
        shifted = self._encoder.encode(self._probes.shifted)
        shift = _SHIFTS[self._encoder.identity.medium]
        return properties.shift_stable(self._plain_rows, shifted, shift)

    def _pairs_ranked(self) -> PropertyFinding:
        if not self._trained:
            return properties.not_applicable("pairs_ranked", _UNTRAINED)
        if not self._probes.names:
            reason = "pictures and sounds are ranked against texts, not texts against themselves."
            return properties.not_applicable("pairs_ranked", reason)
        if self._text_encoder is None:
            space_id = self._encoder.identity.space_id
            reason = f"nothing takes texts into the space {space_id}, so names have no vectors."
            return properties.not_applicable("pairs_ranked", reason)
        name_rows = self._text_encoder.encode(self._probes.names)
        return properties.pairs_ranked(self._plain_rows, name_rows)

    def _cpu_matches_gpu(self) -> PropertyFinding:
        if self._gpu_twin is None:
            reason = "no encoder on a CUDA device was given to compare with."
            return properties.not_applicable("cpu_matches_gpu", reason)
        plain = self._gpu_twin.encode(self._probes.plain)
        return properties.cpu_matches_gpu(self._plain_rows, plain)


def _require_same_space(identity: EncoderIdentity, other: EncoderIdentity) -> None:
    require_same_space(
        identity.encoder_id,
        identity.space_id,
        identity.dim,
        other.encoder_id,
        other.space_id,
        other.dim,
    )
