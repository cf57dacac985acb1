"""Versions that browsers play: what they hold, and that nothing moves in time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodeSandbox
from encoders.media.sniff import sniff
from encoders.media.transcoder import MAX_VIDEO_SIDE_PX, make_version
from tests.generated_media import (
    chord,
    gradient,
    remuxed,
    scene,
    sine,
    write_sound,
    write_video,
)

LIMITS = DecodeLimits(max_output_bytes=10_000_000)
UNEVEN_SECONDS = [0.0, 0.1, 0.35, 0.4, 1.1, 1.2, 1.45, 2.0]
COLOUR_ATOL = 12  # two lossy codecs
FRAME_ATOL_SECONDS = 0.002  # Matroska counts in milliseconds
SOUND_ATOL_SECONDS = 0.025  # an AAC frame is 21 ms long


@dataclass(frozen=True)
class Played:
    """What a player finds in a file, on the clock that it shows."""

    picture: str | None
    size: tuple[int, int] | None
    frame_seconds: list[float]
    sound: str | None
    tone_seconds: float | None
    """When sound is first heard."""


def played(path: Path) -> Played:
    with av.open(str(path)) as container:
        zero = (container.start_time or 0) / 1_000_000
        frames = list(container.decode(video=0)) if container.streams.video else []
        video = next(iter(container.streams.video), None)
    with av.open(str(path)) as container:
        audio = next(iter(container.streams.audio), None)
        tone = None
        for frame in container.decode(audio) if audio else ():
            samples = np.abs(frame.to_ndarray().astype(np.float64)).max(axis=0)
            loud = np.flatnonzero(samples > 0.1 * max(samples.max(), 0.5))
            if len(loud) and tone is None:
                tone = (frame.time or 0.0) - zero + loud[0] / frame.sample_rate
        return Played(
            picture=video.codec_context.codec.canonical_name if video else None,
            size=(frames[0].width, frames[0].height) if frames else None,
            frame_seconds=[(frame.time or 0.0) - zero for frame in frames],
            sound=audio.codec_context.codec.canonical_name if audio else None,
            tone_seconds=tone,
        )


def version_of(path: Path) -> Path:
    target = path.with_name("version")
    format = make_version(path, target, limits=LIMITS)
    assert format is not None
    named = target.with_suffix(f".{format}")
    target.rename(named)
    assert sniff(named).format == format
    return named


@pytest.mark.parametrize(
    ("format", "codec", "sound_codec", "picture", "sound"),
    [
        ("matroska", "libx264", "aac", "h264", "aac"),  # copied, frames out of order and all
        ("matroska", "mpeg4", "ac3", "h264", "aac"),  # both made anew
        ("mov", "libx264", "pcm_s16le", "h264", "aac"),
        ("matroska", "libvpx", "libopus", "vp8", "opus"),
    ],
)
def test_pictures_and_sound_stay_where_they_were(
    tmp_path: Path, format: str, codec: str, sound_codec: str, picture: str, sound: str
) -> None:
    path = write_video(
        tmp_path / "original",
        [scene(number, 128, 96) for number in range(len(UNEVEN_SECONDS))],
        format=format,
        codec=codec,
        times_seconds=UNEVEN_SECONDS,
        sound=sine(440.0, seconds=1.5, sample_rate_hz=48_000),
        sound_codec=sound_codec,
        sound_start_seconds=0.5,
    )
    found = played(version_of(path))
    assert (found.picture, found.size, found.sound) == (picture, (128, 96), sound)
    np.testing.assert_allclose(
        found.frame_seconds[: len(UNEVEN_SECONDS)], UNEVEN_SECONDS, atol=FRAME_ATOL_SECONDS
    )
    assert found.tone_seconds == pytest.approx(0.5, abs=SOUND_ATOL_SECONDS)


def test_an_avi_becomes_an_mp4(tmp_path: Path) -> None:
    pictures = [scene(number, 96, 64) for number in range(10)]
    path = write_video(
        tmp_path / "original.avi", pictures, format="avi", codec="mpeg4", frames_per_second=5
    )
    found = played(version_of(path))
    assert found.picture == "h264"
    np.testing.assert_allclose(found.frame_seconds, np.arange(10) / 5, atol=FRAME_ATOL_SECONDS)


def test_turned_and_large_videos_come_out_upright_and_small(tmp_path: Path) -> None:
    pictures = [gradient(1922, 1082)] * 2
    path = write_video(tmp_path / "original.mp4", pictures, codec="mpeg4", turned_degrees=90)
    found = played(version_of(path))
    assert found.size == (720, MAX_VIDEO_SIDE_PX)


def test_colours_stay(tmp_path: Path) -> None:
    picture = np.zeros((96, 128, 3), dtype=np.uint8)
    picture[:, :64], picture[:, 64:] = (200, 40, 30), (30, 90, 200)
    path = write_video(tmp_path / "original.avi", [picture] * 3, format="avi", codec="mpeg4")
    with av.open(str(version_of(path))) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    for column in (20, 100):
        np.testing.assert_allclose(shown[48, column], picture[48, column], atol=COLOUR_ATOL)


def test_the_end_of_a_last_long_picture_is_kept(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "original.mkv",
        [scene(number) for number in range(3)],
        format="matroska",
        codec="mpeg4",
        times_seconds=[0.0, 0.1, 0.2],
        sound=sine(440.0, seconds=3.0, sample_rate_hz=48_000),
    )
    assert played(version_of(path)).frame_seconds[-1] == pytest.approx(3.0, abs=0.2)


def test_a_tiff_becomes_a_webp(tmp_path: Path) -> None:
    Image.fromarray(gradient(300, 200)).save(tmp_path / "scan.tiff")
    with Image.open(version_of(tmp_path / "scan.tiff")) as picture:
        assert (picture.format, picture.size) == ("WEBP", (300, 200))


def test_a_sound_that_browsers_do_not_know_becomes_an_m4a(tmp_path: Path) -> None:
    path = write_sound(
        tmp_path / "old.wav", chord(seconds=1.0, sample_rate_hz=8000), 8000, subtype="MS_ADPCM"
    )
    found = played(version_of(path))
    assert (found.picture, found.sound) == (None, "aac")
    assert found.tone_seconds == pytest.approx(0.0, abs=SOUND_ATOL_SECONDS)


def test_what_browsers_play_is_not_written_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "fine.mp4", [scene(1)] * 3)
    assert make_version(path, tmp_path / "version", limits=LIMITS) is None
    assert not (tmp_path / "version").exists()


def test_texts_and_damaged_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("nothing to see")
    with pytest.raises(MediaRejected) as caught:
        make_version(text, tmp_path / "version", limits=LIMITS)
    assert caught.value.reason == "unsupported_format"
    whole = write_video(
        tmp_path / "whole.avi", [scene(n) for n in range(9)], format="avi", codec="mpeg4"
    )
    damaged = tmp_path / "damaged.avi"
    damaged.write_bytes(whole.read_bytes()[:3000] + bytes(4000))
    with pytest.raises(MediaRejected):
        make_version(damaged, tmp_path / "version", limits=LIMITS)


def test_a_version_never_grows_beyond_its_limit(tmp_path: Path) -> None:
    pictures = [
        np.random.default_rng(n).integers(0, 256, (240, 320, 3), np.uint8) for n in range(8)
    ]
    path = write_video(tmp_path / "noise.avi", pictures, format="avi", codec="mpeg4")
    limits = DecodeLimits(max_output_bytes=20_000)
    with DecodeSandbox(limits) as sandbox:
        future = sandbox.run(make_version, path, tmp_path / "version", limits=limits)
        with pytest.raises(MediaRejected) as caught:
            future.result(timeout=60)
    assert caught.value.reason == "too_many_bytes"
    assert (tmp_path / "version").stat().st_size <= 20_000


@pytest.mark.parametrize(
    ("name", "format", "subtype"),
    [("a.flac", "FLAC", "PCM_16"), ("a.mp3", "MP3", None), ("a.opus", "OGG", "OPUS")],
)
def test_sound_alone_in_matroska_is_taken_over_as_it_is(
    tmp_path: Path, name: str, format: str, subtype: str | None
) -> None:
    samples = chord(seconds=1.0, sample_rate_hz=48_000)
    source = write_sound(tmp_path / name, samples, 48_000, format=format, subtype=subtype)
    version = version_of(remuxed(source, tmp_path / "alone.mka", "matroska"))
    with av.open(str(source)) as before, av.open(str(version)) as after:
        codecs = [each.streams.audio[0].codec_context.name for each in (before, after)]
        assert codecs[0] == codecs[1]
        assert sum(frame.samples for frame in after.decode(audio=0)) >= 48_000


def test_av1_is_taken_over_as_it_is(tmp_path: Path) -> None:
    pictures = [scene(number, 128, 96) for number in range(6)]
    path = write_video(tmp_path / "a.mkv", pictures, format="matroska", codec="libsvtav1")
    with av.open(str(version_of(path))) as version:
        assert version.streams.video[0].codec_context.codec.canonical_name == "av1"
        assert sum(1 for _ in version.decode(video=0)) == 6
