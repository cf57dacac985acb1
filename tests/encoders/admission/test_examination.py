from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from encoders.admission.examination import examine
from encoders.admission.report import AdmissionRefused, AdmissionReport, require
from encoders.encoder import Encoder
from encoders.errors import SpaceMismatch
from encoders.media.content import Picture
from encoders.space import Vectors, unit_rows
from tests.encoders.admission.fake_towers import (
    DIM,
    TEXTS,
    NamesOfPictures,
    SmallPictures,
)


class Altered(SmallPictures):
    """Small pictures whose vectors are changed on the way out."""

    def __init__(self, change: Callable[[Vectors], Vectors]) -> None:
        super().__init__()
        self._change = change

    def encode(self, batch: Sequence[Picture]) -> Vectors:
        return self._change(super().encode(batch))


class BatchCentred(SmallPictures):
    """Takes away what the batch has in common."""

    def encode(self, batch: Sequence[Picture]) -> Vectors:
        small = self.small(batch)
        return unit_rows(small - 0.1 * small.mean(axis=0) if len(batch) else small)


class Exact(SmallPictures):
    """Gives every change of a pixel another vector."""

    def encode(self, batch: Sequence[Picture]) -> Vectors:
        seeds = [int(picture.pixels.astype(np.int64).sum()) for picture in batch]
        pixels = [picture.pixels[:, 0, 0].astype(np.int64) for picture in batch]
        rows = [
            np.random.default_rng([seed, *column]).normal(size=DIM)
            for seed, column in zip(seeds, pixels, strict=True)
        ]
        return unit_rows(np.array(rows, dtype=np.float32).reshape(len(batch), DIM))


class RandomWeights(SmallPictures):
    """A random layer on top that is not linear."""

    def encode(self, batch: Sequence[Picture]) -> Vectors:
        weights = np.random.default_rng(0).normal(size=(DIM, DIM)).astype(np.float32)
        return unit_rows(np.maximum(0, self.small(batch) @ weights) + 1e-3)


class Random(SmallPictures):
    """Adds noise that is new each time."""

    def encode(self, batch: Sequence[Picture]) -> Vectors:
        noise = np.random.default_rng().normal(0, 1, (len(batch), DIM))
        return unit_rows(self.small(batch) + noise)


def with_nan(rows: Vectors) -> Vectors:
    changed = rows.copy()
    changed[-1:, 0] = np.nan
    return changed


def into_another_space(rows: Vectors) -> Vectors:
    generator = np.random.default_rng(1)
    signs = generator.choice(np.array([-1, 1], dtype=np.float32), DIM)
    return rows[:, generator.permutation(DIM)] * signs


def examined(encoder: Encoder[Picture], *, trained: bool = True) -> AdmissionReport:
    return examine(encoder, text_encoder=NamesOfPictures(), trained=trained)


def test_good_encoder_is_admitted() -> None:
    report = examined(SmallPictures())
    assert [(each.name, each.outcome) for each in report.properties] == [
        ("dimension", "passed"),
        ("finite", "passed"),
        ("pictures_distinct", "passed"),
        ("unit_norm", "passed"),
        ("repeatable", "passed"),
        ("batch_independent", "passed"),
        ("shift_stable", "passed"),
        ("pairs_ranked", "passed"),
        ("cpu_matches_gpu", "not_applicable"),
    ]
    assert report.admitted
    require(report)


@pytest.mark.parametrize(
    ("encoder", "fault"),
    [
        (Altered(lambda rows: rows[:, :100]), "dimension"),
        (Altered(lambda rows: rows.astype(np.float64)), "dimension"),  # type: ignore[arg-type, return-value]
        (Altered(lambda rows: rows[0] if len(rows) == 1 else rows), "dimension"),
        (Altered(with_nan), "finite"),
        (Altered(lambda rows: np.ones_like(rows) / DIM**0.5), "pictures_distinct"),
        (Altered(np.zeros_like), "pictures_distinct"),
        (Altered(lambda rows: 1.01 * rows), "unit_norm"),
        (Random(), "repeatable"),
        (BatchCentred(), "batch_independent"),
        (Exact(), "shift_stable"),
        (Altered(into_another_space), "pairs_ranked"),
    ],
)
def test_fault_is_refused_by_its_name(encoder: Encoder[Picture], fault: str) -> None:
    assert examined(encoder).failures[0].name == fault


def test_refusal_names_the_property_what_was_measured_and_the_bound() -> None:
    report = examined(Altered(lambda rows: 2 * rows))
    with pytest.raises(AdmissionRefused, match="small-pictures is refused, unit_norm: ") as caught:
        require(report)
    assert caught.value.code == "admission_refused"
    assert caught.value.detail == {
        "encoder_id": "small-pictures",
        "property": "unit_norm",
        "measured": pytest.approx(1, abs=1e-5),
        "bound": 1e-3,
        "failed": ["unit_norm"],
    }


def test_nothing_is_measured_on_numbers_that_are_none() -> None:
    report = examined(Altered(with_nan))
    assert [each.name for each in report.failures] == ["finite"]
    assert report.finding("repeatable").sentence == "not measured, since finite failed."


def test_random_weights_are_admitted_only_as_untrained() -> None:
    assert examined(RandomWeights(), trained=False).admitted
    report = examined(RandomWeights())
    assert report.failures[-1].name == "pairs_ranked"


def test_space_of_its_own_has_no_pairs_to_rank() -> None:
    report = examine(SmallPictures(), text_encoder=None, trained=True)
    finding = report.finding("pairs_ranked")
    assert finding.outcome == "not_applicable"
    assert "nothing takes texts into the space small" in finding.sentence
    assert report.admitted
    assert report.text_encoder_id is None


def test_texts_have_no_shift_and_an_empty_one_may_be_zeros() -> None:
    report = examine(NamesOfPictures(), text_encoder=None, trained=True)
    assert not NamesOfPictures().encode([""]).any()
    assert report.finding("unit_norm").outcome == "passed"
    assert report.finding("shift_stable").outcome == "not_applicable"
    assert [each.name for each in report.properties][2] == "texts_distinct"


def test_text_encoder_of_another_space_is_refused() -> None:
    other = NamesOfPictures(replace(TEXTS, space_id="other"))
    with pytest.raises(SpaceMismatch, match="small-texts in other"):
        examine(SmallPictures(), text_encoder=other, trained=True)


@pytest.mark.parametrize(("noise", "outcome"), [(1e-4, "passed"), (1e-2, "failed")])
def test_gpu_is_compared_where_there_is_one(noise: float, outcome: str) -> None:
    def as_on_the_gpu(rows: Vectors) -> Vectors:
        return rows + np.random.default_rng(0).normal(0, noise, rows.shape).astype(np.float32)

    report = examine(
        SmallPictures(),
        text_encoder=None,
        trained=True,
        gpu_twin=Altered(as_on_the_gpu),
    )
    assert report.finding("cpu_matches_gpu").outcome == outcome
    assert report.admitted == (outcome == "passed")


def test_report_survives_json() -> None:
    report = examined(SmallPictures())
    assert msgspec.json.decode(msgspec.json.encode(report), type=AdmissionReport) == report
