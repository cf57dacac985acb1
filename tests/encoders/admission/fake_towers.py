"""Two towers without weights: small pictures as vectors, and texts that name the plain ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from encoders.admission.plain_pictures import PICTURE_NAMES, plain_pictures
from encoders.encoder import EncoderIdentity
from encoders.media.content import Picture
from encoders.space import Vectors, unit_rows

SIDE_PX = 8
DIM = SIDE_PX * SIDE_PX * 3
PICTURES = EncoderIdentity("small-pictures", "small", DIM, "image")
TEXTS = EncoderIdentity("small-texts", "small", DIM, "text")


class SmallPictures:
    """A picture is itself, 8 x 8 px small."""

    def __init__(self, identity: EncoderIdentity = PICTURES) -> None:
        self.identity = identity
        self.num_encoded = 0

    def encode(self, batch: Sequence[Picture]) -> Vectors:
        self.num_encoded += len(batch)
        return unit_rows(self.small(batch))

    def small(self, batch: Sequence[Picture]) -> Vectors:
        images = [Image.fromarray(picture.pixels) for picture in batch]
        size = (SIDE_PX, SIDE_PX)
        small = [np.asarray(image.resize(size, Image.Resampling.BOX)).ravel() for image in images]
        return np.array(small, dtype=np.float32).reshape(len(batch), DIM) - np.float32(127)


class NamesOfPictures:
    """The name of a plain picture is that picture; every other text is its own letters."""

    def __init__(self, identity: EncoderIdentity = TEXTS) -> None:
        self.identity = identity
        self._named = dict(
            zip(PICTURE_NAMES, SmallPictures().encode(plain_pictures()), strict=True)
        )

    def encode(self, batch: Sequence[str]) -> Vectors:
        rows = [self._named.get(text, _letters(text)) for text in batch]
        return unit_rows(np.array(rows, dtype=np.float32).reshape(len(batch), DIM))


def _letters(text: str) -> Vectors:
    numbers = [ord(letter) % DIM for letter in text]
    counts = np.bincount(numbers, minlength=DIM) if numbers else np.zeros(DIM)
    return counts.astype(np.float32)
