from __future__ import annotations

import pytest

from encoders.clip import text as open_clip_text
from encoders.clip.library import open_clip_library
from encoders.clip.text import CausalTower, CleanTokens, WholeTower, text_tower
from tests.small_open_clip import small_architecture, small_network


def test_words_seen_are_forgotten_before_they_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = open_clip_library().get_tokenizer("ViT-B-32")
    tokens = CleanTokens(tokenizer)
    before = tokens(["a cat <end_of_text>"])
    monkeypatch.setattr(open_clip_text, "MAX_CACHED_WORDS", 10)
    for number in range(5):
        tokens([" ".join(f"{letter}word{'x' * number}" for letter in "abcdefgh")])
        assert len(tokenizer.cache) <= 10
    assert tokens(["a cat <end_of_text>"]).equal(before)


def test_endless_word_is_cut_before_it_is_split() -> None:
    asked: list[str] = []

    class Recorder:
        context_length = 77

        def __call__(self, texts: list[str]) -> None:
            asked.extend(texts)

    CleanTokens(Recorder())(["x" * 10_000_000])
    assert [len(text) for text in asked] == [77 * 64]


def test_tower_is_cut_to_its_texts_only_where_padding_is_unseen() -> None:
    clip = text_tower(small_network(small_architecture()))
    assert isinstance(clip, CausalTower)
    siglip = small_architecture(custom_text=True)
    siglip["text_cfg"] = {**siglip["text_cfg"], "no_causal_mask": True, "pool_type": "last"}
    assert isinstance(text_tower(small_network(siglip)), WholeTower)
    sees_all = small_architecture(custom_text=True)
    sees_all["text_cfg"] = {**sees_all["text_cfg"], "no_causal_mask": True}
    assert isinstance(text_tower(small_network(sees_all)), WholeTower)
