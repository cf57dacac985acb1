"""What a collection's YAML says under ``gate:``, how bad a new snapshot may be."""

from __future__ import annotations

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class CanaryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question whose answer is known: what is like this item?"""

    channel: str

    item_id: str
    """Asked with every segment it has in the channel."""

    expect: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Items that have to be among the ten nearest other ones."""


class GateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a new snapshot is published, and when the live one stays."""

    min_coverage: Share = 0.98
    """Share of a channel's items whose vectors the current encoder must have made."""

    max_failed_share: Share = 0.05
    """Share of a collection's files that may have failed at their latest attempt."""

    max_failed_files: Annotated[int, msgspec.Meta(ge=0)] = 20
    """Up to as many failed files never matter, whatever their share."""

    recall_margin: Share = 0.01
    """How far measured recall@10 may lie under the channel's target: two standard errors of 256
    questions.
    """

    known_item_margin: Share = 0.05
    """How far under that target the share of items may lie that are found by their own vectors."""

    overlap_margin: Share = 0.1
    """How far under it the share of the live snapshot's ten nearest may lie that are kept."""

    max_latency_ratio: Annotated[float, msgspec.Meta(gt=0)] = 1.5
    """Processor time of a question over that of the live snapshot from which a warning is given."""

    canaries: tuple[CanaryConfig, ...] = ()
