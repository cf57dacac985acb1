from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from encoders.clip.library import open_clip_library
from encoders.clip.pixels import PictureTransform, picture_transform
from encoders.errors import ModelCorrupt
from encoders.media.content import Picture
from encoders.media.decode_limits import DecodeLimits
from encoders.media.image_decoder import decode_picture
from tests.generated_media import picture_of_mode, scene

OPENAI = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
SIZES = [(1, 1), (31, 32), (32, 32), (33, 45), (300, 200), (97, 311), (360, 90)]
ONE_LEVEL = 1.01  # of 255: Pillow takes the part to resize as float32, and chooses the order of
# its two passes, each rounded to whole levels, by the size of the picture.


def transform(**entries: Any) -> PictureTransform:
    defaults = {
        "size": 32,
        **OPENAI,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
    }
    return picture_transform({**defaults, **entries})


def reference_pixels(image: Image.Image, **entries: Any) -> NDArray[np.float32]:
    """Return ``(height, width, 3)`` levels as open_clip's own transform gives them."""
    size = entries.pop("size", 32)
    plain = open_clip_library().image_transform(
        size, is_train=False, mean=(0.0,) * 3, std=(1.0,) * 3, **entries
    )
    levels: NDArray[np.float32] = plain(image).permute(1, 2, 0).numpy() * 255
    return levels


def noise_picture(width_px: int, height_px: int) -> NDArray[np.uint8]:
    generator = np.random.default_rng(width_px * 10_000 + height_px)
    return generator.integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [32, (32, 32), (24, 40), (40, 24)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "random"])
@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
def test_pixels_are_those_of_the_library(
    resize_mode: str, interpolation: str, size: int | tuple[int, int]
) -> None:
    entries = {"resize_mode": resize_mode, "interpolation": interpolation, "fill_color": 200}
    ours = transform(size=size, **entries)
    for width_px, height_px in SIZES:
        pixels = noise_picture(width_px, height_px)
        expected = reference_pixels(Image.fromarray(pixels), size=size, **entries)
        np.testing.assert_allclose(ours.pixels(Picture(pixels)), expected, atol=1e-3)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "1", "I;16"])
def test_every_mode_of_a_file_gives_the_pixels_of_the_library(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture_of_mode(mode, 200, 120).save(path)
    picture = decode_picture(path, max_side_px=512, limits=DecodeLimits()).picture
    expected = reference_pixels(Image.fromarray(picture.pixels))
    np.testing.assert_allclose(transform().pixels(picture), expected, atol=1e-3)


@pytest.mark.parametrize("size", [(8000, 20), (20, 8000), (3000, 350), (350, 3000), (1, 500)])
def test_long_picture_is_cut_before_it_is_enlarged(size: tuple[int, int]) -> None:
    pixels = scene(3, *size)
    expected = reference_pixels(Image.fromarray(pixels))
    np.testing.assert_allclose(transform().pixels(Picture(pixels)), expected, atol=ONE_LEVEL)


def test_8000_pixels_by_one_need_little_memory() -> None:
    # Resized whole, it would have 1.8 million columns of 224 rows.
    pixels = transform(size=224).pixels(Picture(noise_picture(8000, 1)))
    assert pixels.shape == (224, 224, 3)


@pytest.mark.parametrize("size", [(8000, 1), (1, 8000)])
def test_line_is_shown_whole_where_the_longest_side_fits(size: tuple[int, int]) -> None:
    line = np.full((size[1], size[0], 3), 90, dtype=np.uint8)
    pixels = transform(resize_mode="longest", fill_color=200).pixels(Picture(line))
    assert np.count_nonzero(pixels[..., 0] == 90) == 32
    assert np.count_nonzero(pixels[..., 0] == 200) == 32 * 31


def test_pixels_that_are_not_contiguous_are_read_right() -> None:
    pixels = noise_picture(90, 70)
    view = pixels[::-1, ::-1]
    np.testing.assert_array_equal(
        transform().pixels(Picture(view)), transform().pixels(Picture(view.copy()))
    )


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("resize_mode", "stretch"),
        ("interpolation", "lanczos"),
        ("mean", [0.5, 0.5]),
        ("std", "small"),
    ],
)
def test_unknown_preprocessing_is_refused_by_name(entry: str, value: object) -> None:
    with pytest.raises(ModelCorrupt, match=entry):
        transform(**{entry: value})


def test_one_number_stands_for_three_channels() -> None:
    assert transform(mean=0.5).mean == (0.5, 0.5, 0.5)
