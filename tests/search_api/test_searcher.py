import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from encoders.errors import SpaceMismatch
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodeSandbox
from encoders.query_encoding import ChannelQuery
from indexer.live_view import UnknownChannel
from search_api.errors import (
    ItemNotFound,
    NoChannel,
    UnknownCollection,
    UnknownModality,
)
from search_api.filters import FilterError
from search_api.query_vectors import LocalQueryEncoder
from search_api.schemas import MediaSearchRequest, SearchRequest, SearchResponse
from search_api.searcher import Searcher
from tests.generated_media import write_video
from tests.search_api.small_collection import SmallCollection


@pytest.fixture
def searcher(small: SmallCollection) -> Iterator[Searcher]:
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        yield Searcher(small.config, small.live.view, encoder)


def ask(searcher: Searcher, query: dict[str, Any], **options: Any) -> SearchResponse:
    request = msgspec.convert({"query": query, **options}, SearchRequest)
    return asyncio.run(searcher.search(request))


def ids(answer: SearchResponse) -> list[str]:
    return [hit.item_id for hit in answer.hits]


def test_words_find_pictures_sounds_and_texts(searcher: Searcher) -> None:
    both = ask(searcher, {"text": "red"}, channels=["pictures", "passages"], limit=3)
    assert set(ids(both)) == {"red-1", "red-2", "story-1"}
    assert ids(ask(searcher, {"text": "high"}, channels=["sounds"], limit=1)) == ["high-1"]
    assert ids(ask(searcher, {"text": "green grass"}, channels=["passages"], limit=1)) == [
        "story-2"
    ]


def test_a_hit_says_where_and_what(searcher: Searcher, small: SmallCollection) -> None:
    answer = ask(searcher, {"text": "high"}, channels=["sounds"], modalities=["audio"])
    hit = next(hit for hit in answer.hits if hit.item_id == "low-1")
    assert hit.modality == "audio"
    assert hit.location == str(small.media / "low-1.wav")
    assert hit.attributes == {"title": "engine"}
    assert hit.confidence is None
    moment = hit.moments[0]
    assert (moment.channel, moment.start_seconds, moment.stop_seconds) == ("sounds", 10, 35)
    assert moment.score == pytest.approx(1, abs=2e-3)  # float16 store: 11-bit significand
    assert moment.text is msgspec.UNSET


def test_a_passage_is_shown_with_its_words(searcher: Searcher) -> None:
    hit = ask(searcher, {"text": "blue moon"}, channels=["passages"], limit=1).hits[0]
    assert hit.moments[0].text == "a blue moon rises"
    assert hit.moments[0].start_seconds is None


def test_attributes_outside_the_schema_come_along(searcher: Searcher) -> None:
    answer = ask(searcher, {"text": "green"}, channels=["pictures"], limit=1)
    assert answer.hits[0].attributes == {"year": 2003, "tags": ["leaf"], "stars": 5}


def test_a_stored_picture_finds_those_like_it_and_not_itself(searcher: Searcher) -> None:
    answer = ask(searcher, {"item_id": "red-2"}, modalities=["image"])
    assert ids(answer)[0] == "red-1"
    assert "red-2" not in ids(answer)
    assert {moment.channel for moment in answer.hits[0].moments} >= {"pictures", "looks"}


def test_a_stored_picture_finds_texts_through_the_shared_space(searcher: Searcher) -> None:
    answer = ask(searcher, {"item_id": "blue-1"}, modalities=["text"], channels=["passages"])
    assert ids(answer)[0] == "story-1"


def test_an_uploaded_picture_finds_pictures_and_words(searcher: Searcher, tmp_path: Path) -> None:
    path = tmp_path / "question"
    Image.new("RGB", (50, 40), "green").save(path, "PNG")
    options = MediaSearchRequest(limit=2, channels=["pictures", "passages"])
    answer = asyncio.run(searcher.search_file(path, options))
    assert set(ids(answer)) == {"green-1", "story-2"}


def test_a_video_without_sound_asks_with_its_pictures_or_says_why_it_cannot(
    searcher: Searcher, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "mute.mp4", [np.full((64, 64, 3), (0, 128, 0), np.uint8)] * 3)
    shown = MediaSearchRequest(limit=1, modalities=["image"])
    assert ids(asyncio.run(searcher.search_file(path, shown))) == ["green-1"]
    with pytest.raises(NoChannel, match=r"video holds nothing.*sounds"):
        asyncio.run(searcher.search_file(path, MediaSearchRequest(channels=["sounds"])))


def test_a_rejected_file_says_why(searcher: Searcher, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(MediaRejected):
        asyncio.run(searcher.search_file(path, MediaSearchRequest()))


def test_filters_and_modalities_narrow_what_may_answer(searcher: Searcher) -> None:
    english = {"field": "language", "equals": "en"}
    assert set(ids(ask(searcher, {"text": "red"}, filter=english))) == {
        "red-1",
        "high-1",
        "story-2",
    }
    assert set(ids(ask(searcher, {"text": "red"}, modalities=["text"]))) == {"story-1", "story-2"}
    both = ask(searcher, {"text": "red"}, modalities=["text", "audio"], filter=english)
    assert set(ids(both)) == {"high-1", "story-2"}
    nobody = {"field": "year", "range": {"gt": 3000}}
    assert ids(ask(searcher, {"text": "red"}, filter=nobody)) == []


def test_built_in_fields_filter_too(searcher: Searcher) -> None:
    def found(condition: dict[str, Any]) -> set[str]:
        return set(ids(ask(searcher, {"text": "red"}, filter=condition)))

    assert found({"field": "medium", "equals": "audio"}) == {"low-1", "high-1"}
    assert found({"field": "duration_seconds", "range": {"gte": 30}}) == {"low-1"}
    assert found({"field": "width_px", "exists": True}) == {"red-1", "red-2", "green-1", "blue-1"}
    assert found({"field": "released", "range": {"lt": "2021-01-01"}}) == {"blue-1"}
    assert found({"field": "updated_at", "range": {"lt": "2000-01-01"}}) == set()


def test_a_longer_answer_begins_with_the_shorter_one(searcher: Searcher) -> None:
    longest = ids(ask(searcher, {"text": "red fox"}, limit=200))
    for limit in range(1, len(longest)):
        assert ids(ask(searcher, {"text": "red fox"}, limit=limit)) == longest[:limit]


def test_deleted_items_are_gone_at_once(searcher: Searcher, small: SmallCollection) -> None:
    small.catalog.delete("small", ["red-1"])
    small.live.refresh()
    assert "red-1" not in ids(ask(searcher, {"text": "red"}, limit=200))
    with pytest.raises(ItemNotFound, match="red-1"):
        ask(searcher, {"item_id": "red-1"})


def test_items_with_hundreds_of_windows_leave_room_for_others(
    searcher: Searcher, small: SmallCollection
) -> None:
    small.sound("long-1", ["low"] * 700)
    small.sound("long-2", ["low"] * 700)
    answer = ask(searcher, {"text": "low"}, channels=["sounds"], limit=4)
    assert set(ids(answer)) == {"long-1", "long-2", "low-1", "high-1"}


def test_an_unknown_name_is_refused_with_those_there_are(searcher: Searcher) -> None:
    with pytest.raises(UnknownChannel, match=r"'smell'.*pictures, looks, sounds"):
        ask(searcher, {"text": "red"}, channels=["smell"])
    with pytest.raises(UnknownModality, match=r"'film'.*image, audio, video, text"):
        ask(searcher, {"text": "red"}, modalities=["film"])
    with pytest.raises(UnknownCollection, match=r"'large'.*small"):
        ask(searcher, {"text": "red"}, collection="large")
    with pytest.raises(ItemNotFound, match="nobody"):
        ask(searcher, {"item_id": "nobody"})
    with pytest.raises(FilterError, match="no field 'colour'"):
        ask(searcher, {"text": "red"}, filter={"field": "colour", "equals": "red"})


def test_a_question_that_no_channel_can_answer_says_which_can(searcher: Searcher) -> None:
    with pytest.raises(NoChannel, match=r"asked with text; they take looks: image"):
        ask(searcher, {"text": "red"}, channels=["looks"])
    with pytest.raises(NoChannel, match="holds video"):
        ask(searcher, {"text": "red"}, modalities=["video"], channels=["pictures"])
    with pytest.raises(NoChannel, match="'high-1' has no vectors"):
        ask(searcher, {"item_id": "high-1"}, channels=["looks"])


def test_an_empty_collection_answers_with_nothing(tmp_path: Path) -> None:
    empty = SmallCollection(tmp_path)
    empty.live.refresh()
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(empty.loader, empty.config, sandbox)
        searcher = Searcher(empty.config, empty.live.view, encoder)
        answer = ask(searcher, {"text": "red"})
    assert answer.hits == []
    assert answer.snapshot is None
    assert answer.mode == "exact"
    empty.close()


def test_vectors_of_another_space_are_refused_and_named(
    small: SmallCollection, searcher: Searcher
) -> None:
    class OtherModel:
        plan = searcher._query_encoder.plan

        async def encode_text(self, _text: str, channels: list[str]) -> dict[str, ChannelQuery]:
            vectors = small.loader.open(small.config.channels["titles"].encoder).encode(["red"])
            return {channel: ChannelQuery("other-words", vectors) for channel in channels}

    other = Searcher(small.config, small.live.view, OtherModel())  # type: ignore[arg-type]
    with pytest.raises(SpaceMismatch, match=r"other-words.*'pictures'.*words"):
        ask(other, {"text": "red"})
