from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders.adapters.pairs import Pair, encode_pairs, fit_from_pairs
from encoders.config import ConceptsConfig, FeaturesConfig, SentenceConfig, WindowSegments
from encoders.errors import ConfigError
from encoders.media.sandbox import DecodeSandbox
from tests.fake_encoders import COLOURS, FakeEncoder, FakeLoader
from tests.generated_media import sine, write_sound

LOADER = FakeLoader()
TEXTS = LOADER.open(SentenceConfig())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[DecodeSandbox]:
    with DecodeSandbox() as opened:
        yield opened


def looks() -> FakeEncoder:
    return LOADER.open(FeaturesConfig("efficientnet_lite2"))


def concepts() -> FakeEncoder:
    return LOADER.open(ConceptsConfig("efficientnet_lite2"))


def coloured_pairs(folder: Path, num_pairs: int) -> list[Pair]:
    """Each colour has a few titles, so that whole titles can be held out."""
    pairs = []
    for number in range(num_pairs):
        colour = list(COLOURS)[number % len(COLOURS)]
        path = folder / f"{number}.png"
        Image.new("RGB", (8, 8), COLOURS[colour]).save(path)
        pairs.append(Pair(path, f"{colour} number{number % 12}", None, number + 1))
    return pairs


def test_pairs_are_decoded_encoded_and_linked(tmp_path: Path, sandbox: DecodeSandbox) -> None:
    pairs = coloured_pairs(tmp_path, 24)
    encoded, skipped = encode_pairs(pairs, looks(), concepts(), TEXTS, sandbox)
    assert skipped == ()
    assert len(encoded) == encoded.num_items == 24
    assert encoded.titles.tolist() == [*range(12), *range(12)]
    assert encoded.groups.tolist() == encoded.titles.tolist()
    assert encoded.base is not None
    # The fake base says the colour, which is one of the title's two words.
    assert np.sum(encoded.base * encoded.targets, axis=1).min() > 0.3


def test_both_encoders_get_the_very_same_contents(tmp_path: Path, sandbox: DecodeSandbox) -> None:
    encode_pairs(coloured_pairs(tmp_path, 20), looks(), concepts(), TEXTS, sandbox)
    seen, placed = looks().batches[-1], concepts().batches[-1]
    assert all(left is right for left, right in zip(seen, placed, strict=True))


def test_pairs_of_one_group_or_one_file_hang_together(
    tmp_path: Path, sandbox: DecodeSandbox
) -> None:
    plain = coloured_pairs(tmp_path, 20)
    pairs = [Pair(each.path, f"title {each.row}", None, each.row) for each in plain]
    pairs[1] = Pair(pairs[1].path, "title 2", "stamps", 2)
    pairs[4] = Pair(pairs[4].path, "title 5", "stamps", 5)
    pairs.append(Pair(pairs[0].path, "another title", None, 21))
    encoded, _ = encode_pairs(pairs, looks(), None, TEXTS, sandbox)
    assert encoded.base is None
    assert encoded.groups[1] == encoded.groups[4]
    assert encoded.groups[0] == encoded.groups[20]
    assert len(set(encoded.groups.tolist())) == 19


def test_fit_gives_an_adapter_and_what_it_is_worth(tmp_path: Path, sandbox: DecodeSandbox) -> None:
    told: list[tuple[int, int]] = []
    fit = fit_from_pairs(
        coloured_pairs(tmp_path, 40),
        looks(),
        concepts(),
        TEXTS,
        sandbox,
        progress=lambda done, every: told.append((done, every)),
    )
    assert fit.num_pairs == 40
    assert fit.recall.num_questions == 40
    assert fit.recall.titles_to_media.before is not None
    assert fit.adapter.matrix.shape == (64, 64)
    assert told == [(32, 40), (40, 40)]


def test_media_that_cannot_be_decoded_are_listed_and_stop_nothing(
    tmp_path: Path, sandbox: DecodeSandbox
) -> None:
    pairs = coloured_pairs(tmp_path, 22)
    pairs[3].path.write_text("not a picture")
    encoded, skipped = encode_pairs(pairs, looks(), concepts(), TEXTS, sandbox)
    assert encoded.num_items == 21
    assert [each.row for each in skipped] == [4]
    assert skipped[0].path == str(pairs[3].path)
    assert skipped[0].reason


def test_too_few_pairs_are_refused(tmp_path: Path, sandbox: DecodeSandbox) -> None:
    pairs = coloured_pairs(tmp_path, 20)
    pairs[0].path.write_text("not a picture")
    with pytest.raises(ConfigError, match=r"at least 20 pairs, 19 of 20 could be used; the first"):
        fit_from_pairs(pairs, looks(), None, TEXTS, sandbox)


def test_sounds_are_cut_as_in_their_channel(tmp_path: Path, sandbox: DecodeSandbox) -> None:
    path = write_sound(tmp_path / "tone.wav", sine(440.0, seconds=2.5, sample_rate_hz=8000), 8000)
    pairs = [Pair(path, f"title {number}", None, number) for number in range(20)]
    timbre = LOADER.open(FeaturesConfig("yamnet"))
    windows = WindowSegments(1.0, 1.0)
    encoded, _ = encode_pairs(pairs, timbre, None, TEXTS, sandbox, windows=windows)
    assert encoded.num_items == 20
    assert encoded.items.tolist() == [number for number in range(20) for _ in range(3)]
    with pytest.raises(ConfigError, match="say in which windows"):
        encode_pairs(pairs, timbre, None, TEXTS, sandbox)


def test_features_of_texts_are_refused(tmp_path: Path, sandbox: DecodeSandbox) -> None:
    with pytest.raises(ConfigError, match="adapters map features of image or audio"):
        encode_pairs(coloured_pairs(tmp_path, 20), TEXTS, None, TEXTS, sandbox)
