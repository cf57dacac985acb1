"""What is said in an item."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from encoders.media.transcript_text import transcript_srt, transcript_vtt
from search_api.errors import NoTranscript
from search_api.problems import problem_responses
from search_api.routes.items import CollectionName, stored_item
from search_api.schemas import TranscriptOut
from search_api.service import Service

SubtitleFormat = Literal["json", "srt", "vtt"]

_MEDIA_TYPES = {"srt": "application/x-subrip", "vtt": "text/vtt"}


@get(
    "/{item_id:str}/transcript",
    responses={
        200: ResponseSpec(
            data_container=TranscriptOut,
            description="The transcript; as SubRip or WebVTT if `format` says so.",
        )
    }
    | problem_responses(400, 404, 429),
    summary="Read what is said in an item",
    access="read",
)
async def item_transcript(
    item_id: FromPath[str],
    service: Service,
    format: Annotated[SubtitleFormat, QueryParameter(description="json, srt or vtt.")] = "json",
    collection: CollectionName = None,
) -> Response[TranscriptOut | str]:
    """Return what was recognised in a recording, or what a file beside it says."""
    item = await stored_item(service, item_id, collection)
    name = service.config.name
    transcript = await service.pool.run(lambda: service.catalog.transcript(name, item.item_id))
    if transcript is None:
        raise NoTranscript(
            f"item {item_id!r} has no transcript: it has no sound, or was taken in without a "
            "channel of speech",
            item_id=item_id,
        )
    if format == "json":
        return Response(msgspec.convert(transcript, TranscriptOut, from_attributes=True))
    text = transcript_srt(transcript) if format == "srt" else transcript_vtt(transcript)
    return Response(text, media_type=_MEDIA_TYPES[format])


transcripts_router = Router("/v1/items", route_handlers=[item_transcript], tags=["items"])
