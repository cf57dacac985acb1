"""The text side of an open_clip model: tokens, and a forward pass no longer than its texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

MAX_CHARACTERS_PER_TOKEN = 64
"""No piece of CLIP's vocabulary has more than 32. The tokenizer inside open_clip splits all of a
text in Python before it cuts it, and needs time with the square of a word's length.
"""

MAX_CACHED_WORDS = 50_000
"""The tokenizer inside open_clip keeps every word it ever saw."""


class CleanTokens:
    """Turns any text into tokens.

    Args:
        tokenizer: one of open_clip's.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._max_characters = MAX_CHARACTERS_PER_TOKEN * tokenizer.context_length
        # Only open_clip's own tokenizer has one; it is born holding its special tokens.
        self._cache: dict[str, str] | None = getattr(tokenizer, "cache", None)
        self._special = dict(self._cache or {})

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the ``(len(texts), context_length)`` int64 tokens of one text or more."""
        # Half a surrogate pair, as undecodable file names hold, is an error for the tokenizer.
        clean = [
            text[: self._max_characters].encode("utf-8", "replace").decode("utf-8")
            for text in texts
        ]
        tokens: torch.Tensor = self._tokenizer(clean)
        if self._cache is not None and len(self._cache) > MAX_CACHED_WORDS:
            self._cache.clear()
            self._cache.update(self._special)
        return tokens


class TextTower(Protocol):
    """The forward pass of a text tower."""

    @property
    def vocabulary_size(self) -> int:
        """How many tokens it knows."""
        ...

    def lengths(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return how many tokens of each row matter, ``(n,)`` int64."""
        ...

    def features(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return ``(n, dim)`` vectors of any length for ``(n, context_length)`` tokens."""
        ...


def text_tower(network: Any) -> TextTower:
    """Return the text tower of an open_clip network, cut to its texts where that is exact."""
    tower = getattr(network, "text", network)
    # CLIP's own tower is called "text_pool_type" where the network has no tower apart.
    pool_type = getattr(tower, "pool_type", getattr(tower, "text_pool_type", None))
    if (
        pool_type == "argmax"
        and getattr(tower, "attn_mask", None) is not None
        and getattr(tower, "cls_emb", None) is None
    ):
        return CausalTower(tower)
    return WholeTower(network, tower)


class CausalTower:
    """A tower whose tokens see only those before them, read at the token that ends the text.

    Padding after that token has no influence, so it is left out: a caption has about a dozen
    tokens, the context 77.
    """

    def __init__(self, tower: Any) -> None:
        self._tower = tower

    @property
    def vocabulary_size(self) -> int:
        """How many tokens it knows."""
        size: int = self._tower.token_embedding.num_embeddings
        return size

    def lengths(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return how many tokens of each row matter, ``(n,)`` int64."""
        # The token that ends a text has the highest number of all.
        return tokens.argmax(dim=-1) + 1

    def features(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return ``(n, dim)`` vectors of any length for ``(n, context_length)`` tokens."""
        import torch

        tower = self._tower
        lengths = self.lengths(tokens)
        longest = int(lengths.max())
        states = tower.token_embedding(tokens[:, :longest]).to(tower.transformer.get_cast_dtype())
        states = states + tower.positional_embedding[:longest].to(states.dtype)
        states = tower.transformer(states, attn_mask=tower.attn_mask[:longest, :longest])
        rows = torch.arange(len(tokens), device=tokens.device)
        ends: torch.Tensor = tower.ln_final(states[rows, lengths - 1])
        projection = tower.text_projection
        if projection is None:
            return ends
        projected: torch.Tensor = (
            projection(ends) if isinstance(projection, torch.nn.Linear) else ends @ projection
        )
        return projected


class WholeTower:
    """Any other tower, run by the library itself over the whole context."""

    def __init__(self, network: Any, tower: Any) -> None:
        self._network = network
        self._tower = tower

    @property
    def vocabulary_size(self) -> int:
        """How many tokens it knows."""
        size: int = self._tower.vocab_size
        return size

    def lengths(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return how many tokens of each row matter, ``(n,)`` int64."""
        return tokens.new_full((len(tokens),), tokens.shape[1])

    def features(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return ``(n, dim)`` vectors of any length for ``(n, context_length)`` tokens."""
        rows: torch.Tensor = self._network.encode_text(tokens)
        return rows
