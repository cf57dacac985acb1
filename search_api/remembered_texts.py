"""A memory of how the latest questions in words were encoded, before the encoder process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from encoders.query_encoding import ChannelQuery, FileQuery
from encoders.query_plan import QueryPlan
from search_api.query_vectors import QueryEncoder

ENTRY_BYTES = 600
"""What an entry takes besides its text and vectors: key, array headers, place in the order."""

_Key: TypeAlias = tuple[str, str]


class RememberedTexts:
    """A query encoder that answers words it was asked before by itself.

    People ask the same again: a page is reloaded, a filter or the number of hits changed, a
    popular word asked by many. Each worker remembers for itself, so that a known question waits for
    no other process. Only answers are remembered, errors never. It belongs to one event loop.

    Args:
        encoder: asked when something is not remembered.
        max_bytes: most memory for what is remembered, least recently asked first out; 0 remembers
            nothing.
        on_question: told of each question in words whether it was remembered.
    """

    def __init__(
        self, encoder: QueryEncoder, *, max_bytes: int, on_question: Callable[[bool], None]
    ) -> None:
        self._encoder = encoder
        self._max_bytes = max_bytes
        self._on_question = on_question
        self._known: OrderedDict[_Key, ChannelQuery] = OrderedDict()
        self._num_bytes = 0

    @property
    def plan(self) -> QueryPlan:
        """Which channel can be asked with which medium."""
        return self._encoder.plan

    @property
    def num_bytes(self) -> int:
        """Memory that is taken now."""
        return self._num_bytes

    async def encode_text(self, text: str, channels: Sequence[str]) -> Mapping[str, ChannelQuery]:
        """See `QueryEncoder.encode_text`."""
        sources = self.plan.sources["text"]
        # Channels that share an encoder of words share its vectors, whatever they are called.
        keys = {
            name: (sources[name].identity.encoder_id, text) for name in channels if name in sources
        }
        is_known = all(key in self._known for key in keys.values())
        self._on_question(is_known)
        if not is_known:
            queries = await self._encoder.encode_text(text, channels)
            for name, query in queries.items():
                self._remember(keys[name], query)
            return queries
        for key in keys.values():
            self._known.move_to_end(key)
        return {name: self._known[key] for name, key in keys.items()}

    async def encode_file(self, path: Path, channels: Sequence[str]) -> FileQuery:
        """See `QueryEncoder.encode_file`; files are not remembered."""
        return await self._encoder.encode_file(path, channels)

    def _remember(self, key: _Key, query: ChannelQuery) -> None:
        if key in self._known:
            return
        query.vectors.flags.writeable = False  # shared by all who ask the same
        self._known[key] = query
        self._num_bytes += _entry_bytes(key, query)
        while self._num_bytes > self._max_bytes:
            self._num_bytes -= _entry_bytes(*self._known.popitem(last=False))


def _entry_bytes(key: _Key, query: ChannelQuery) -> int:
    return ENTRY_BYTES + len(key[1].encode("utf-8", "surrogatepass")) + query.vectors.nbytes
