from __future__ import annotations

import msgspec
import pytest

from encoders.errors import ConfigError
from indexer.config import IndexConfig, collection_path, load_collection, parse_collection

MINIMAL = """
name: tiny
attributes: {title: text}
channels:
  passages:
    media: [text]
    segments: {kind: passages, max_words: 50}
    encoder: {family: sentence_transformers}
"""


def test_the_starter_collection_is_the_default_and_parses() -> None:
    config = load_collection()
    assert config.name == "starter"
    assert list(config.channels_for("image")) == ["pictures", "looks", "titles"]
    assert list(config.channels_for("audio")) == ["sounds", "timbre", "speech", "titles"]
    assert list(config.channels_for("video")) == ["frames", "sounds", "timbre", "speech", "titles"]
    assert list(config.channels_for("text")) == ["passages", "titles"]


def test_digest_changes_with_any_value_and_not_with_layout() -> None:
    digest = parse_collection(MINIMAL).digest
    assert parse_collection(MINIMAL + "\n# a comment\n").digest == digest
    assert parse_collection(MINIMAL.replace("50", "51")).digest != digest


def test_unknown_collection_lists_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there are: .*starter"):
        collection_path("nothing")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("max_words: 50", "max_word: 50"), "max_word"),
        (("family: sentence_transformers", "family: word2vec"), "word2vec"),
        (("kind: passages, max_words: 50", "kind: passages, max_words: 50, overlap_words: 50"),
         "overlap_words 50 must be smaller"),
        (("media: [text]", "media: [image]"), "passages are cut from text"),
        (("media: [text]", "media: []"), "media is empty"),
        (("name: tiny", "name: Not A Name"), "name"),
        (("passages:\n    media: [text]\n    segments: {kind: passages, max_words: 50}",
          "passages:\n    media: [any]\n    fields: [nothing]"), "'nothing' is not a text or"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named(change: tuple[str, str], said: str) -> None:
    text = MINIMAL.replace(*change)
    assert text != MINIMAL
    with pytest.raises(ConfigError, match=said):
        parse_collection(text)


def test_a_window_hop_longer_than_the_window_is_refused() -> None:
    text = """
name: gaps
channels:
  sounds:
    media: [audio]
    segments: {kind: windows, length_seconds: 5, hop_seconds: 6}
    encoder: {family: concepts, classifier: yamnet}
"""
    with pytest.raises(ConfigError, match=r"hop_seconds 6\.0 is longer"):
        parse_collection(text)


def test_a_channel_whose_encoder_takes_another_medium_is_refused() -> None:
    text = MINIMAL.replace(
        "segments: {kind: passages, max_words: 50}\n    encoder: {family: sentence_transformers}",
        "encoder: {family: features, classifier: efficientnet_lite2}",
    )
    with pytest.raises(ConfigError, match="its encoder takes image, the channel says text"):
        parse_collection(text)


def test_sound_that_is_not_cut_in_windows_is_refused() -> None:
    text = MINIMAL.replace(
        "media: [text]\n    segments: {kind: passages, max_words: 50}\n"
        "    encoder: {family: sentence_transformers}",
        "media: [audio]\n    encoder: {family: features, classifier: yamnet}",
    )
    with pytest.raises(ConfigError, match="sound is cut in windows"):
        parse_collection(text)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        (
            "media: [audio]\n    segments: {kind: utterances}\n"
            "    encoder: {family: sentence_transformers}",
            "a recognizer and segments of kind utterances belong together",
        ),
        (
            "media: [text]\n    segments: {kind: passages, max_words: 50}\n"
            "    recognizer: {family: whisper}\n    encoder: {family: sentence_transformers}",
            "a recognizer and segments of kind utterances belong together",
        ),
        (
            "media: [audio]\n    segments: {kind: shots}\n"
            "    encoder: {family: concepts, classifier: efficientnet_lite2}",
            "shots are cut from video, not from audio",
        ),
        (
            "media: [video]\n    segments: {kind: shots}\n"
            "    encoder: {family: concepts, classifier: yamnet}",
            "its encoder takes audio, but shots are encoded as image",
        ),
    ],
)
def test_speech_and_shots_need_what_they_are_made_of(channel: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_collection(f"name: tiny\nchannels:\n  some:\n    {channel}\n")


def test_a_collection_names_each_model_it_stands_on_once() -> None:
    assert sorted(load_collection("starter").models) == [
        "efficientnet_lite2",
        "minilm",
        "whisper_base",
        "yamnet",
    ]


@pytest.mark.parametrize(
    ("written", "size"),
    [(None, None), (4096, 4096), ("2GiB", 2 << 30), ("1.5 MiB", 3 << 19)],
)
def test_a_memory_budget_is_bytes_or_has_a_unit(written: int | str | None, size: int) -> None:
    assert IndexConfig(memory_budget=written).memory_budget_bytes == size


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"memory_budget": "2GB"}, "units: KiB, MiB, GiB, TiB"),
        ({"memory_budget": 0}, "at least 1 byte, got 0"),
        ({"memory_budget": 10, "factory": "Flat"}, "got 'Flat'"),
    ],
)
def test_a_memory_budget_that_says_nothing_is_refused(
    wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(wrong, IndexConfig)


def test_digests_are_those_of_before_there_were_servers() -> None:
    assert parse_collection(MINIMAL).digest == "844d4411973ee77d"


def qdrant(index: str) -> str:
    return MINIMAL + f"    index: {{{index}}}\n"


def test_another_server_is_another_digest() -> None:
    embedded = parse_collection(qdrant("engine: qdrant"))
    servers = [
        parse_collection(qdrant(f"engine: qdrant, url: 'http://{keys}"))
        for keys in ("one'", "two'", "one', grpc: false", "one', api_key_variable: KEY")
    ]
    assert len({config.digest for config in (embedded, *servers)}) == 5


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("url: 'http://one'", "only for engine: qdrant"),
        ("engine: qdrant, grpc: false", "belong to the url"),
        ("engine: qdrant, api_key_variable: KEY", "belong to the url"),
        ("engine: qdrant, url: 'one:6333'", r"like http://host:6333, got 'one:6333'"),
        ("engine: qdrant, url: 'http://user:secret@one'", "must hold no key"),
        ("engine: qdrant, url: 'http://one?api-key=secret'", "must hold no key"),
        ("engine: qdrant, url: 'http://one', api_key_variable: '${KEY}'", "api_key_variable"),
    ],
)
def test_a_server_is_named_as_it_should_be(index: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_collection(qdrant(index))
    assert "secret" not in str(caught.value.message)
