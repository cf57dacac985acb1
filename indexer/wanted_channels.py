"""Which channels an item shall have, and whether their vectors are stored already.

The reuse key is ``(source_sha256, segmentation_id, encoder_id)``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from encoders.encoder import EncoderIdentity
from encoders.media.rejection import MediaRejected
from encoders.media.segmentation import segmentation_id
from indexer.catalog.records import ChannelState, ItemRecord
from indexer.config import ChannelConfig, CollectionConfig
from indexer.known_files import content_sha256
from indexer.planned_item import ChannelTask
from indexer.transcript_files import chosen_transcript


class WantedChannels:
    """Says which channels of an item shall have vectors, whatever is stored."""

    def __init__(
        self,
        config: CollectionConfig,
        identities: Mapping[str, EncoderIdentity],
        recognizer_ids: Mapping[str, str],
    ) -> None:
        self._config = config
        self._identities = identities
        self._recognizer_ids = recognizer_ids

    def of(self, item: ItemRecord, transcripts: tuple[Path, ...] = ()) -> list[ChannelTask]:
        """Return a task per channel of an item.

        Args:
            item: as it shall be.
            transcripts: files beside it that say what is said in it.

        Raises:
            MediaRejected: a transcript cannot be read.
        """
        tasks = []
        for name, channel in self._config.channels_for(item.medium).items():
            text = fields_text(item.attributes, channel) if channel.fields else None
            if text == "":
                continue
            transcript = None
            if channel.recognizer is not None:
                transcript = chosen_transcript(transcripts, channel.recognizer.language)
            tasks.append(
                ChannelTask(
                    channel=name,
                    encoder=channel.encoder,
                    identity=self._identities[name],
                    segments=channel.segments,
                    segmentation_id=segmentation_id(
                        channel.segments,
                        fields=channel.fields,
                        recognizer_id=self._recognizer_ids.get(name),
                    ),
                    source_sha256=_source_sha256(item.content_sha256, text, transcript),
                    fields_text=text,
                    recognizer=channel.recognizer,
                    transcript=transcript,
                )
            )
        return tasks


def is_stored(task: ChannelTask, stored: Mapping[str, Sequence[ChannelState]]) -> bool:
    """Tell whether what a task would make is there, by its reuse key."""
    wanted = (task.identity.encoder_id, task.segmentation_id, task.source_sha256)
    return any(
        (state.encoder_id, state.segmentation_id, state.source_sha256) == wanted
        for state in stored.get(task.channel, ())
    )


def is_encoded_by_another(task: ChannelTask, states: Sequence[ChannelState]) -> bool:
    """Tell whether only other encoders' vectors of what a task encodes are there."""
    return all(
        state.encoder_id != task.identity.encoder_id and state.source_sha256 == task.source_sha256
        for state in states
    )


def fields_text(attributes: Mapping[str, object], channel: ChannelConfig) -> str:
    """Return the words of a channel over attributes, or an empty string when there are none."""
    parts: list[str] = []
    for name in channel.fields:
        value = attributes.get(name)
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, list):
            parts.extend(str(entry) for entry in value)
    return ". ".join(part.strip() for part in parts if part.strip())


def _source_sha256(content: str, fields_text: str | None, transcript: Path | None) -> str:
    """Return the sha256 of what a channel encodes."""
    if fields_text is not None:
        return hashlib.sha256(fields_text.encode()).hexdigest()
    if transcript is None:
        return content
    try:
        return content_sha256(transcript)
    except MediaRejected as error:
        # Else it would look as if the recording itself could not be read.
        raise MediaRejected(error.reason, f"{transcript.name}: {error.message}") from error
