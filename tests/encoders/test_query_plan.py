from encoders.config import (
    ConceptsConfig,
    FeaturesConfig,
    PassageSegments,
    SentenceConfig,
    ShotSegments,
    UtteranceSegments,
    WholeSegments,
    WindowSegments,
)
from encoders.query_plan import DEFAULT_PASSAGES, PlannedChannel, plan_queries
from indexer.config import load_collection
from search_api.query_vectors import planned_channels
from tests.fake_encoders import FakeLoader

WINDOWS = WindowSegments(length_seconds=4, hop_seconds=2)
PASSAGES = PassageSegments(max_words=50)
PICTURES = PlannedChannel(ConceptsConfig(classifier="efficientnet_lite2"), WholeSegments())
LOOKS = PlannedChannel(FeaturesConfig(classifier="efficientnet_lite2"), WholeSegments())
SOUNDS = PlannedChannel(ConceptsConfig(classifier="yamnet"), WINDOWS)
TITLES = PlannedChannel(SentenceConfig(), WholeSegments(), of_fields=True)
TEXTS = PlannedChannel(SentenceConfig(), PASSAGES)


def test_the_starter_is_asked_with_words_pictures_sounds_and_texts() -> None:
    channels = planned_channels(load_collection("starter"))
    plan = plan_queries(channels, FakeLoader().identify)
    words = ["pictures", "frames", "sounds", "speech", "passages", "titles"]
    assert plan.channels_for("text") == words
    assert set(plan.channels_for("image")) == {*words, "looks"}
    assert set(plan.channels_for("audio")) == {*words, "timbre"}
    assert set(plan.channels_for("video")) == {*words, "looks", "timbre"}
    assert plan.media_for("looks") == ["image", "video"]


def test_a_channel_is_asked_through_its_own_encoder_where_that_takes_the_medium() -> None:
    plan = plan_queries({"pictures": PICTURES, "looks": LOOKS}, FakeLoader().identify)
    assert plan.sources["image"]["pictures"].encoder == PICTURES.encoder
    assert plan.sources["image"]["looks"].encoder == LOOKS.encoder


def test_a_file_is_cut_as_content_channels_are_not_as_fields_are() -> None:
    plan = plan_queries({"titles": TITLES, "texts": TEXTS}, FakeLoader().identify)
    assert plan.sources["text"]["titles"].segments == PASSAGES
    assert plan.sources["text"]["texts"].segments == PASSAGES


def test_a_sound_asks_each_channel_cut_as_that_channel_is() -> None:
    longer = PlannedChannel(SOUNDS.encoder, WindowSegments(length_seconds=8, hop_seconds=8))
    plan = plan_queries({"short": SOUNDS, "long": longer}, FakeLoader().identify)
    assert plan.sources["audio"]["short"].segments == WINDOWS
    assert plan.sources["audio"]["long"].segments == longer.segments


def test_words_find_pictures_even_in_a_collection_without_texts() -> None:
    plan = plan_queries({"pictures": PICTURES}, FakeLoader().identify)
    assert plan.sources["text"]["pictures"].encoder == SentenceConfig(role="query")
    assert plan.sources["text"]["pictures"].segments == DEFAULT_PASSAGES


def test_nothing_asks_across_spaces() -> None:
    plan = plan_queries({"looks": LOOKS, "sounds": SOUNDS}, FakeLoader().identify)
    assert plan.channels_for("text") == ["sounds"]
    assert plan.channels_for("image") == ["looks"]


def test_a_video_asks_with_its_shots_and_its_sound() -> None:
    frames = PlannedChannel(PICTURES.encoder, ShotSegments(max_seconds=5))
    plan = plan_queries(
        {"pictures": PICTURES, "frames": frames, "sounds": SOUNDS}, FakeLoader().identify
    )
    asked = plan.sources["video"]
    assert asked["pictures"] == asked["frames"]
    assert asked["frames"].segments == frames.segments
    assert asked["sounds"].encoder == SOUNDS.encoder


def test_a_text_that_asks_a_channel_of_speech_is_read_in_passages() -> None:
    speech = PlannedChannel(SentenceConfig(), UtteranceSegments())
    both = plan_queries({"speech": speech, "texts": TEXTS}, FakeLoader().identify)
    assert both.sources["text"]["speech"] == both.sources["text"]["texts"]
    plan = plan_queries({"speech": speech}, FakeLoader().identify)
    assert plan.sources["text"]["speech"].segments == DEFAULT_PASSAGES
