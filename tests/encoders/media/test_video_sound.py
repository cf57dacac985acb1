"""Sound tracks of videos, and sound alone in the containers of videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.media.audio_decoder import decode_sound, sound_info
from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected
from encoders.media.sniff import Sniffed, sniff
from encoders.media.video_decoder import video_info
from tests.generated_media import (
    Samples,
    chord,
    noise,
    remuxed,
    scene,
    write_m4a,
    write_sound,
    write_video,
)

LIMITS = DecodeLimits()
SEAM_ATOL = 2e-6  # float32 rounding inside the resampler, which groups samples differently
RATE = 16_000

TRACKS = (
    ("mp4", "libx264", "aac"),
    ("mov", "mpeg4", "aac"),
    ("mp4", "libx264", "libopus"),
    ("matroska", "libx264", "aac"),
    ("matroska", "mpeg4", "flac"),
    ("matroska", "mpeg4", "pcm_s16le"),
    ("webm", "libvpx", "libopus"),
    ("avi", "mpeg4", "pcm_s16le"),
    ("ogg", "libvpx", "libopus"),
)
LATE_TRACKS = [track for track in TRACKS if track[0] != "avi"]  # AVI cannot say it


def soft_noise(seconds: float, sample_rate_hz: int = 48_000) -> Samples:
    """Return noise that every codec keeps, and that fits itself at one place alone."""
    rough = noise(seconds=seconds, sample_rate_hz=sample_rate_hz)
    return np.convolve(rough, np.ones(24) / 8, "same").astype(np.float32)


def film(path: Path, track: tuple[str, str, str], sound: Samples | None, late: float = 0.0) -> Path:
    format, codec, sound_codec = track
    pictures = [scene(1)] * 40
    return write_video(
        path, pictures, format=format, codec=codec, sound=sound, sound_codec=sound_codec,
        sound_start_seconds=late,
    )  # fmt: skip


def decoded(path: Path, start: float, stop: float) -> Samples:
    return decode_sound(path, start, stop, RATE, limits=LIMITS).samples


def reason_of(path: Path) -> str:
    with pytest.raises(MediaRejected) as caught:
        sound_info(path, limits=LIMITS)
    return caught.value.reason


def delay_samples(heard: Samples, played: Samples) -> int:
    """Return by how much ``heard`` comes later than ``played``, up to 50 ms."""
    reach = RATE // 20
    inner = slice(RATE, 3 * RATE)
    fits = {
        shift: float(np.dot(heard[inner], np.roll(played, shift)[inner]))
        for shift in range(-reach, reach + 1)
    }
    return max(fits, key=lambda shift: fits[shift])


@pytest.mark.parametrize("track", TRACKS)
def test_the_sound_of_a_video_is_decoded_like_any_other(
    tmp_path: Path, track: tuple[str, str, str]
) -> None:
    sound = soft_noise(4.0)
    path = film(tmp_path / "film", track, sound)
    info = sound_info(path, limits=LIMITS)
    assert (info.sample_rate_hz, info.num_channels) == (48_000, 1)
    assert info.duration_seconds == pytest.approx(4.0, abs=0.02)
    played = decoded(write_sound(tmp_path / "a.wav", sound, 48_000), 0.0, 4.0)
    assert abs(delay_samples(decoded(path, 0.0, 4.0), played)) <= RATE // 1000


@pytest.mark.parametrize("track", TRACKS)
def test_stretches_of_a_video_join_without_a_seam(
    tmp_path: Path, track: tuple[str, str, str]
) -> None:
    path = film(tmp_path / "film", track, chord(seconds=4.0, sample_rate_hz=48_000))
    whole = decoded(path, 0.0, 4.0)
    for start, stop in ((0.0, 1.5), (1.0, 3.0), (2.345, 2.5), (2.99, 4.0)):
        stretch = decoded(path, start, stop)
        first = round(start * RATE)
        assert len(stretch) == min(round(stop * RATE), len(whole)) - first
        np.testing.assert_allclose(stretch, whole[first : first + len(stretch)], atol=SEAM_ATOL)


@pytest.mark.parametrize("track", LATE_TRACKS)
def test_a_track_that_begins_late_begins_with_silence(
    tmp_path: Path, track: tuple[str, str, str]
) -> None:
    sound = soft_noise(4.0)
    path = film(tmp_path / "film", track, sound, late=1.5)
    assert sound_info(path, limits=LIMITS).duration_seconds == pytest.approx(5.5, abs=0.02)
    heard = decoded(path, 0.0, 5.5)
    assert np.abs(heard[: round(1.4 * RATE)]).max() < 1e-3
    played = decoded(write_sound(tmp_path / "a.wav", sound, 48_000), 0.0, 4.0)
    assert abs(delay_samples(heard[round(1.5 * RATE) :], played)) <= RATE // 1000
    assert np.abs(decoded(path, 0.25, 1.25)).max() == 0.0
    np.testing.assert_allclose(decoded(path, 1.0, 3.0), heard[RATE : 3 * RATE], atol=SEAM_ATOL)


def test_sound_that_begins_before_the_pictures_begins_the_clock(tmp_path: Path) -> None:
    sound = soft_noise(4.0)
    path = write_video(
        tmp_path / "a.mp4", [scene(1)] * 20, times_seconds=[1 + n / 10 for n in range(20)],
        sound=sound,
    )  # fmt: skip
    played = decoded(write_sound(tmp_path / "a.wav", sound, 48_000), 0.0, 4.0)
    assert abs(delay_samples(decoded(path, 0.0, 4.0), played)) <= RATE // 1000


def test_sound_may_end_before_the_pictures(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", TRACKS[3], chord(seconds=1.0, sample_rate_hz=48_000))
    assert sound_info(path, limits=LIMITS).duration_seconds == pytest.approx(1.0, abs=0.05)
    assert video_info(path, limits=LIMITS).duration_seconds == pytest.approx(4.0, abs=0.05)
    assert len(decoded(path, 2.0, 3.0)) == 0


@pytest.mark.parametrize("track", TRACKS[:5:2])
def test_a_video_without_sound_says_so(tmp_path: Path, track: tuple[str, str, str]) -> None:
    path = film(tmp_path / "film", track, None)
    assert reason_of(path) == "no_sound"
    assert not video_info(path, limits=LIMITS).has_sound


def test_a_damaged_place_in_the_sound_of_a_video_does_not_cost_the_rest(tmp_path: Path) -> None:
    sound = soft_noise(4.0)
    path = film(tmp_path / "a.mp4", TRACKS[0], sound)
    whole = decoded(path, 0.0, 4.0)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5_000] = bytes(5_000)
    path.write_bytes(content)
    assert sound_info(path, limits=LIMITS).duration_seconds == pytest.approx(4.0, abs=0.02)
    heard = decoded(path, 0.0, 4.0)
    assert len(heard) == len(whole)
    np.testing.assert_allclose(heard[:RATE], whole[:RATE], atol=SEAM_ATOL)
    np.testing.assert_allclose(heard[3 * RATE :], whole[3 * RATE :], atol=SEAM_ATOL)


@pytest.mark.parametrize(
    ("source", "container", "format"),
    [
        ("vorbis", "webm", "weba"),
        ("opus", "webm", "weba"),
        ("vorbis", "matroska", "mka"),
        ("mp3", "matroska", "mka"),
        ("flac", "matroska", "mka"),
        ("aac", "matroska", "mka"),
        ("opus", "mp4", "m4a"),
    ],
)
def test_sound_alone_in_the_container_of_a_video_is_a_sound(
    tmp_path: Path, source: str, container: str, format: str
) -> None:
    sound = chord(seconds=4.0, sample_rate_hz=48_000)
    if source == "aac":
        plain = write_m4a(tmp_path / "plain", sound, 48_000)
    else:
        kinds = {"vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
        outer, inner = kinds.get(source, (source.upper(), None))
        plain = write_sound(tmp_path / "plain", sound, 48_000, format=outer, subtype=inner)
    path = remuxed(plain, tmp_path / "sound", container)
    assert sniff(path) == Sniffed("audio", format)
    # Matroska does not say how much of the first and last frames is padding.
    info = sound_info(path, limits=LIMITS)
    assert info.duration_seconds == pytest.approx(4.0, abs=0.06)
    whole = decoded(path, 0.0, 4.0)
    for start, stop in ((0.0, 1.0), (1.0, 3.0), (2.345, 2.5), (3.0, 4.0)):
        stretch = decoded(path, start, stop)
        first = round(start * RATE)
        np.testing.assert_allclose(stretch, whole[first : first + len(stretch)], atol=SEAM_ATOL)
