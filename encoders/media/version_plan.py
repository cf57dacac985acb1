"""What browsers play as it is, and what has to change in everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from encoders.media.sniff import MEDIUM_OF

PLAYED_AS_THEY_ARE = frozenset({"jpeg", "png", "webp", "gif", "avif", "bmp", "mp3", "flac", "opus"})
"""Formats that browsers play whatever is inside."""

VERSION_FORMATS = ("mp4", "webm", "m4a", "weba", "webp")
"""What versions are made in, by the names that `sniff` uses."""

MP4_PICTURES = frozenset({"h264", "vp9", "av1"})
MP4_SOUNDS = frozenset({"aac", "mp3", "opus", "flac"})
WEBM_PICTURES = frozenset({"vp8", "vp9", "av1"})
WEBM_SOUNDS = frozenset({"opus", "vorbis"})
WAV_SOUNDS = frozenset(
    {
        "pcm_u8",
        "pcm_s16le",
        "pcm_s24le",
        "pcm_s32le",
        "pcm_f32le",
        "pcm_alaw",
        "pcm_mulaw",
    }
)
SOUNDS_PLAYED: Mapping[str, frozenset[str]] = {
    "wav": WAV_SOUNDS,
    "ogg": frozenset({"vorbis", "opus", "flac"}),
    "m4a": MP4_SOUNDS,
    "weba": WEBM_SOUNDS,
    "mp4": MP4_SOUNDS,
    "webm": WEBM_SOUNDS,
}
"""For each format that browsers open, the sound tracks that they play in it."""

PICTURES_PLAYED: Mapping[str, frozenset[str]] = {"mp4": MP4_PICTURES, "webm": WEBM_PICTURES}

H264_PIXELS = frozenset({"yuv420p", "yuvj420p"})
"""Pixel formats of H.264 that every browser plays."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """What is inside a sound or video file."""

    format: str
    """As `sniff` names it."""

    picture: str | None
    """Codec of the picture track, by FFmpeg's name; ``None``: there is none."""

    pixel_format: str | None
    """Of the pictures, by FFmpeg's name."""

    sound: str | None
    """Codec of the sound track; ``None``: there is none."""


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """How a version is made."""

    format: str
    """One of `VERSION_FORMATS`."""

    copies_pictures: bool
    """Pictures are taken over as they are; otherwise they become H.264."""

    copies_sound: bool
    """Sound is taken over as it is; otherwise it becomes AAC."""


def plan_version(tracks: Tracks) -> VersionPlan | None:
    """Return how to make a version that browsers play; ``None`` where they play the file itself."""
    # An AVI has no time stamps, only an order of packets: those of its tracks are made anew.
    is_timed = tracks.format != "avi"
    sound = tracks.sound
    if MEDIUM_OF[tracks.format] == "audio":
        if sound in SOUNDS_PLAYED.get(tracks.format, ()):
            return None
        if sound in WEBM_SOUNDS - MP4_SOUNDS and tracks.format == "mka":
            return VersionPlan("weba", copies_pictures=False, copies_sound=True)
        fits = sound in MP4_SOUNDS and tracks.format in ("mka", "weba")
        return VersionPlan("m4a", copies_pictures=False, copies_sound=fits)
    pictures_play = tracks.picture != "h264" or tracks.pixel_format in H264_PIXELS
    if (
        pictures_play
        and tracks.picture in PICTURES_PLAYED.get(tracks.format, ())
        and (sound is None or sound in SOUNDS_PLAYED[tracks.format])
    ):
        return None
    if is_timed and tracks.picture == "vp8" and (sound is None or sound in WEBM_SOUNDS):
        return VersionPlan("webm", copies_pictures=True, copies_sound=True)
    return VersionPlan(
        "mp4",
        copies_pictures=is_timed and pictures_play and tracks.picture in MP4_PICTURES,
        copies_sound=is_timed and sound in MP4_SOUNDS,
    )
