"""What counts as a word, in scripts with and without spaces."""

from __future__ import annotations

import re

# Scripts written without spaces: each character counts as a word. Other runs without a space are
# cut at 40 characters, since no word is that long and a model would drop the rest.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]{{1,40}}")


def count_words(text: str) -> int:
    """Return how many words `passages` sees in ``text``."""
    return sum(1 for _ in WORD.finditer(text))
