from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders.media.content import DecodedPicture
from encoders.media.decode_limits import DecodeLimits
from encoders.media.image_decoder import decode_picture, encode_thumbnail
from encoders.media.rejection import MediaRejected
from tests.generated_media import gradient, picture_of_mode, write_one_bit_png, write_sound

LIMITS = DecodeLimits()
LOSSY_ATOL = 24  # of 255: JPEG, WebP and AVIF at their default quality on a smooth gradient


def decoded(path: Path, max_side_px: int = 1024, limits: DecodeLimits = LIMITS) -> DecodedPicture:
    return decode_picture(path, max_side_px=max_side_px, limits=limits)


def reason_of(path: Path, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(MediaRejected) as caught:
        decoded(path, limits=limits)
    return caught.value.reason


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_lossless_formats_give_the_exact_pixels(tmp_path: Path, suffix: str) -> None:
    pixels = gradient(90, 40)
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    result = decoded(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(result.picture.pixels, pixels)
    assert (result.width_px, result.height_px) == (90, 40)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_lossy_formats_give_nearly_the_pixels(tmp_path: Path, suffix: str) -> None:
    pixels = gradient(90, 40)
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    result = decoded(tmp_path / f"a.{suffix}").picture.pixels
    np.testing.assert_allclose(result.astype(int), pixels.astype(int), atol=LOSSY_ATOL)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
def test_every_orientation_comes_out_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = Image.fromarray(gradient(90, 40))
    # What a camera held that way stores: the inverse of what a viewer has to do.
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = (
        upright.transpose(Image.Transpose(inverse[orientation])) if orientation > 1 else upright
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    stored.save(path, exif=exif)
    result = decoded(path)
    assert (result.width_px, result.height_px) == (90, 40)
    np.testing.assert_allclose(
        result.picture.pixels.astype(int), gradient(90, 40).astype(int), atol=LOSSY_ATOL
    )
    small = decoded(path, max_side_px=45)
    assert small.picture.pixels.shape == (20, 45, 3)
    assert (small.width_px, small.height_px) == (90, 40)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (8, 4), (200, 0, 0, 0))
    image.paste((0, 0, 200, 255), (0, 0, 4, 4))
    image.convert(mode).save(tmp_path / "a.png")
    pixels = decoded(tmp_path / "a.png").picture.pixels
    assert (pixels[:, 4:] == 255).all()
    assert (pixels[:, :4] < 255).any(axis=2).all()


def test_half_transparent_is_mixed_with_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (0, 0, 0, 128)).save(tmp_path / "a.png")
    np.testing.assert_allclose(decoded(tmp_path / "a.png").picture.pixels, 127, atol=1)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_transparent_colour_is_white(tmp_path: Path, mode: str) -> None:
    black = (0, 0, 0) if mode == "RGB" else 0
    Image.new(mode, (3, 3), black).save(tmp_path / "a.png", transparency=black)
    assert (decoded(tmp_path / "a.png").picture.pixels == 255).all()


def test_cmyk_looks_as_it_prints(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    Image.new("CMYK", (16, 16), (0, 0, 0, 0)).save(tmp_path / "white.tif")
    np.testing.assert_allclose(
        decoded(tmp_path / "red.jpg").picture.pixels[0, 0], [255, 0, 0], atol=9
    )
    assert (decoded(tmp_path / "white.tif").picture.pixels == 255).all()


@pytest.mark.parametrize(
    ("mode", "suffix"), [("I;16", "png"), ("I;16", "tif"), ("I", "tif"), ("F", "tif"), ("L", "png")]
)
def test_deep_pictures_keep_their_greys(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture_of_mode(mode, 256, 4).save(path)
    pixels = decoded(path).picture.pixels
    expected = np.arange(256) if mode != "L" else np.asarray(picture_of_mode("L", 256, 4))[0]
    np.testing.assert_allclose(pixels[0, :, 0].astype(int), expected, atol=1)
    assert (pixels[..., 0] == pixels[..., 1]).all()


def test_floats_without_a_usual_range_are_stretched_and_nan_is_not_fatal(tmp_path: Path) -> None:
    samples = np.linspace(-5, 2000, 64, dtype=np.float32).reshape(8, 8)
    samples[0, 0] = np.nan
    Image.fromarray(samples).save(tmp_path / "a.tif")
    pixels = decoded(tmp_path / "a.tif").picture.pixels
    assert pixels.max() == 255
    assert pixels.min() == 0


def test_black_and_white_and_lab_convert(tmp_path: Path) -> None:
    Image.new("1", (9, 9), 1).save(tmp_path / "white.png")
    Image.new("LAB", (9, 9), (255, 128, 128)).save(tmp_path / "white.tif")
    assert (decoded(tmp_path / "white.png").picture.pixels == 255).all()
    np.testing.assert_allclose(decoded(tmp_path / "white.tif").picture.pixels, 255, atol=3)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "avif"])
def test_an_animation_is_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50)
    np.testing.assert_allclose(decoded(path).picture.pixels[8, 8], [255, 0, 0], atol=6)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "avif", "tif", "bmp"])
def test_a_single_pixel_is_a_picture(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (1, 1), "white").save(tmp_path / f"a.{suffix}")
    assert decoded(tmp_path / f"a.{suffix}").picture.pixels.shape == (1, 1, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_large_picture_is_reduced_and_says_its_size(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(gradient(1500, 900)).save(tmp_path / f"a.{suffix}")
    result = decoded(tmp_path / f"a.{suffix}", max_side_px=300)
    assert result.picture.pixels.shape == (180, 300, 3)
    assert (result.width_px, result.height_px) == (1500, 900)
    np.testing.assert_allclose(
        result.picture.pixels.astype(int), gradient(300, 180).astype(int), atol=LOSSY_ATOL
    )


def test_a_picture_a_thousand_times_longer_than_high_keeps_one_row(tmp_path: Path) -> None:
    Image.new("RGB", (5000, 1), "white").save(tmp_path / "a.png")
    assert decoded(tmp_path / "a.png", max_side_px=100).picture.pixels.shape == (1, 100, 3)


def test_the_pixel_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    path = write_one_bit_png(tmp_path / "a.png", 300, 200)
    content = path.read_bytes()
    path.write_bytes(content[:60])  # the header is whole, the pixels are not there
    assert reason_of(path, DecodeLimits(max_pixels=59_999)) == "too_many_pixels"
    assert reason_of(path, DecodeLimits(max_pixels=60_000)) == "truncated"


def test_damaged_exif_leaves_the_picture_as_stored(tmp_path: Path) -> None:
    Image.fromarray(gradient(30, 20)).save(
        tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"
    )
    assert decoded(tmp_path / "a.jpg").picture.pixels.shape == (20, 30, 3)


def test_a_sound_is_not_a_picture(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", np.zeros(100, dtype=np.float32), 8000)
    assert reason_of(path) == "unsupported_format"


def test_a_thumbnail_is_a_small_webp(tmp_path: Path) -> None:
    Image.fromarray(gradient(400, 200)).save(tmp_path / "a.png")
    small = Image.open(
        io.BytesIO(encode_thumbnail(tmp_path / "a.png", max_side_px=64, limits=LIMITS))
    )
    assert (small.format, small.size) == ("WEBP", (64, 32))
