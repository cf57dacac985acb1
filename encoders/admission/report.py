"""What an examination found, for people and programs, and the refusal that follows from it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from encoders.errors import KindredError
from encoders.media.content import Medium

ADMISSION_VERSION = 1
"""Raised with any change of probes, properties or bounds, so that encoders are examined anew."""

PropertyName: TypeAlias = Literal[
    "dimension",
    "finite",
    "texts_distinct",
    "pictures_distinct",
    "sounds_distinct",
    "unit_norm",
    "repeatable",
    "batch_independent",
    "shift_stable",
    "pairs_ranked",
    "cpu_matches_gpu",
    "languages_known",
    "times_inside",
    "silence_wordless",
    "speech_heard",
]

Outcome: TypeAlias = Literal["passed", "failed", "not_applicable"]


class PropertyFinding(msgspec.Struct, frozen=True):
    """What was found about one property of an encoder or recogniser."""

    name: PropertyName
    outcome: Outcome

    sentence: str
    """For people: what was measured and, where it failed, what that usually means; or why the
    property was not measured.
    """

    measured: float | None = None
    """``None`` where the property is not applicable, or the measure is not a number."""

    bound: float | None = None
    """What ``measured`` was compared with; the sentence says which side of it is good."""


class AdmissionReport(msgspec.Struct, frozen=True):
    """An examination of an encoder or recogniser. JSON-ready."""

    version: int

    encoder_id: str
    """Or the id of a recogniser."""

    space_id: str | None
    """``None`` for a recogniser, which gives words."""

    medium: Medium

    trained: bool
    """The weights were trained, so that the vectors must mean something."""

    text_encoder_id: str | None
    """Whose vectors of names the encoder's vectors were ranked against."""

    admitted: bool
    """No property failed."""

    properties: tuple[PropertyFinding, ...]
    """In the order in which a fault shows: what a failure causes comes after it."""

    @property
    def failures(self) -> tuple[PropertyFinding, ...]:
        """The properties that failed, the first one first."""
        return tuple(each for each in self.properties if each.outcome == "failed")

    def finding(self, name: PropertyName) -> PropertyFinding:
        """Return what was found about one property.

        Raises:
            KeyError: encoders of this medium have no such property.
        """
        for each in self.properties:
            if each.name == name:
                return each
        raise KeyError(f"{name} is no property of encoders that take {self.medium}")


class AdmissionRefused(KindredError):
    """An encoder lacks a property that its vectors need to be trusted."""

    code = "admission_refused"


def require(report: AdmissionReport) -> None:
    """Refuse an encoder that failed its examination.

    Raises:
        AdmissionRefused: naming the first property that failed, what was measured and the bound;
            ``detail["failed"]`` lists all that did.
    """
    if report.admitted:
        return
    first = report.failures[0]
    raise AdmissionRefused(
        f"encoder {report.encoder_id} is refused, {first.name}: {first.sentence}",
        encoder_id=report.encoder_id,
        property=first.name,
        measured=first.measured,
        bound=first.bound,
        failed=[each.name for each in report.failures],
    )
