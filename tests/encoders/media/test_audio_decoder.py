from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.media.audio_decoder import decode_sound, sound_info
from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected
from tests.generated_media import (
    Samples,
    chord,
    gradient,
    sine,
    video_bytes,
    write_m4a,
    write_mp3_without_length,
    write_silent_flac,
    write_sound,
)

LIMITS = DecodeLimits()
SEAM_ATOL = 2e-6  # float32 rounding inside the resampler, which groups samples differently

FORMATS = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "mp3 without length")


def write(folder: Path, format: str, samples: Samples, sample_rate_hz: int = 48_000) -> Path:
    path = folder / f"sound-{format}"
    if format == "m4a":
        return write_m4a(path, samples, sample_rate_hz)
    if format == "mp3 without length":
        return write_mp3_without_length(path, samples, sample_rate_hz)
    container = "OGG" if format == "opus" else format.upper()
    subtype = {"opus": "OPUS", "ogg": "VORBIS"}.get(format)
    return write_sound(path, samples, sample_rate_hz, format=container, subtype=subtype)


def decoded(path: Path, start: float, stop: float, rate: int = 16_000) -> Samples:
    return decode_sound(path, start, stop, rate, limits=LIMITS).samples


def reason_of(path: Path, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(MediaRejected) as caught:
        sound_info(path, limits=limits)
    return caught.value.reason


@pytest.mark.parametrize("format", FORMATS)
def test_length_rate_and_channels_are_found(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format, chord(seconds=3.0, sample_rate_hz=48_000))
    info = sound_info(path, limits=LIMITS)
    assert (info.sample_rate_hz, info.num_channels) == (48_000, 1)
    frame_seconds = 3 * 1152 / 48_000  # an MP3 without a length counts its padding frames too
    exact = 1e-9 if format != "mp3 without length" else frame_seconds
    assert info.duration_seconds == pytest.approx(3.0, abs=exact)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_stretch_is_the_same_whatever_is_decoded_with_it(
    tmp_path: Path, format: str, rate: int
) -> None:
    path = write(tmp_path, format, chord(seconds=6.0, sample_rate_hz=48_000))
    whole = decoded(path, 0.0, 6.0, rate)
    for start, stop in ((0.0, 2.0), (1.0, 3.0), (2.345, 2.5), (4.99, 6.0)):
        stretch = decoded(path, start, stop, rate)
        first = round(start * rate)
        expected = whole[first : first + len(stretch)]
        assert len(stretch) == round(stop * rate) - first
        np.testing.assert_allclose(stretch, expected, atol=SEAM_ATOL)


@pytest.mark.parametrize("source_rate", [8_000, 11_025, 22_050, 44_100, 44_101, 96_000])
def test_stretches_at_any_rate_join_without_a_seam(tmp_path: Path, source_rate: int) -> None:
    sound = chord(seconds=4.0, sample_rate_hz=source_rate)
    path = write(tmp_path, "flac", sound, source_rate)
    whole = decoded(path, 0.0, 4.0)
    parts = [decoded(path, start, start + 0.5) for start in np.arange(0, 4, 0.5)]
    assert len(whole) == 64_000
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=SEAM_ATOL)


@pytest.mark.parametrize("source_rate", [8_000, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_phase_and_loudness(tmp_path: Path, source_rate: int) -> None:
    tone = sine(440.0, seconds=2.0, sample_rate_hz=source_rate)
    path = write_sound(tmp_path / "a.wav", tone, source_rate, subtype="FLOAT")
    expected = sine(440.0, seconds=2.0, sample_rate_hz=16_000)
    inner = slice(1600, -1600)  # the edges of a tone that starts at once ring a little
    np.testing.assert_allclose(decoded(path, 0.0, 2.0)[inner], expected[inner], atol=1e-4)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = sine(300.0), sine(500.0)
    path = write_sound(tmp_path / "a.flac", np.stack([left, right, 0 * left], axis=1), 16_000)
    np.testing.assert_allclose(decoded(path, 0.0, 1.0), (left + right) / 3, atol=1e-4)


def test_what_lies_beyond_the_end_is_left_out(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", chord(seconds=1.5), 16_000)
    assert len(decoded(path, 1.0, 5.0)) == 8_000
    assert len(decoded(path, 1.0, 5.0, 48_000)) == 24_000
    assert len(decoded(path, 1.5, 5.0)) == 0
    assert len(decoded(path, 100.0, 101.0)) == 0


def test_samples_beyond_full_scale_are_clipped(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", sine(amplitude=3.0), 16_000, subtype="FLOAT")
    assert np.abs(decoded(path, 0.0, 1.0)).max() == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_corrupt(tmp_path: Path, bad: float) -> None:
    samples = sine()
    samples[8000] = bad
    path = write_sound(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(MediaRejected) as caught:
        decoded(path, 0.0, 1.0)
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("format", ["flac", "mp3"])
def test_an_end_that_the_header_promises_in_vain_is_truncated(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format, chord(seconds=3.0, sample_rate_hz=48_000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert reason_of(path) == "truncated"


def test_a_wav_shorter_than_its_header_says_is_measured(tmp_path: Path) -> None:
    path = write(tmp_path, "wav", chord(seconds=3.0), 16_000)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 16_000])
    assert sound_info(path, limits=LIMITS).duration_seconds == pytest.approx(1.0)


def test_a_flac_that_does_not_state_its_length_is_measured(tmp_path: Path) -> None:
    path = write(tmp_path, "flac", chord(seconds=3.0), 16_000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of the number of samples, in the first block
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert sound_info(path, limits=LIMITS).duration_seconds == pytest.approx(3.0)
    assert len(decoded(path, 2.0, 9.0)) == 16_000


def test_a_sound_without_samples_has_no_sound(tmp_path: Path) -> None:
    assert reason_of(write_sound(tmp_path / "a.wav", sine(seconds=0), 16_000)) == "no_sound"


def test_a_sound_track_that_nothing_decodes_is_named(tmp_path: Path) -> None:
    film = video_bytes("mp4").replace(b"vide", b"soun")  # says it is sound, and is not
    (tmp_path / "b.m4a").write_bytes(film)
    assert reason_of(tmp_path / "b.m4a") == "unsupported_format"


def test_the_duration_limit_is_read_from_the_header(tmp_path: Path) -> None:
    path = write_silent_flac(tmp_path / "a.flac", 100.0)
    assert reason_of(path, DecodeLimits(max_duration_seconds=99.0)) == "too_long"
    assert reason_of(path, DecodeLimits(max_bytes=100)) == "too_many_bytes"


def test_a_picture_is_not_a_sound(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(gradient(9, 9)).save(tmp_path / "a.png")
    assert reason_of(tmp_path / "a.png") == "unsupported_format"


def test_a_stretch_must_run_forward_from_zero(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", sine(), 16_000)
    for start, stop in ((-1.0, 1.0), (1.0, 0.5)):
        with pytest.raises(ValueError, match="not a range"):
            decoded(path, start, stop)
