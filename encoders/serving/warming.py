"""Loading what questions need before the first of them comes."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
import structlog

from encoders.media.content import Medium, Picture, Sound
from encoders.query_plan import QueryPlan
from encoders.serving.micro_batcher import MicroBatcher

log = structlog.get_logger("kindred.encoder")


def sample_content(medium: Medium, sample_rate_hz: int | None) -> Any:
    """Return a small content of ``medium`` to warm an encoder with."""
    if medium == "text":
        return "warm"
    if medium == "image":
        return Picture(np.full((64, 64, 3), 128, dtype=np.uint8))
    rate = sample_rate_hz or 16_000
    return Sound(np.zeros(rate, dtype=np.float32), rate)


async def warm(plan: QueryPlan, batcher: MicroBatcher) -> None:
    """Load every encoder that questions need and encode once, so that no asker waits for it."""
    warmed: set[str] = set()
    for sources in plan.sources.values():
        for source in sources.values():
            identity = source.identity
            if identity.encoder_id in warmed:
                continue
            warmed.add(identity.encoder_id)
            content = sample_content(identity.medium, identity.sample_rate_hz)
            started = time.monotonic()
            await batcher.encode(source.encoder, [content])
            log.info(
                "encoder ready",
                encoder=msgspec.json.encode(source.encoder).decode(),
                seconds=round(time.monotonic() - started, 2),
            )
