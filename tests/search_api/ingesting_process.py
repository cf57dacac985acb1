"""``kindred ingest`` on weightless encoders, which notes every call and may send itself a signal.

python -m tests.search_api.ingesting_process CALLS_FILE SIGNAL CALL_NUMBER PATH…
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from encoders import loading
from encoders.config import EncoderConfig
from encoders.space import Vectors
from search_api.cli.main import main
from tests.indexer.fakes import FakeEncoder, FakeLoader

CALLS_FILE = Path(sys.argv[1])
SIGNAL = signal.Signals[sys.argv[2]]
CALL_NUMBER = int(sys.argv[3])


class NotingEncoder(FakeEncoder):
    def encode(self, batch: Sequence[Any]) -> Vectors:
        with CALLS_FILE.open("a") as calls:
            calls.write(f"{self.identity.encoder_id}\n")
        if len(CALLS_FILE.read_text().splitlines()) == CALL_NUMBER:
            os.kill(os.getpid(), SIGNAL)
        return super().encode(batch)


class NotingLoader(FakeLoader):
    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()
        self.models = SimpleNamespace(require=lambda name: None)

    def open(self, config: EncoderConfig) -> FakeEncoder:
        return NotingEncoder(self.identify(config), self)


if __name__ == "__main__":
    loading.EncoderLoader = NotingLoader  # type: ignore[assignment, misc]
    main(["ingest", *sys.argv[4:], "--json"])
