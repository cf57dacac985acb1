"""Where the encoder process of a collection listens: a name that says which encoders it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from encoders.query_plan import PlannedChannel, QueryPlan

KEY_LENGTH = 12


def encoder_key(channels: Mapping[str, PlannedChannel], plan: QueryPlan) -> str:
    """Return hex digits that change when other encoders, or other cuts of files, are asked for.

    The supervisor and the workers work it out for themselves, so that a worker never asks a process
    that holds other models than it thinks.
    """
    encoder_ids = {name: identity.encoder_id for name, identity in plan.identities.items()}
    content = msgspec.json.encode((dict(channels), encoder_ids), order="sorted")
    return hashlib.sha256(content).hexdigest()[:KEY_LENGTH]


def encoder_socket(folder: Path, key: str) -> Path:
    """Return the socket of the encoder process with a key."""
    return folder / f"{key}.sock"
