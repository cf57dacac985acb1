from __future__ import annotations

from pathlib import Path

import pytest

from encoders.config import ConceptsConfig, EncoderConfig, FeaturesConfig, SentenceConfig
from encoders.loading import EncoderLoader, spaces
from encoders.weights import ModelFolder

STARTER: dict[str, EncoderConfig] = {
    "pictures": ConceptsConfig("efficientnet_lite2"),
    "looks": FeaturesConfig("efficientnet_lite2"),
    "sounds": ConceptsConfig("yamnet"),
    "timbre": FeaturesConfig("yamnet"),
    "passages": SentenceConfig(),
    "titles": SentenceConfig(),
}


@pytest.fixture
def loader(tmp_path: Path) -> EncoderLoader:
    return EncoderLoader(ModelFolder(tmp_path))


def test_each_space_names_its_query_encoder_per_medium(loader: EncoderLoader) -> None:
    text = loader.identify(SentenceConfig()).space_id
    assert spaces(STARTER, loader)[text].query_encoders == {
        "image": "pictures",
        "audio": "sounds",
        "text": "passages",
    }


def test_feature_spaces_take_questions_of_their_own_medium_only(loader: EncoderLoader) -> None:
    found = spaces(STARTER, loader)
    looks = loader.identify(STARTER["looks"]).space_id
    timbre = loader.identify(STARTER["timbre"]).space_id
    assert found[looks].query_encoders == {"image": "looks"}
    assert found[timbre].query_encoders == {"audio": "timbre"}
    assert len(found) == 3


def test_first_channel_of_the_file_is_asked(loader: EncoderLoader) -> None:
    turned = dict(reversed(STARTER.items()))
    text = loader.identify(SentenceConfig()).space_id
    assert spaces(turned, loader)[text].query_encoders["text"] == "titles"


def test_dimension_is_that_of_the_encoders(loader: EncoderLoader) -> None:
    for space_id, space in spaces(STARTER, loader).items():
        assert space.space_id == space_id
        assert space.dim in {384, 1280, 1024}


def test_collection_without_channels_has_no_spaces(loader: EncoderLoader) -> None:
    assert spaces({}, loader) == {}
