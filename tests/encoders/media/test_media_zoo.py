"""Every kind of file, through the sandbox: the good ones decode, the bad ones say why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.media.content import DecodedPicture, Document, Shot, Sound, SoundInfo
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodeSandbox
from encoders.media.sniff import sniff
from tests.generated_media import write_silent_flac
from tests.media_zoo import SILENT_FLAC_SECONDS, damaged_videos, make_bad, make_good


@pytest.fixture(scope="module")
def sandbox() -> Iterator[DecodeSandbox]:
    with DecodeSandbox() as opened:
        yield opened


def decode(path: Path, sandbox: DecodeSandbox) -> DecodedPicture | Sound | Document | list[Shot]:
    sniffed = sniff(path)
    if sniffed.medium == "image":
        return sandbox.picture(path, max_side_px=256).result()
    if sniffed.medium == "text":
        return sandbox.document(path, sniffed.format).result()
    if sniffed.medium == "video":
        video = sandbox.video_info(path).result()
        return sandbox.shots(path, 0.0, video.duration_seconds, 10.0, max_side_px=64).result()
    info = sandbox.sound_info(path).result()
    return sandbox.sound(path, 0.0, min(info.duration_seconds, 10.0), 16_000).result()


def test_every_good_file_decodes(tmp_path: Path, sandbox: DecodeSandbox) -> None:
    paths = make_good(tmp_path)
    assert len(paths) == len(set(paths)) >= 200
    failures = {}
    for path in paths:
        try:
            decode(path, sandbox)
        except MediaRejected as error:
            failures[path.relative_to(tmp_path)] = str(error)
    assert failures == {}


def test_every_bad_file_gives_its_reason(tmp_path: Path, sandbox: DecodeSandbox) -> None:
    expected = make_bad(tmp_path)
    assert len(expected) >= 20
    reasons = {}
    for path in expected:
        try:
            decode(path, sandbox)
        except MediaRejected as error:
            reasons[path] = error.reason
        else:
            reasons[path] = "decoded"
    assert reasons == expected


def test_damaged_videos_are_decoded_or_refused_and_never_bring_a_decoder_down(
    tmp_path: Path, sandbox: DecodeSandbox
) -> None:
    reasons = set()
    for path in damaged_videos(tmp_path, num_each=8, seed=1):
        try:
            decode(path, sandbox)
            info = sandbox.sound_info(path).result()
            sandbox.sound(path, 0.0, min(info.duration_seconds, 10.0), 16_000).result()
        except MediaRejected as error:
            reasons.add(error.reason)
    assert reasons.isdisjoint({"decoder_crashed", "out_of_memory", "timeout"})


def test_two_hours_of_silence_are_known_without_decoding_them(
    tmp_path: Path, sandbox: DecodeSandbox
) -> None:
    path = write_silent_flac(tmp_path / "long.flac", SILENT_FLAC_SECONDS)
    assert sandbox.sound_info(path).result() == SoundInfo(SILENT_FLAC_SECONDS, 16_000, 1)
