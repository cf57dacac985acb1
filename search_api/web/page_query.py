"""What a page's address says: the question, where to look, how much to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlencode

from search_api.schemas import MAX_LIMIT
from search_api.web.filter_form import PREFIX

DEFAULT_LIMIT = 24
MAX_LIMIT_DIGITS = 8
MAX_NAME_CHARS = 120


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A search as the address of the search page holds it."""

    text: str = ""
    """Words; when there are any, they are the question."""

    item_id: str = ""
    """An item to find similar ones of."""

    file: str = ""
    """sha256 of a file that was sent to search with."""

    file_name: str = ""
    """What its sender calls the file; only shown."""

    media: tuple[str, ...] = ()
    """Media of the answers; none: any."""

    conditions: Mapping[str, str] = field(default_factory=dict)
    """What was filled in of the filter form; see `filter_form`."""

    limit: int = DEFAULT_LIMIT

    @classmethod
    def from_params(cls, params: Iterable[tuple[str, str]]) -> Self:
        """Read the parameters of an address; what the page does not know is left out."""
        pairs = [(name, value.strip()) for name, value in params if value.strip()]
        given = dict(pairs)
        text = given.get("q", "")
        file = "" if text else given.get("file", "")
        return cls(
            text=text,
            item_id="" if text or file else given.get("item", ""),
            file=file,
            file_name=given.get("name", "")[:MAX_NAME_CHARS] if file else "",
            media=tuple(dict.fromkeys(value for name, value in pairs if name == "medium")),
            conditions={name: value for name, value in pairs if name.startswith(PREFIX)},
            limit=_limit(given.get("limit", "")),
        )

    @property
    def asks(self) -> bool:
        """Whether there is a question at all."""
        return bool(self.text or self.item_id or self.file)

    @property
    def question_params(self) -> list[tuple[str, str]]:
        """The parameters of the question itself."""
        named = [
            ("q", self.text),
            ("item", self.item_id),
            ("file", self.file),
            ("name", self.file_name),
        ]
        return [(name, value) for name, value in named if value]

    @property
    def filter_params(self) -> list[tuple[str, str]]:
        """The parameters that narrow the search."""
        return [*(("medium", medium) for medium in self.media), *self.conditions.items()]

    @property
    def url(self) -> str:
        """The address of the page."""
        params = [*self.question_params, *self.filter_params]
        if self.limit != DEFAULT_LIMIT:
            params.append(("limit", str(self.limit)))
        return f"/?{urlencode(params)}" if params else "/"

    def more(self) -> PageQuery | None:
        """Return the same search with more answers; ``None`` where there are no more to be had."""
        if self.limit >= MAX_LIMIT:
            return None
        return replace(self, limit=min(2 * self.limit, MAX_LIMIT))

    def like(self, item_id: str) -> PageQuery:
        """Return a search for what is like an item, in the same media."""
        return PageQuery(item_id=item_id, media=self.media, conditions=self.conditions)

    def without(self, name: str) -> PageQuery:
        """Return the search without one condition of the filter form."""
        conditions = {key: value for key, value in self.conditions.items() if key != name}
        return replace(self, conditions=conditions)

    def unfiltered(self) -> PageQuery:
        """Return the search without filters."""
        return replace(self, media=(), conditions={})


def _limit(text: str) -> int:
    if not text.isdecimal() or len(text) > MAX_LIMIT_DIGITS:
        return DEFAULT_LIMIT
    return min(max(1, int(text)), MAX_LIMIT)
