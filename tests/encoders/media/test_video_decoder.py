from __future__ import annotations

import io
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from encoders.media.content import Shot, VideoInfo
from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected
from encoders.media.video_decoder import decode_shots, encode_video_thumbnail, video_info
from tests.generated_media import chord, gradient, scene, write_video

LIMITS = DecodeLimits()
LOSSY_ATOL = 20  # of 255, on average: small frames at a low bit rate; two scenes differ by 60

FORMATS = (
    ("mp4", "libx264"),
    ("mov", "mpeg4"),
    ("matroska", "libx264"),
    ("webm", "libvpx"),
    ("avi", "mpeg4"),
    ("ogg", "libvpx"),
)


def info(path: Path, limits: DecodeLimits = LIMITS) -> VideoInfo:
    return video_info(path, limits=limits)


def shots(path: Path, start: float, stop: float, longest: float = 10.0) -> list[Shot]:
    return decode_shots(path, start, stop, longest, max_side_px=512, limits=LIMITS)


def reason_of(path: Path, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(MediaRejected) as caught:
        info(path, limits)
    return caught.value.reason


def pictures(*numbers: int, each: int = 10) -> list[NDArray[np.uint8]]:
    """Return ``each`` frames of every scene, one second at ten frames per second."""
    return [scene(number) for number in numbers for _ in range(each)]


def looks_like(pixels: NDArray[np.uint8], expected: NDArray[np.uint8]) -> bool:
    difference = np.abs(pixels.astype(int) - expected.astype(int))
    return pixels.shape == expected.shape and float(difference.mean()) < LOSSY_ATOL


def thumbnail(path: Path, at_seconds: float, max_side_px: int = 512) -> NDArray[np.uint8]:
    webp = encode_video_thumbnail(
        path, at_seconds=at_seconds, max_side_px=max_side_px, limits=LIMITS
    )
    return np.asarray(Image.open(io.BytesIO(webp)).convert("RGB"))


@pytest.mark.parametrize(("format", "codec"), FORMATS)
def test_length_size_cuts_and_keyframes_of_every_container(
    tmp_path: Path, format: str, codec: str
) -> None:
    path = write_video(tmp_path / "film", pictures(1, 2, 3), format=format, codec=codec)
    assert info(path) == VideoInfo(pytest.approx(3.0, abs=0.02), 64, 48, has_sound=False)
    found = shots(path, 0.0, 3.0)
    assert [shot.start_seconds for shot in found] == pytest.approx([0.0, 1.0, 2.0], abs=0.01)
    assert [shot.stop_seconds for shot in found] == pytest.approx([1.0, 2.0, 3.0], abs=0.02)
    for number, shot in enumerate(found, start=1):
        (keyframe,) = shot.keyframes
        assert shot.start_seconds <= keyframe.at_seconds < shot.stop_seconds
        assert looks_like(keyframe.picture.pixels, scene(number))


@pytest.mark.parametrize(
    ("format", "codec", "sound_codec"),
    [
        ("mp4", "libx264", "aac"),
        ("matroska", "mpeg4", "flac"),
        ("webm", "libvpx", "libopus"),
        ("avi", "mpeg4", "pcm_s16le"),
    ],
)
def test_the_longest_track_decides_the_length(
    tmp_path: Path, format: str, codec: str, sound_codec: str
) -> None:
    sound = chord(seconds=4.0, sample_rate_hz=48_000)
    path = write_video(
        tmp_path / "film", pictures(1), format=format, codec=codec, sound=sound,
        sound_codec=sound_codec,
    )  # fmt: skip
    assert info(path) == VideoInfo(pytest.approx(4.0, abs=0.05), 64, 48, has_sound=True)
    (shot,) = shots(path, 0.0, 4.0)  # the last picture stays as long as there is sound
    assert shot.stop_seconds == pytest.approx(4.0, abs=0.05)
    (rest,) = shots(path, 2.5, 4.0)
    assert rest.keyframes == ()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_are_set_upright(tmp_path: Path, degrees: int) -> None:
    path = write_video(tmp_path / "a.mp4", [gradient(64, 48)] * 5, turned_degrees=degrees)
    expected = np.rot90(gradient(64, 48), degrees // 90)
    height, width = expected.shape[:2]
    assert (info(path).width_px, info(path).height_px) == (width, height)
    (shot,) = shots(path, 0.0, 0.5)
    assert looks_like(shot.keyframes[0].picture.pixels, expected)
    assert looks_like(thumbnail(path, 0.2), expected)


def test_pixels_are_made_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [gradient(64, 48)] * 5, aspect=Fraction(2))
    assert (info(path).width_px, info(path).height_px) == (128, 48)
    (shot,) = shots(path, 0.0, 0.5)
    assert shot.keyframes[0].picture.pixels.shape == (48, 128, 3)


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [("libx264", "yuv420p"), ("libx264", "yuv444p"), ("mjpeg", "yuvj420p"), ("ffv1", "gray")],
)
def test_colours_come_out_as_they_went_in(tmp_path: Path, codec: str, pixel_format: str) -> None:
    colours = gradient(64, 48)
    if pixel_format == "gray":
        colours = np.repeat(colours[..., :1], 3, axis=2)
    path = write_video(
        tmp_path / "a.mkv", [colours] * 3, format="matroska", codec=codec, pixel_format=pixel_format
    )
    (shot,) = shots(path, 0.0, 0.3)
    difference = shot.keyframes[0].picture.pixels.astype(int) - colours
    assert np.abs(difference).mean() < 3


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    seen = np.dstack([gradient(64, 48), np.full((48, 64), 255, dtype=np.uint8)])
    seen[:, :32, 3] = 0
    path = write_video(
        tmp_path / "a.mov", [seen] * 3, format="mov", codec="png", pixel_format="rgba"
    )
    (shot,) = shots(path, 0.0, 0.3)
    pixels = shot.keyframes[0].picture.pixels
    assert (pixels[:, :32] == 255).all()
    assert (pixels[:, 32:] == gradient(64, 48)[:, 32:]).all()


def test_keyframes_are_reduced_and_never_enlarged(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [gradient(320, 180)] * 3)
    for max_side_px, width_px in ((160, 160), (1000, 320)):
        (shot,) = decode_shots(path, 0.0, 0.3, 10.0, max_side_px=max_side_px, limits=LIMITS)
        assert shot.keyframes[0].picture.pixels.shape[1] == width_px


def test_time_is_told_by_the_clock_and_not_by_counting_frames(tmp_path: Path) -> None:
    times = [0.0, 0.04, 1.5, 1.54, 1.6, 4.0, 4.04, 5.9]
    numbers = [1, 1, 2, 2, 2, 3, 3, 3]
    path = write_video(tmp_path / "a.mp4", [scene(n) for n in numbers], times_seconds=times)
    found = shots(path, 0.0, 5.9)
    assert [shot.start_seconds for shot in found] == pytest.approx([0.0, 1.5, 4.0], abs=1e-3)
    assert looks_like(thumbnail(path, 1.49), scene(1))
    assert looks_like(thumbnail(path, 3.99), scene(2))
    assert looks_like(thumbnail(path, 99.0), scene(3))


def test_the_clock_begins_with_the_first_track(tmp_path: Path) -> None:
    times = [2.0 + n / 10 for n in range(20)]
    sound = chord(seconds=4.0, sample_rate_hz=48_000)
    path = write_video(tmp_path / "late.mp4", pictures(1, 2), times_seconds=times, sound=sound)
    assert [shot.start_seconds for shot in shots(path, 0.0, 4.0)] == pytest.approx([0.0, 3.0])
    assert looks_like(thumbnail(path, 0.0), scene(1))
    alone = write_video(
        tmp_path / "alone.mkv", pictures(1, 2), format="matroska", times_seconds=times
    )
    assert info(alone).duration_seconds == pytest.approx(2.0, abs=0.02)
    assert [shot.start_seconds for shot in shots(alone, 0.0, 2.0)] == pytest.approx([0.0, 1.0])


def test_frames_without_time_stamps_follow_each_other(tmp_path: Path) -> None:
    # H.264 with reordered frames in AVI has only decoding times.
    path = write_video(tmp_path / "a.avi", pictures(1, 2, 3), format="avi", codec="libx264")
    starts = [shot.start_seconds for shot in shots(path, 0.0, 3.0)]
    assert starts == pytest.approx([0.0, 1.0, 2.0], abs=0.21)


def test_an_unchanging_picture_has_one_keyframe_however_long_it_stays(tmp_path: Path) -> None:
    path = write_video(tmp_path / "slide.mp4", [scene(1)] * 600)
    found = [shot for start in (0.0, 20.0, 40.0) for shot in shots(path, start, start + 20.0)]
    assert [(shot.start_seconds, shot.stop_seconds) for shot in found] == [
        (10.0 * n, 10.0 * n + 10.0) for n in range(6)
    ]
    assert [len(shot.keyframes) for shot in found] == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("edge_seconds", [2.0, 3.95, 4.0, 4.05, 5.33])
@pytest.mark.parametrize("key_frame_every", [7, 250])
def test_shots_do_not_depend_on_how_a_video_is_divided(
    tmp_path: Path, edge_seconds: float, key_frame_every: int
) -> None:
    path = write_video(
        tmp_path / "a.mkv", pictures(1, 2, 3, 4, each=20), format="matroska",
        key_frame_every=key_frame_every,
    )  # fmt: skip
    divided = [*shots(path, 0.0, edge_seconds), *shots(path, edge_seconds, 8.0)]
    assert all(a.stop_seconds == b.start_seconds for a, b in pairwise(divided))
    starts = {round(shot.start_seconds, 3) for shot in divided}
    assert starts == {0.0, 2.0, 4.0, 6.0, edge_seconds}
    seen = [keyframe.picture.pixels for shot in divided for keyframe in shot.keyframes]
    assert len(seen) == 4
    assert all(looks_like(pixels, scene(n)) for n, pixels in enumerate(seen, start=1))


def test_long_shots_are_parted_evenly(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(1, 2, each=24), frames_per_second=2)
    found = shots(path, 0.0, 24.0, longest=5.0)
    edges = [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0]
    assert [shot.start_seconds for shot in found] == pytest.approx(edges[:-1])
    assert [shot.stop_seconds for shot in found] == pytest.approx(edges[1:])


def test_what_lies_beyond_the_end_is_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(1))
    assert shots(path, 0.5, 9.0)[-1].stop_seconds == pytest.approx(1.0)
    assert shots(path, 5.0, 9.0) == []


def test_a_stretch_must_run_forward_from_zero(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(1))
    for start, stop in ((-1.0, 1.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match="not a range"):
            shots(path, start, stop)


def test_a_live_recording_that_states_no_length_is_measured(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.webm", pictures(1, 2, 3), format="webm", codec="libvpx",
        sound=chord(seconds=3.0, sample_rate_hz=48_000), sound_codec="libopus",
        muxer_options={"live": "1"},
    )  # fmt: skip
    assert info(path).duration_seconds == pytest.approx(3.0, abs=0.02)
    assert len(shots(path, 0.0, 3.0)) == 3


def test_a_fragmented_mp4_is_measured(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4", pictures(1, 2, 3), codec="mpeg4", key_frame_every=5,
        muxer_options={"movflags": "frag_keyframe+empty_moov"},
    )  # fmt: skip
    assert info(path).duration_seconds == pytest.approx(3.0, abs=0.02)
    assert len(shots(path, 0.0, 3.0)) == 3


@pytest.mark.parametrize(
    ("format", "options"), [("mp4", {"movflags": "faststart"}), ("matroska", {})]
)
def test_a_video_that_ends_before_its_header_says_is_truncated(
    tmp_path: Path, format: str, options: dict[str, str]
) -> None:
    whole = write_video(
        tmp_path / "whole", pictures(1, 2, 3, 4), format=format, key_frame_every=5,
        muxer_options=options,
    )  # fmt: skip
    content = whole.read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    assert reason_of(tmp_path / "cut") == "truncated"


def test_one_damaged_place_does_not_cost_the_rest(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4", pictures(1, 2, 3), codec="mjpeg", pixel_format="yuvj420p"
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1000] = bytes(1000)
    path.write_bytes(content)
    assert info(path).duration_seconds == pytest.approx(3.0)
    found = shots(path, 0.0, 3.0)
    assert looks_like(found[0].keyframes[0].picture.pixels, scene(1))
    assert looks_like(found[-1].keyframes[0].picture.pixels, scene(3))


def test_limits_are_held(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(1, 2))
    assert reason_of(path, DecodeLimits(max_pixels=64 * 48 - 1)) == "too_many_pixels"
    assert reason_of(path, DecodeLimits(max_duration_seconds=1.9)) == "too_long"
    assert reason_of(path, DecodeLimits(max_bytes=100)) == "too_many_bytes"


def test_what_holds_no_decodable_pictures_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(1))
    content = path.read_bytes()
    (tmp_path / "unknown.mp4").write_bytes(content.replace(b"avc1", b"zzz1"))
    assert reason_of(tmp_path / "unknown.mp4") == "unsupported_format"
    with pytest.raises(MediaRejected) as caught:
        shots(write_jpeg(tmp_path / "a.jpg"), 0.0, 1.0)
    assert caught.value.reason == "unsupported_format"


def test_a_header_that_promises_huge_pictures_is_refused(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.avi", pictures(1), format="avi", codec="rawvideo", pixel_format="bgr24"
    )
    content = path.read_bytes()
    size = content.index(b"strf") + 12  # width and height in the header of a bitmap
    path.write_bytes(content[:size] + struct.pack("<ii", 12_000, 12_000) + content[size + 8 :])
    assert reason_of(path) == "corrupt"  # FFmpeg itself does not go on


def test_frames_that_turn_out_huge_are_not_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.webm", pictures(1), format="webm", codec="libvpx")
    small, huge = struct.pack("<HH", 64, 48), struct.pack("<HH", 16_383, 16_383)
    start_code = b"\x9d\x01\x2a"  # of a key frame of VP8, before width and height
    content = path.read_bytes()
    assert start_code + small in content
    path.write_bytes(content.replace(start_code + small, start_code + huge))
    assert reason_of(path) == "corrupt"


def test_a_thumbnail_is_small(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [gradient(320, 180)] * 3)
    assert thumbnail(path, 0.1, max_side_px=64).shape == (36, 64, 3)


def write_jpeg(path: Path) -> Path:
    Image.fromarray(gradient(9, 9)).save(path)
    return path
