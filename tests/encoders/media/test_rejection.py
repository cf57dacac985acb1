from __future__ import annotations

import pickle

from encoders.errors import KindredError
from encoders.media.rejection import MediaRejected


def test_a_rejection_crosses_processes_whole() -> None:
    error = MediaRejected("too_long", "90000 s", duration_seconds=90_000.0)
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, KindredError)
    assert (copy.reason, copy.message, copy.detail) == (
        "too_long",
        "90000 s",
        {"duration_seconds": 90_000.0},
    )
