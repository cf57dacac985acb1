"""What browsers play as it is, and what is changed in everything else."""

import pytest

from encoders.media.version_plan import Tracks, VersionPlan, plan_version

H264_AAC = ("h264", "yuv420p", "aac")


@pytest.mark.parametrize(
    ("format", "tracks"),
    [
        ("mp4", H264_AAC),
        ("mp4", ("h264", "yuvj420p", None)),
        ("mp4", ("av1", "yuv420p10le", "opus")),
        ("webm", ("vp8", "yuv420p", "vorbis")),
        ("webm", ("vp9", "yuv420p", "opus")),
        ("wav", (None, None, "pcm_s24le")),
        ("ogg", (None, None, "vorbis")),
        ("m4a", (None, None, "aac")),
        ("weba", (None, None, "opus")),
    ],
)
def test_what_browsers_play_is_left_alone(
    format: str, tracks: tuple[str | None, str | None, str | None]
) -> None:
    assert plan_version(Tracks(format, *tracks)) is None


@pytest.mark.parametrize(
    ("format", "tracks", "version", "copies_pictures", "copies_sound"),
    [
        # Only the container is foreign.
        ("matroska", H264_AAC, "mp4", True, True),
        ("mov", H264_AAC, "mp4", True, True),
        ("matroska", ("vp8", "yuv420p", "opus"), "webm", True, True),
        ("mka", (None, None, "aac"), "m4a", False, True),
        ("mka", (None, None, "vorbis"), "weba", False, True),
        # One track is.
        ("mp4", ("h264", "yuv420p", "ac3"), "mp4", True, False),
        ("mov", ("h264", "yuv420p", "pcm_s16le"), "mp4", True, False),
        ("mp4", ("hevc", "yuv420p", "aac"), "mp4", False, True),
        ("mp4", ("h264", "yuv444p", "aac"), "mp4", False, True),
        ("matroska", ("vp9", "yuv420p", "vorbis"), "mp4", True, False),
        # Everything is, or there are no times to keep.
        ("ogv", ("theora", "yuv420p", "vorbis"), "mp4", False, False),
        ("avi", ("h264", "yuv420p", "mp3"), "mp4", False, False),
        ("avi", ("vp8", "yuv420p", None), "mp4", False, False),
        ("wav", (None, None, "adpcm_ms"), "m4a", False, False),
        ("m4a", (None, None, "alac"), "m4a", False, False),
        ("ogg", (None, None, "speex"), "m4a", False, False),
    ],
)
def test_as_much_as_possible_is_copied(
    format: str,
    tracks: tuple[str | None, str | None, str | None],
    version: str,
    copies_pictures: bool,
    copies_sound: bool,
) -> None:
    plan = plan_version(Tracks(format, *tracks))
    assert plan == VersionPlan(version, copies_pictures, copies_sound)
