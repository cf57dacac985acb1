"""Vectors for words, as the channels of a collection know them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from encoders.config import medium_of_encoder
from encoders.space import Vectors
from indexer.config import CollectionConfig
from indexer.live_view import UnknownChannel
from search_api.embedding_schemas import Embedding, EmbeddingsAnswer, EmbeddingsRequest
from search_api.encoder_service import EncoderService
from search_api.errors import InvalidRequest

TEXTS_AT_ONCE = 16
"""Questions that one request may have waiting for the encoders: others want their turn too."""

PASSAGE_SECONDS = 60.0


async def embed(
    request: EmbeddingsRequest, config: CollectionConfig, encoder: EncoderService
) -> EmbeddingsAnswer:
    """Return the vectors of a request's texts.

    Args:
        request: names a channel.
        config: of the collection.
        encoder: encodes.

    Raises:
        UnknownChannel: words cannot ask a channel of that name; the message lists those they can.
        InvalidRequest: an input holds no words, the channel stores no texts, or another length of
            vectors is asked for than there is.
        Overloaded, DeadlineExceeded, EncoderUnavailable: try again.
    """
    plan = encoder.plan
    known = plan.channels_for("text")
    if request.model not in known:
        raise UnknownChannel(
            f"model: words can be encoded for the channels {', '.join(known) or 'none'}; got "
            f"{request.model!r}",
            channel=request.model,
            channels=known,
        )
    for at, text in enumerate(request.texts):
        if not text.strip():
            raise InvalidRequest(f"input[{at}] holds no words")
    identity = plan.identities[request.model]
    if request.dimensions not in (None, identity.dim):
        raise InvalidRequest(
            f"dimensions: vectors of {request.model} have {identity.dim}, got {request.dimensions}"
        )
    shown: Callable[[NDArray[np.float32]], list[float] | str] = (
        _packed if request.encoding_format == "base64" else _listed
    )
    if request.input_type == "passage":
        vectors = await _passages(request, config, encoder)
    else:
        vectors = await _questions(request, encoder)
    return EmbeddingsAnswer(
        data=[Embedding(index=index, embedding=shown(row)) for index, row in enumerate(vectors)],
        model=request.model,
        space_id=identity.space_id,
    )


async def _questions(request: EmbeddingsRequest, encoder: EncoderService) -> Vectors:
    turns = asyncio.Semaphore(TEXTS_AT_ONCE)

    async def encoded(text: str) -> Vectors:
        async with turns:
            return (await encoder.encode_text(text, [request.model]))[request.model].vectors

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(encoded(text)) for text in request.texts]
    except ExceptionGroup as failed:
        # The others were cancelled with it, so the first is why.
        raise failed.exceptions[0] from failed
    return np.concatenate([task.result() for task in tasks])


async def _passages(
    request: EmbeddingsRequest, config: CollectionConfig, encoder: EncoderService
) -> Vectors:
    channel = config.channels[request.model]
    if medium_of_encoder(channel.encoder) != "text":
        raise InvalidRequest(f"input_type: the channel {request.model} stores no texts, ask it")
    models = encoder.item_models(PASSAGE_SECONDS)
    return await asyncio.to_thread(lambda: models.open(channel.encoder).encode(request.texts))


def _listed(row: NDArray[np.float32]) -> list[float]:
    numbers: list[float] = row.tolist()
    return numbers


def _packed(row: NDArray[np.float32]) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()
