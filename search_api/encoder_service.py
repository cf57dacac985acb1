"""What a worker needs of the models, wherever they run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from encoders.serving.version_maker import VersionRequest
from indexer.runners.local import ModelOpener
from search_api.query_vectors import QueryEncoder


class EncoderService(QueryEncoder, Protocol):
    """A query encoder that a server can watch and ask for what pages show."""

    async def ping(self) -> None:
        """Return when it is able to answer; raise `KindredError` if it is not."""
        ...

    async def thumbnail(
        self, path: Path, max_side_px: int, *, at_seconds: float | None = None
    ) -> bytes:
        """Return a small WebP of a picture, or of the frame that a video shows at an instant."""
        ...

    async def version(self, request: VersionRequest) -> str:
        """Have a version made that browsers play; see `VersionMaker.version`."""
        ...

    def recognizer_ids(self) -> Mapping[str, str]:
        """Return which recogniser each channel of speech uses."""
        ...

    def item_models(self, timeout_seconds: float) -> ModelOpener:
        """Return models for one write, to be used in another thread within ``timeout_seconds``."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held."""
        ...
