from __future__ import annotations

import numpy as np
import pytest

from encoders.admission.plain_pictures import PICTURE_NAMES, SHIFT_PX, plain_pictures
from encoders.admission.plain_sounds import SECONDS, SHIFT_SECONDS, SOUND_NAMES, plain_sounds
from encoders.admission.plain_texts import UNLIKE_TEXTS
from encoders.admission.probes import probes_for
from encoders.encoder import EncoderIdentity
from encoders.errors import ConfigError
from encoders.media.content import Medium


def identity(medium: Medium, sample_rate_hz: int | None = None) -> EncoderIdentity:
    return EncoderIdentity("fake", "fake-space", 8, medium, sample_rate_hz)


def test_there_are_twelve_pictures_twelve_sounds_and_thirty_texts() -> None:
    assert len(plain_pictures()) == len(set(PICTURE_NAMES)) == 12
    assert len(plain_sounds(16_000)) == len(set(SOUND_NAMES)) == 12
    assert len(set(UNLIKE_TEXTS)) == 30


def test_pictures_are_the_same_every_time() -> None:
    for first, second in zip(plain_pictures(), plain_pictures(), strict=True):
        assert np.array_equal(first.pixels, second.pixels)


def test_sounds_are_the_same_every_time() -> None:
    for first, second in zip(plain_sounds(16_000), plain_sounds(16_000), strict=True):
        assert np.array_equal(first.samples, second.samples)


def test_pictures_show_something_and_differ() -> None:
    pictures = [picture.pixels for picture in plain_pictures()]
    assert {pixels.shape for pixels in pictures} == {(224, 224, 3)}
    assert min(float(pixels.std()) for pixels in pictures) > 10
    assert len({pixels.tobytes() for pixels in pictures}) == 12


def test_shifted_pictures_are_the_same_drawing_to_the_right() -> None:
    shifted = plain_pictures(shift_px=SHIFT_PX)
    for picture, moved in zip(plain_pictures(), shifted, strict=True):
        assert np.array_equal(moved.pixels[:, SHIFT_PX:], picture.pixels[:, :-SHIFT_PX])
        assert not np.array_equal(moved.pixels, picture.pixels)


@pytest.mark.parametrize("sample_rate_hz", [16_000, 44_100, 48_000])
def test_sounds_are_loud_enough_and_within_range_at_every_rate(sample_rate_hz: int) -> None:
    for sound in plain_sounds(sample_rate_hz):
        assert sound.sample_rate_hz == sample_rate_hz
        assert sound.duration_seconds == SECONDS
        assert 0.15 < np.abs(sound.samples).max() <= 1


def test_later_sounds_are_the_same_recording_cut_later() -> None:
    num_samples = round(SHIFT_SECONDS * 16_000)
    later_sounds = plain_sounds(16_000, later_seconds=SHIFT_SECONDS)
    for sound, later in zip(plain_sounds(16_000), later_sounds, strict=True):
        assert np.array_equal(later.samples[:-num_samples], sound.samples[num_samples:])
        assert len(later.samples) == len(sound.samples)


def test_extremes_are_of_very_different_size() -> None:
    sounds = probes_for(identity("audio", 16_000)).extremes
    assert [round(sound.duration_seconds, 1) for sound in sounds] == [0.0, 0.1, 12.0]
    pictures = probes_for(identity("image")).extremes
    assert [picture.pixels.shape[:2] for picture in pictures] == [(1, 1), (224, 3), (448, 672)]
    assert max(len(text) for text in probes_for(identity("text")).extremes) == 600


def test_contents_have_their_names_and_their_shifted_selves() -> None:
    for probes in (probes_for(identity("audio", 16_000)), probes_for(identity("image"))):
        assert len(probes.names) == len(probes.shifted) == len(probes.plain)
    assert probes_for(identity("text")).names == probes_for(identity("text")).shifted == ()


def test_encoder_of_no_known_medium_is_refused() -> None:
    with pytest.raises(ConfigError, match="takes video"):
        probes_for(identity("video"))
    with pytest.raises(ConfigError, match="audio at None Hz"):
        probes_for(identity("audio"))
