"""What goes in and out of ``POST /v1/embeddings``, in the shape of OpenAI's endpoint.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from search_api.schemas import MAX_TEXT_CHARS

MAX_INPUTS = 256

Input = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
Inputs = Annotated[list[Input], msgspec.Meta(min_length=1, max_length=MAX_INPUTS)]


class EmbeddingsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/embeddings``."""

    model: str
    """A channel of the collection that words can ask, as ``GET /v1/collections`` lists them."""

    input: Input | Inputs
    encoding_format: Literal["float", "base64"] = "float"
    """``base64``: float32, lowest byte first."""

    input_type: Literal["query", "passage"] = "query"
    """``passage``: as the channel stores texts, which some models encode in another way."""

    dimensions: int | None = None
    """Vectors are not shortened: this must be the length they have, if it is given."""

    user: str | None = None
    """Taken and ignored."""

    collection: str | None = None

    @property
    def texts(self) -> list[str]:
        """What is to be encoded."""
        return [self.input] if isinstance(self.input, str) else self.input


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """The vector of one input."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What OpenAI bills by; nothing is counted here."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Unit vectors, in order of the inputs."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    space_id: str
    """The space they are in; vectors of it may be stored and compared."""

    usage: EmbeddingsUsage = EmbeddingsUsage()
