"""A collection small enough to know every right answer, on fake encoders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from encoders.config import EncoderConfig
from encoders.encoder import EncoderIdentity
from encoders.media.content import Medium, Picture, Segment, Sound, Transcript, Utterance
from encoders.media.segmentation import segmentation_id
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelVectors, ItemRecord, ItemWrite
from indexer.config import CollectionConfig, parse_collection
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from tests.fake_encoders import COLOURS, SAMPLE_RATE_HZ, FakeLoader

CONFIG_YAML = """
name: small
attributes: {title: text, tags: keyword, language: keyword, year: int, released: datetime}
channels:
  pictures:
    media: [image]
    encoder: {family: concepts, classifier: efficientnet_lite2}
  looks:
    media: [image]
    encoder: {family: features, classifier: efficientnet_lite2}
  sounds:
    media: [audio]
    segments: {kind: windows, length_seconds: 10, hop_seconds: 5}
    encoder: {family: concepts, classifier: yamnet}
  speech:
    media: [audio, video]
    segments: {kind: utterances}
    recognizer: {family: whisper}
    encoder: {family: sentence_transformers}
  passages:
    media: [text]
    segments: {kind: passages, max_words: 8}
    encoder: {family: sentence_transformers}
  titles:
    media: [any]
    fields: [title]
    encoder: {family: sentence_transformers}
"""


def picture_of(colour: str) -> Picture:
    return Picture(np.full((8, 8, 3), COLOURS[colour], dtype=np.uint8))


def sound_of(pitch: str) -> Sound:
    hertz = {"low": 200.0, "high": 2000.0}[pitch]
    times = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    return Sound(np.sin(2 * np.pi * hertz * times).astype(np.float32), SAMPLE_RATE_HZ)


class SmallCollection:
    """A data folder with a catalog and a live view.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: CollectionConfig = parse_collection(CONFIG_YAML)
        self.config_path = folder / "small.yaml"
        self.config_path.write_text(CONFIG_YAML)
        self.media = folder / "media"
        self.media.mkdir()
        self.data_dir = DataDir(folder / "data")
        self.loader = FakeLoader()
        self.catalog = Catalog.open(self.data_dir)
        self.catalog.register_collection(self.config)
        self.live = LiveCollection(
            self.catalog,
            self.data_dir,
            self.config,
            self.identities(),
        )

    def identities(self) -> dict[str, EncoderIdentity]:
        return {
            name: self.loader.identify(channel.encoder)
            for name, channel in self.config.channels.items()
        }

    def close(self) -> None:
        self.catalog.close()

    def picture(self, item_id: str, colour: str, **attributes: Any) -> None:
        path = self.media / f"{item_id}.png"
        Image.new("RGB", (640, 480), COLOURS[colour]).save(path)
        content = [(Segment(), picture_of(colour))]
        self._write(
            item_id,
            "image",
            "png",
            path,
            {"pictures": content, "looks": content},
            attributes,
            width_px=640,
            height_px=480,
        )

    def sound(self, item_id: str, pitches: list[str], **attributes: Any) -> None:
        """Store a sound with one window of each pitch, 10 seconds long, 5 apart."""
        path = self.media / f"{item_id}.wav"
        path.write_bytes(item_id.encode())
        content = [
            (Segment(5.0 * number, 5.0 * number + 10), sound_of(pitch))
            for number, pitch in enumerate(pitches)
        ]
        self._write(
            item_id,
            "audio",
            "wav",
            path,
            {"sounds": content},
            attributes,
            duration_seconds=5.0 * len(pitches) + 5,
        )

    def talk(self, item_id: str, utterances: list[Utterance], **attributes: Any) -> None:
        """Store a recording of speech and nothing else."""
        path = self.media / f"{item_id}.wav"
        path.write_bytes(item_id.encode())
        content = [
            (Segment(each.start_seconds, each.stop_seconds, each.text), each.text)
            for each in utterances
        ]
        self._write(
            item_id,
            "audio",
            "wav",
            path,
            {"speech": content},
            attributes,
            transcript=Transcript(tuple(utterances), "en", "recognized"),
            duration_seconds=utterances[-1].stop_seconds,
        )

    def text(self, item_id: str, passages: list[str], **attributes: Any) -> None:
        path = self.media / f"{item_id}.html"
        path.write_text("\n\n".join(passages))
        content = [(Segment(text=passage), passage) for passage in passages]
        self._write(item_id, "text", "html", path, {"passages": content}, attributes)

    def _write(
        self,
        item_id: str,
        medium: Medium,
        format: str,
        path: Path,
        contents: Mapping[str, list[tuple[Segment, Any]]],
        attributes: dict[str, Any],
        transcript: Transcript | None = None,
        **sizes: Any,
    ) -> None:
        if "title" in attributes:
            contents = {**contents, "titles": [(Segment(), attributes["title"])]}
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        record = ItemRecord(
            item_id=item_id,
            medium=medium,
            format=format,
            source=str(self.media),
            relative_path=path.name,
            location=str(path),
            content_sha256=sha256,
            size_bytes=path.stat().st_size,
            mtime_ns=path.stat().st_mtime_ns,
            attributes=attributes,
            **sizes,
        )
        channels = tuple(
            replace(self._vectors(channel, sha256, content), transcript=transcript)
            for channel, content in contents.items()
        )
        self.catalog.write(self.config.name, [ItemWrite(record, channels)])
        self.live.refresh()

    def _vectors(
        self, channel: str, sha256: str, content: list[tuple[Segment, Any]]
    ) -> ChannelVectors:
        config = self.config.channels[channel]
        encoder_config: EncoderConfig = config.encoder
        identity = self.loader.identify(encoder_config)
        return ChannelVectors(
            channel=channel,
            encoder_id=identity.encoder_id,
            space_id=identity.space_id,
            segmentation_id=segmentation_id(config.segments, fields=config.fields),
            source_sha256=sha256,
            segments=tuple(segment for segment, _ in content),
            vectors=self.loader.open(encoder_config).encode([one for _, one in content]),
        )


def fill(collection: SmallCollection) -> None:
    """Store a few items of each medium."""
    collection.picture("red-1", "red", title="poppy field", language="en", year=2001)
    collection.picture("red-2", "red", language="de", year=2002, tags=["flower", "summer"])
    collection.picture("green-1", "green", year=2003, tags=["leaf"], stars=5)
    collection.picture("blue-1", "blue", title="deep sea", released="2020-05-01T00:00:00+00:00")
    collection.sound("low-1", ["low", "low", "high", "high", "high", "high"], title="engine")
    collection.sound("high-1", ["high", "high"], language="en")
    collection.text("story-1", ["the red fox", "a blue moon rises"], title="tales")
    collection.text("story-2", ["green green grass"], language="en")
