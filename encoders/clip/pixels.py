"""Pictures in the form that an open_clip image tower was trained on.

The pixels are those of the library's own transform for evaluation, computed with Pillow alone and
kept as bytes; the library's objects are not used because they enlarge a very long picture whole
before they cut its middle out (8000 x 1 becomes 1.2 GB) and refuse one whose short side vanishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.errors import ModelCorrupt
from encoders.media.content import Picture

ResizeMode: TypeAlias = Literal["shortest", "longest", "squash"]
Interpolation: TypeAlias = Literal["bicubic", "bilinear"]

CUT_BEFORE_RESIZING_FROM = 8
"""A picture whose resized form is so many times longer than the part kept is cut first. Levels may
then differ a little, because Pillow takes the cut as float32 and orders its two passes by size, so
ordinary pictures are cut last.
"""


@dataclass(frozen=True, slots=True)
class PictureTransform:
    """How a picture becomes the pixels of an image tower."""

    height_px: int
    width_px: int

    mean: tuple[float, float, float]
    """Taken from each channel, on the scale from 0 to 1."""

    std: tuple[float, float, float]
    """Then each channel is divided by it."""

    interpolation: Interpolation = "bicubic"

    resize_mode: ResizeMode = "shortest"
    """``shortest`` fills the target and cuts the rest off, ``longest`` shows all on a ground,
    ``squash`` changes the aspect ratio.
    """

    fill_color: int = 0
    """Level of the ground that ``longest`` leaves."""

    def pixels(self, picture: Picture) -> NDArray[np.uint8]:
        """Return ``(height_px, width_px, 3)`` uint8 of a picture of any size from 1 x 1."""
        from PIL import Image

        image = Image.fromarray(picture.pixels)
        if self.resize_mode == "squash":
            return np.asarray(image.resize((self.width_px, self.height_px), self._filter))
        width, height = self._resized(*image.size)
        if self.resize_mode == "longest":
            return self._on_ground(np.asarray(image.resize((width, height), self._filter)))
        return self._middle(image, width, height)

    @property
    def _filter(self) -> Any:
        from PIL.Image import Resampling

        # The library resizes for a target that is not square with its default filter, whatever
        # the configuration says.
        oblong = self.resize_mode == "shortest" and self.width_px != self.height_px
        if self.interpolation == "bilinear" and not oblong:
            return Resampling.BILINEAR
        return Resampling.BICUBIC

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if self.resize_mode == "shortest" and self.width_px == self.height_px:
            # Rounded down as torchvision does; the other way below is rounded to the nearest.
            long = int(self.width_px * max(width, height) / min(width, height))
            return (self.width_px, long) if width <= height else (long, self.height_px)
        choose = max if self.resize_mode == "longest" else min
        ratio = choose(height / self.height_px, width / self.width_px)
        return max(1, round(width / ratio)), max(1, round(height / ratio))

    def _on_ground(self, resized: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width, _ = resized.shape
        ground = np.full((self.height_px, self.width_px, 3), self.fill_color, dtype=np.uint8)
        top, left = (self.height_px - height) // 2, (self.width_px - width) // 2
        ground[top : top + height, left : left + width] = resized
        return ground

    def _middle(self, image: Any, width: int, height: int) -> NDArray[np.uint8]:
        left, top = round((width - self.width_px) / 2), round((height - self.height_px) / 2)
        right, bottom = left + self.width_px, top + self.height_px
        if max(width / self.width_px, height / self.height_px) < CUT_BEFORE_RESIZING_FROM:
            resized = np.asarray(image.resize((width, height), self._filter))
            return resized[top:bottom, left:right]
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, right * across, bottom * down)
        return np.asarray(image.resize((self.width_px, self.height_px), self._filter, box=box))


def picture_transform(preprocess: Mapping[str, Any]) -> PictureTransform:
    """Return the transform of a model's preprocessing, as open_clip completes it.

    Args:
        preprocess: ``size``, ``mean``, ``std``, ``interpolation``, ``resize_mode``,
            ``fill_color``.

    Raises:
        ModelCorrupt: naming an entry that is not one of open_clip's.
    """
    size = preprocess["size"]
    height_px, width_px = size if isinstance(size, list | tuple) else (size, size)
    interpolation = _one_of(preprocess, "interpolation", ("bicubic", "bilinear", "random"))
    return PictureTransform(
        height_px=height_px,
        width_px=width_px,
        mean=_three(preprocess, "mean"),
        std=_three(preprocess, "std"),
        # "random" is a way of training; the library evaluates such models with its default.
        interpolation="bilinear" if interpolation == "bilinear" else "bicubic",
        resize_mode=_one_of(preprocess, "resize_mode", ("shortest", "longest", "squash")),
        fill_color=preprocess["fill_color"],
    )


def _one_of(preprocess: Mapping[str, Any], entry: str, known: tuple[str, ...]) -> Any:
    value = preprocess[entry]
    if value not in known:
        raise ModelCorrupt(
            f"preprocess_cfg: {entry} must be one of {', '.join(known)}, got {value!r}",
            entry=entry,
        )
    return value


def _three(preprocess: Mapping[str, Any], entry: str) -> tuple[float, float, float]:
    value = preprocess[entry]
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,) * 3
    if len(numbers) != 3 or not all(isinstance(number, int | float) for number in numbers):
        raise ModelCorrupt(
            f"preprocess_cfg: {entry} must be one number or three, got {value!r}", entry=entry
        )
    return numbers
