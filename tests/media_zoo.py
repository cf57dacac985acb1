"""A folder of every kind of file that is taken, and one of every kind that is refused."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.generated_media import (
    chord,
    gradient,
    noise,
    picture_of_mode,
    remuxed,
    scene,
    sine,
    video_bytes,
    write_m4a,
    write_mp3_without_length,
    write_one_bit_png,
    write_silent_flac,
    write_sound,
    write_video,
)

PICTURE_MODES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "jpg": ("L", "RGB", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "gif": ("1", "L", "P", "RGB"),
    "avif": ("RGB", "RGBA"),
    "tif": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    "bmp": ("1", "L", "P", "RGB"),
}
PICTURE_SIZES = ((1, 1), (7, 300), (64, 48))
WAV_SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM")
WAV_RATES_HZ = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)
STORY = (
    "The lighthouse keeper counts the ships at dusk.\n\n"
    "One evening a whale answered his horn, and he wrote it down.\n"
)
SILENT_FLAC_SECONDS = 7200.0
VIDEO_TRACKS = (
    ("mp4", "libx264", "aac"),
    ("mov", "mpeg4", "aac"),
    ("matroska", "libx264", "flac"),
    ("webm", "libvpx", "libopus"),
    ("webm", "libvpx-vp9", "libopus"),
    ("avi", "mpeg4", "pcm_s16le"),
    ("ogg", "libvpx", "libopus"),
)
"""Containers with encoders of pictures and of sound."""

SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://192.0.2.1/segment.ts\n"
FFCONCAT = "ffconcat version 1.0\nfile http://192.0.2.1/x.mp4\n"
MPD = '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>\n'
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><image href="http://192.0.2.1/x.png"/></svg>\n'


def make_good(folder: Path) -> list[Path]:
    """Fill ``folder`` with at least 200 files that can all be taken, and return them."""
    makers = (_pictures, _special_pictures, _wavs, _sounds, _videos, _texts, _liars)
    return [path for maker in makers for path in maker(_made(folder / maker.__name__.strip("_")))]


def make_bad(folder: Path) -> dict[Path, str]:
    """Fill ``folder`` with files that must be refused, and return the reason for each."""
    makers = (
        _cut_files,
        _noise_files,
        _bad_videos,
        _disguised_texts,
        _other_formats,
        _empty_media,
    )
    return {
        path: reason
        for maker in makers
        for path, reason in maker(_made(folder / maker.__name__.strip("_")))
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _pictures(folder: Path) -> Iterator[Path]:
    for suffix, modes in PICTURE_MODES.items():
        for number, mode in enumerate(modes):
            for width_px, height_px in PICTURE_SIZES:
                name = f"{mode.replace(';', '')}-{width_px}x{height_px}.{suffix}"
                image = picture_of_mode(mode, width_px, height_px, seed=number)
                image.save(folder / name)
                yield folder / name


def _special_pictures(folder: Path) -> Iterator[Path]:
    upright = Image.fromarray(gradient(90, 40))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for suffix in ("jpg", "png", "webp", "tif"):
            path = folder / f"orientation-{orientation}.{suffix}"
            upright.save(path, exif=exif)
            yield path
    frames = [Image.fromarray(gradient(40, 30, seed=seed)) for seed in range(3)]
    for suffix in ("gif", "png", "webp", "avif"):
        path = folder / f"animated.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
        yield path
    palette = picture_of_mode("P", 40, 30)
    palette.save(folder / "see-through.png", transparency=3)
    upright.save(folder / "progressive.jpg", progressive=True)
    upright.save(folder / "packed.tif", compression="tiff_lzw")
    Image.fromarray(gradient(3000, 2000)).save(folder / "large.jpg")
    Image.new("RGB", (20_000, 1), "red").save(folder / "long.png")
    for name in ("see-through.png", "progressive.jpg", "packed.tif", "large.jpg", "long.png"):
        yield folder / name


def _wavs(folder: Path) -> Iterator[Path]:
    for number, subtype in enumerate(WAV_SUBTYPES):
        path = folder / f"{subtype}.wav"
        yield write_sound(path, sine(300.0 + 50 * number), 16_000, subtype=subtype)
    for rate in WAV_RATES_HZ:
        for num_channels in (1, 2, 6):
            tones = [sine(200.0 * (n + 1), sample_rate_hz=rate) for n in range(num_channels)]
            path = folder / f"{rate}-{num_channels}.wav"
            yield write_sound(path, np.stack(tones, axis=1), rate)
    yield write_sound(folder / "one-sample.wav", sine(seconds=1 / 16_000), 16_000)


def _sounds(folder: Path) -> Iterator[Path]:
    for rate in (8_000, 22_050, 44_100):
        sound = chord(seconds=1.5, sample_rate_hz=rate)
        yield write_sound(folder / f"{rate}.flac", sound, rate)
        yield write_sound(folder / f"{rate}.mp3", sound, rate)
        yield write_sound(folder / f"{rate}.ogg", sound, rate, subtype="VORBIS")
    for rate in (22_050, 44_100, 48_000):
        yield write_m4a(folder / f"{rate}.m4a", chord(seconds=1.5, sample_rate_hz=rate), rate)
    sound = chord(seconds=1.5, sample_rate_hz=48_000)
    yield write_sound(folder / "opus.opus", sound, 48_000, format="OGG", subtype="OPUS")
    yield write_mp3_without_length(folder / "no-length.mp3", sound, 48_000)
    tagged = folder / "tagged.mp3"
    tag = b"ID3\x03\0\0" + bytes([0, 0, 8, 0]) + b"\0" * 1024
    tagged.write_bytes(tag + (folder / "44100.mp3").read_bytes())
    yield tagged
    tagged_flac = folder / "tagged.flac"
    tagged_flac.write_bytes(tag + (folder / "44100.flac").read_bytes())
    yield tagged_flac
    yield write_silent_flac(folder / "two-hours.flac", SILENT_FLAC_SECONDS)


def _videos(folder: Path) -> Iterator[Path]:
    pictures = [scene(number) for number in (1, 2, 3) for _ in range(8)]
    sound = chord(seconds=2.0, sample_rate_hz=48_000)
    for container, codec, sound_codec in VIDEO_TRACKS:
        name = f"{codec}.{container}"
        yield write_video(folder / f"silent-{name}", pictures, format=container, codec=codec)
        yield write_video(
            folder / f"sound-{name}", pictures, format=container, codec=codec, sound=sound,
            sound_codec=sound_codec, sound_start_seconds=0.5,
        )  # fmt: skip
    yield write_video(folder / "turned.mp4", pictures, turned_degrees=90)
    yield write_video(folder / "one-frame.mp4", pictures[:1], sound=sound)
    yield write_video(folder / "slides.mp4", pictures[::8], times_seconds=[0.0, 4.0, 9.0])
    yield write_video(folder / "wide.mp4", [gradient(400, 16)] * 5)
    yield write_video(folder / "named-as-sound.mp3", pictures)
    yield write_video(
        folder / "fragments.mp4", pictures, sound=sound, key_frame_every=8,
        muxer_options={"movflags": "frag_keyframe+empty_moov"},
    )  # fmt: skip
    opus = write_sound(folder / "a.opus", sound, 48_000, format="OGG", subtype="OPUS")
    yield opus
    yield remuxed(opus, folder / "sound-alone.webm", "webm")
    yield remuxed(opus, folder / "sound-alone.mka", "matroska")


def _texts(folder: Path) -> Iterator[Path]:
    accented = STORY + "\n\nÀ la fin, le gardien s'endormit près du phare — déjà vieux.\n"
    encodings = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252")
    for encoding in encodings:
        mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
        path = folder / f"story-{encoding}.txt"
        path.write_bytes(mark + accented.encode(encoding))
        yield path
    record = {"title": "Whale", "body": STORY, "year": 1912, "tags": ["sea", "night"]}
    contents = {
        "notes.md": f"# The keeper\n\n{STORY}\n- [a ship](http://192.0.2.1)\n- *two* ships\n",
        "page.html": f"<!DOCTYPE html><title>Keeper</title><p>{STORY}<script>x()</script>",
        "fragment.htm": f"<p>{STORY}</p>",
        "one.json": json.dumps(record),
        "many.json": json.dumps([record, {"title": "Second", "nested": {"text": STORY}}]),
        "lines.jsonl": f"{json.dumps(record)}\n\n{json.dumps({'title': 'Second'})}\n",
        "no-extension": STORY,
        "windows.txt": STORY.replace("\n", "\r\n"),
        "one-word.txt": "keeper",
        "灯台守.txt": "灯台守は夕暮れに船を数える。ある晩、鯨が汽笛に答えた。",
        "등대.md": "# 등대지기\n\n어느 날 밤 고래가 나팔 소리에 대답했다.\n",
        "مرفأ.txt": "يعد حارس المنارة السفن عند الغسق.",
        "🐋 whale (1).txt": STORY,
        "copy of 🐋 whale (1).txt": STORY,
        "BM and MZ.txt": "BM and MZ begin a text here, not a bitmap or a program.",
    }
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
        yield folder / name


def _liars(folder: Path) -> Iterator[Path]:
    sound, picture = chord(), Image.fromarray(gradient(50, 30, seed=9))
    lies = (
        ("a.mp3", "PNG"),
        ("b.jpg", "PNG"),
        ("c.png", "JPEG"),
        ("d.gif", "WEBP"),
        ("e.txt", "GIF"),
        ("f", "TIFF"),
        ("g.json", "JPEG"),
        ("h.mp4", "BMP"),
        ("i.flac", "AVIF"),
    )
    for name, format in lies:
        picture.save(folder / name, format=format)
        yield folder / name
    yield write_sound(folder / "j.jpg", sound, 16_000, format="WAV")
    yield write_sound(folder / "k.txt", sound, 16_000, format="FLAC")
    yield write_sound(folder / "l.wav", sound, 16_000, format="MP3")
    yield write_sound(folder / "m.flac", sound, 16_000, format="OGG")
    yield write_sound(folder / "n.raw", sound, 16_000, format="FLAC")
    yield write_m4a(folder / "o.mp3", sound, 16_000)
    for number in range(6):
        shutil.copy(folder / "a.mp3", folder / f"copy-{number}.png")
        yield folder / f"copy-{number}.png"


def _cut_files(folder: Path) -> Iterator[tuple[Path, str]]:
    picture = Image.fromarray(gradient(400, 300))
    for suffix in ("jpg", "png", "tif"):
        path = folder / f"cut.{suffix}"
        picture.save(path)
        yield _cut(path), "truncated"
    sound = chord(seconds=3.0, sample_rate_hz=44_100)
    for suffix in ("flac", "mp3"):
        yield _cut(write_sound(folder / f"cut.{suffix}", sound, 44_100)), "truncated"
    yield _cut(write_m4a(folder / "cut.m4a", sound, 44_100)), "truncated"


def _cut(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def _bad_videos(folder: Path) -> Iterator[tuple[Path, str]]:
    pictures = [scene(number) for number in range(1, 5) for _ in range(10)]
    (folder / "cut-short.mp4").write_bytes(video_bytes("mp4")[:400])
    yield folder / "cut-short.mp4", "truncated"
    for name, container, options in (
        ("cut.mp4", "mp4", {"movflags": "faststart"}),
        ("cut.mkv", "matroska", {}),
    ):
        path = write_video(
            folder / name, pictures, format=container, key_frame_every=5, muxer_options=options
        )
        yield _cut(path), "truncated"
    for name, container in (("head-only.mkv", "matroska"), ("head-only.webm", "webm")):
        content = video_bytes(container)
        (folder / name).write_bytes(content[:60])
        yield folder / name, "truncated"
    content = write_video(folder / "unknown-codec.mp4", pictures).read_bytes()
    (folder / "unknown-codec.mp4").write_bytes(content.replace(b"avc1", b"zzz1"))
    yield folder / "unknown-codec.mp4", "unsupported_format"
    content = video_bytes("avi")
    (folder / "other-codec.avi").write_bytes(content.replace(b"FMP4", b"H264"))
    yield folder / "other-codec.avi", "corrupt"
    path = write_video(folder / "huge.webm", pictures, format="webm", codec="libvpx")
    start_code = b"\x9d\x01\x2a"  # of a key frame of VP8, before width and height
    content = path.read_bytes().replace(start_code + b"\x40\0\x30\0", start_code + b"\xff\x3f" * 2)
    path.write_bytes(content)
    yield path, "corrupt"


def damaged_videos(folder: Path, *, num_each: int, seed: int) -> Iterator[Path]:
    """Yield videos in which bytes were exchanged at random, half of them in their heads alone."""
    generator = random.Random(seed)
    pictures = [scene(number) for number in (1, 2) for _ in range(10)]
    sound = chord(seconds=2.0, sample_rate_hz=48_000)
    for container, codec, sound_codec in VIDEO_TRACKS:
        whole = write_video(
            folder / "whole", pictures, format=container, codec=codec, sound=sound,
            sound_codec=sound_codec,
        ).read_bytes()  # fmt: skip
        for number in range(num_each):
            content = bytearray(whole)
            reach = len(content) if number % 2 else min(len(content), 3000)
            for _ in range(generator.choice((1, 5, 50))):
                content[generator.randrange(reach)] = generator.randrange(256)
            path = folder / f"damaged-{number}-{codec}.{container}"
            path.write_bytes(content)
            yield path


def _noise_files(folder: Path) -> Iterator[tuple[Path, str]]:
    generator = random.Random(1)
    for name in ("noise.jpg", "noise.mp3", "noise.txt", "noise.mp4", "noise"):
        (folder / name).write_bytes(b"\x81" + generator.randbytes(4000))
        yield folder / name, "unrecognized"
    for name in ("empty.png", "empty.txt", "empty.flac"):
        (folder / name).touch()
        yield folder / name, "empty"
    damaged = folder / "damaged.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\n" + generator.randbytes(4000))
    yield damaged, "corrupt"
    damaged = folder / "damaged.mp3"
    damaged.write_bytes(b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + generator.randbytes(400))
    yield damaged, "corrupt"


def _disguised_texts(folder: Path) -> Iterator[tuple[Path, str]]:
    contents = {"story": STORY, "sdp": SDP, "hls": HLS, "ffconcat": FFCONCAT, "mpd": MPD}
    for kind, content in contents.items():
        for suffix in ("jpg", "mp4"):
            path = folder / f"{kind}.{suffix}"
            path.write_text(content)
            yield path, "content_mismatch"
    for name, content in {"a.sdp": SDP, "b.m3u8": HLS, "c.txt": FFCONCAT, "d.mpd": MPD}.items():
        (folder / name).write_text(content)
        yield folder / name, "unsupported_format"
    for name in ("picture.svg", "svg.png"):
        (folder / name).write_text(SVG)
        yield folder / name, "unsupported_format"
    for name, content in {"broken.json": '{"title": "Whale", ', "not.json": STORY}.items():
        (folder / name).write_text(content)
        yield folder / name, "invalid_json"
    (folder / "broken.jsonl").write_text('{"title": "Whale"}\n{"title": \n')
    yield folder / "broken.jsonl", "invalid_json"
    (folder / "marks.md").write_text("---\n\n***\n")
    yield folder / "marks.md", "no_text"


def _other_formats(folder: Path) -> Iterator[tuple[Path, str]]:
    with zipfile.ZipFile(folder / "zip.png", "w") as archive:
        archive.writestr("story.txt", STORY)
    heads = {
        "report.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "tool.exe": b"MZ\x90\0\x03\0\0\0",
        "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "letter.rtf": b"{\\rtf1\\ansi Hello}",
    }
    for name, head in heads.items():
        (folder / name).write_bytes(head)
    for name in ("zip.png", *heads):
        yield folder / name, "unsupported_format"


def _empty_media(folder: Path) -> Iterator[tuple[Path, str]]:
    for side_px in (13_000, 20_000):
        path = write_one_bit_png(folder / f"{side_px}.png", side_px, side_px)
        yield path, "too_many_pixels"
    yield write_sound(folder / "nothing.wav", sine(seconds=0.0), 16_000), "no_sound"
    samples = noise()
    samples[100] = np.nan
    path = write_sound(folder / "not-a-number.wav", samples, 16_000, subtype="FLOAT")
    yield path, "corrupt"
