"""Pictures out of files, by Pillow."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from encoders.media.content import DecodedPicture, Picture
from encoders.media.decode_limits import DecodeLimits
from encoders.media.media_file import open_media
from encoders.media.rejection import MediaRejected
from encoders.media.sniff import sniff

if TYPE_CHECKING:
    from PIL import Image

PILLOW_FORMATS: Mapping[str, str] = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "avif": "AVIF",
    "tiff": "TIFF",
    "bmp": "BMP",
}

WHITE = (255, 255, 255)
THUMBNAIL_QUALITY = 80
ORIENTATION_TAG = 0x0112
SIDEWAYS = frozenset({5, 6, 7, 8})
"""Values of the orientation tag that exchange width and height."""

UPRIGHT_BY: Mapping[int, str] = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""The transposition that sets a picture upright, by orientation tag."""

REDUCING_GAP = 2.0
"""Reduce by whole factors down to twice the wanted size, then resample: as sharp, much faster."""


def decode_picture(path: Path, *, max_side_px: int, limits: DecodeLimits) -> DecodedPicture:
    """Read the first frame of a picture.

    Args:
        path: a file of one of the image formats.
        max_side_px: the longer side of the result is at most this; larger pictures are reduced
            while they are decoded, so that little crosses from process to process.
        limits: the pixel limit is checked against the header, before anything is decoded.

    Returns:
        The picture upright (by its EXIF orientation) and on white where it was transparent, with
        the size of the upright original.

    Raises:
        MediaRejected: ``too_many_pixels``, ``truncated``, ``corrupt``, ``unsupported_format``, or
            what `sniff` and `open_media` raise.
    """
    with _opened(path, limits) as image:
        width_px, height_px = image.size
        small, orientation = _upright_on_white(image, max_side_px)
        pixels = np.asarray(small)
    if orientation in SIDEWAYS:
        width_px, height_px = height_px, width_px
    return DecodedPicture(Picture(pixels), width_px=width_px, height_px=height_px)


def encode_thumbnail(path: Path, *, max_side_px: int, limits: DecodeLimits) -> bytes:
    """Return a WebP of a picture whose longer side is at most ``max_side_px``.

    Raises:
        MediaRejected: as `decode_picture`.
    """
    with _opened(path, limits) as image:
        small, _ = _upright_on_white(image, max_side_px)
    return _webp(small)


def encode_webp(picture: Picture) -> bytes:
    """Return a decoded picture as a WebP of the quality of thumbnails."""
    from PIL import Image

    return _webp(Image.fromarray(picture.pixels))


def _webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=THUMBNAIL_QUALITY)
    return file.getvalue()


@contextmanager
def _opened(path: Path, limits: DecodeLimits) -> Iterator[Image.Image]:
    """Yield the picture with its header read; what Pillow raises inside comes out typed."""
    from PIL import Image

    sniffed = sniff(path)
    if sniffed.medium != "image":
        raise MediaRejected("unsupported_format", f"{path.name} is {sniffed.format}, not a picture")
    # Our own check below names the numbers; Pillow's stays as a guard inside its plug-ins.
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    with warnings.catch_warnings(), open_media(path, max_bytes=limits.max_bytes) as file:
        warnings.simplefilter("ignore")  # about metadata that nothing here uses
        try:
            with Image.open(file, formats=[PILLOW_FORMATS[sniffed.format]]) as image:
                _require_pixels(image.size, limits)
                yield image
        except (MediaRejected, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise MediaRejected(
                "too_many_pixels",
                f"{error} (limit {limits.max_pixels} pixels)",
                max_pixels=limits.max_pixels,
            ) from error
        except Exception as error:
            # Damaged files surface as OSError, SyntaxError, ValueError, struct.error, EOFError,
            # IndexError and more, after the plug-in that met the damage.
            raise _damage(error, sniffed.format) from error


def _require_pixels(size: tuple[int, int], limits: DecodeLimits) -> None:
    width_px, height_px = size
    if width_px * height_px > limits.max_pixels:
        raise MediaRejected(
            "too_many_pixels",
            f"{width_px} x {height_px} pixels; at most {limits.max_pixels} are decoded",
            width_px=width_px,
            height_px=height_px,
            max_pixels=limits.max_pixels,
        )


def _damage(error: Exception, format: str) -> MediaRejected:
    message = f"{type(error).__name__}: {error}"
    is_cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
    return MediaRejected(
        "truncated" if is_cut else "corrupt", f"cannot decode this {format}: {message}"
    )


def _upright_on_white(image: Image.Image, max_side_px: int) -> tuple[Image.Image, int]:
    """Return the picture in RGB and the orientation tag that was undone."""
    from PIL import Image

    image.draft(image.mode, (max_side_px, max_side_px))  # lets JPEG decode at 1/2, 1/4 or 1/8
    image.load()
    # Read after loading: the TIFF plug-in turns the picture itself and then drops the tag.
    orientation = _orientation(image)
    small = _displayable(image)
    if max(small.size) > max_side_px:
        small.thumbnail((max_side_px, max_side_px), reducing_gap=REDUCING_GAP)
    small = _on_white(small)
    if orientation in UPRIGHT_BY:
        small = small.transpose(Image.Transpose[UPRIGHT_BY[orientation]])
    return small, orientation


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation tag; 1, as stored, if there is none or EXIF is damaged."""
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError, struct.error):
        return 1


def _displayable(image: Image.Image) -> Image.Image:
    """Return a copy in L, RGB or RGBA, which resize well."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bit(image)
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "LAB":
        return _from_lab(image)
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, WHITE)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return a grey picture of 16- or 32-bit samples in 8 bits."""
    from PIL import Image

    samples = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((samples >> 8).astype(np.uint8))
    samples = np.nan_to_num(samples.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = _sample_range(samples, image.mode)
    scaled = (samples - low) * (255.0 / (high - low))
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def _sample_range(samples: NDArray[np.float32], mode: str) -> tuple[float, float]:
    """Return which samples are black and white in a picture of mode I or F.

    Neither has an agreed range: the first usual one that holds all samples is taken, or their own.
    """
    low, high = float(samples.min()), float(samples.max())
    usual = (1.0, 255.0) if mode == "F" else (255.0, 65_535.0)
    for top in usual:
        if low >= 0.0 and high <= top:
            return 0.0, top
    return low, high if high > low else low + 1.0


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(
        image,
        ImageCms.createProfile("LAB"),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )
    assert converted is not None  # it returns None only when told to work in place
    return converted
