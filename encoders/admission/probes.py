"""What encoders are examined with: plain contents and the extremes of each medium.

Everything is made by code, so that no file has to be there and every machine examines with the
same contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from encoders.admission.plain_pictures import PICTURE_NAMES, SHIFT_PX, plain_pictures
from encoders.admission.plain_sounds import SHIFT_SECONDS, SOUND_NAMES, plain_sounds
from encoders.admission.plain_texts import UNLIKE_TEXTS
from encoders.encoder import EncoderIdentity
from encoders.errors import ConfigError
from encoders.media.content import Picture, Sound

# Longer than the 10 s that audio models are trained on: some crop the rest at random.
LONG_SECONDS = 12.0

# As long as a passage, and longer than the texts that models of pictures and sounds read.
NUM_WORDS_OF_LONG_TEXT = 120


@dataclass(frozen=True, slots=True)
class Probes:
    """The contents that encoders of one medium are examined with."""

    plain: tuple[Any, ...]
    """Contents that have nothing to do with each other, `Picture`, `Sound` or ``str``."""

    names: tuple[str, ...]
    """What each plain content shows or sounds like; none for texts, which say it themselves."""

    shifted: tuple[Any, ...]
    """The plain contents a little to the side or a moment later; none for texts."""

    extremes: tuple[Any, ...]
    """Contents as small, long or odd as they come, of very different size."""

    blank: tuple[Any, ...]
    """Contents that hold nothing (silence, an empty text): their row may be all zeros."""

    @property
    def odd(self) -> tuple[Any, ...]:
        """The extremes, then the blank ones."""
        return (*self.extremes, *self.blank)


def probes_for(identity: EncoderIdentity) -> Probes:
    """Return what an encoder is examined with, the same every time.

    Raises:
        ConfigError: nothing is known of the encoder's medium, or of its sample rate.
    """
    if identity.medium == "text":
        return _text_probes()
    if identity.medium == "image":
        return _picture_probes()
    if identity.medium == "audio" and identity.sample_rate_hz is not None:
        return _sound_probes(identity.sample_rate_hz)
    raise ConfigError(
        f"encoder {identity.encoder_id} takes {identity.medium} at {identity.sample_rate_hz} Hz: "
        "expected text, image, or audio with a sample rate",
        encoder_id=identity.encoder_id,
        medium=identity.medium,
        sample_rate_hz=identity.sample_rate_hz,
    )


def _text_probes() -> Probes:
    extremes = (
        "cat",
        "word " * NUM_WORDS_OF_LONG_TEXT,
        "猫 e\u0301 \U0001f431",
        "caf\udce9 menu",
        "\n\t.",
    )
    return Probes(plain=UNLIKE_TEXTS, names=(), shifted=(), extremes=extremes, blank=("",))


def _picture_probes() -> Probes:
    plain = plain_pictures()
    pixels = plain[0].pixels
    extremes = (
        Picture(np.full((1, 1, 3), 200, dtype=np.uint8)),
        Picture(np.ascontiguousarray(pixels[:, 100:103])),
        Picture(np.tile(pixels, (2, 3, 1))),
    )
    shifted = plain_pictures(shift_px=SHIFT_PX)
    return Probes(plain=plain, names=PICTURE_NAMES, shifted=shifted, extremes=extremes, blank=())


def _sound_probes(sample_rate_hz: int) -> Probes:
    plain = plain_sounds(sample_rate_hz)
    # One after the other, so that what a crop keeps depends on where it begins.
    medley = np.concatenate([sound.samples for sound in plain[1:4]])
    extremes = (
        Sound(plain[0].samples[:1], sample_rate_hz),
        Sound(plain[0].samples[: sample_rate_hz // 10], sample_rate_hz),
        Sound(medley[: round(LONG_SECONDS * sample_rate_hz)], sample_rate_hz),
    )
    silence = Sound(np.zeros(2 * sample_rate_hz, dtype=np.float32), sample_rate_hz)
    return Probes(
        plain=plain,
        names=SOUND_NAMES,
        shifted=plain_sounds(sample_rate_hz, later_seconds=SHIFT_SECONDS),
        extremes=extremes,
        blank=(silence,),
    )
