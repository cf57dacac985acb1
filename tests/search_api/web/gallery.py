"""A collection to look at: real pictures, sounds, videos and texts on fake encoders."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar

from encoders.media.content import Segment, Transcript, Utterance
from encoders.media.sandbox import DecodeSandbox
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.server import free_port
from search_api.settings import Settings
from tests.generated_media import scene, sine, write_sound, write_video
from tests.search_api.small_collection import SmallCollection, fill

SAID = (
    Utterance("good evening and welcome", 0.0, 2.0),
    Utterance("the lighthouse keeper lights the lamp", 4.0, 6.0),
    Utterance("and the ships come home", 6.5, 8.0),
)
MAX_UPLOAD_BYTES = 300_000


class Gallery(SmallCollection):
    """A `SmallCollection` with files that browsers can really play."""

    def film(self, item_id: str, *, format: str = "mp4", codec: str = "libx264") -> None:
        """Store a video of 12 seconds with a tone, and words said in it."""
        suffix = {"matroska": "mkv"}.get(format, format)
        path = write_video(
            self.media / f"{item_id}.{suffix}",
            [scene(number // 40, 160, 120) for number in range(120)],
            format=format,
            codec=codec,
            sound=sine(440.0, seconds=12.0, sample_rate_hz=48_000),
        )
        self._spoken(item_id, "video", format, path, width_px=160, height_px=120)

    def recording(self, item_id: str) -> None:
        """Store a recording of 12 seconds."""
        path = self.media / f"{item_id}.wav"
        write_sound(path, sine(330.0, seconds=12.0), 16_000)
        self._spoken(item_id, "audio", "wav", path)

    def _spoken(self, item_id: str, medium: Any, format: str, path: Path, **sizes: Any) -> None:
        content = [
            (Segment(said.start_seconds, said.stop_seconds, said.text), said.text) for said in SAID
        ]
        self._write(
            item_id,
            medium,
            format,
            path,
            {"speech": content},
            {"title": f"The {item_id.replace('-', ' ')}"},
            transcript=Transcript(SAID, "en", "recognized"),
            duration_seconds=12.0,
            **sizes,
        )


def fill_gallery(gallery: Gallery) -> None:
    """Store what `fill` stores, videos and a recording."""
    fill(gallery)
    gallery.film("harbour-film")
    gallery.film("harbour-tape", format="matroska", codec="mpeg4")
    gallery.recording("harbour-talk")
    gallery.text(
        "guide-1",
        ["Guide > Harbour\nThe old lighthouse <b>stands</b> by the harbour"],
        title="A guide & more",
    )


@dataclass
class Site:
    """A running server."""

    url: str
    app: Litestar
    gallery: Gallery

    @property
    def service(self) -> Any:
        return self.app.state.service


@contextmanager
def served(gallery: Gallery) -> Iterator[Site]:
    """Serve a collection over HTTP, in this process."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    port = free_port("127.0.0.1", 0)
    settings = Settings(
        data_dir=str(gallery.data_dir.root),
        models_dir=str(gallery.folder),
        collection=str(gallery.config_path),
        port=port,
        max_upload_bytes=MAX_UPLOAD_BYTES,
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(gallery.loader, gallery.config, sandbox)
        app = create_app(settings, make_encoder=lambda *_: encoder)
        server = Server(
            app, "127.0.0.1", port, interface=Interfaces.ASGI, log_enabled=False, websockets=False
        )
        # In a thread of its own, so that a browser can be driven from this one.
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="site")
        thread.start()
        try:
            _wait_until_ready(settings.url, thread)
            yield Site(settings.url, app, gallery)
        finally:
            server.stop()
            thread.join()


def _wait_until_ready(url: str, thread: threading.Thread) -> None:
    transport = httpx.HTTPTransport(retries=20)  # waits a little longer before each
    with httpx.Client(transport=transport) as client:
        assert client.get(f"{url}/readyz").status_code == 200
    assert thread.is_alive()
