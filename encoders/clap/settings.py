"""What a CLAP folder says of itself in JSON, read without any library of machine learning."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias, cast, get_args

from encoders.errors import ModelCorrupt

CONFIG_NAME = "config.json"
PREPROCESSOR_NAME = "preprocessor_config.json"
# transformers 5 writes the settings of a whole processor into one file.
PROCESSOR_NAME = "processor_config.json"

Padding: TypeAlias = Literal["repeatpad", "repeat", "pad"]
Truncation: TypeAlias = Literal["rand_trunc", "fusion"]


@dataclass(frozen=True, slots=True)
class ClapFacts:
    """What can be known of a CLAP model without loading it."""

    dim: int
    """Length of the vectors of sounds and texts."""

    sample_rate_hz: int

    max_seconds: int
    """Longest sound that the network hears at once."""


@dataclass(frozen=True, slots=True)
class SpectrogramSettings:
    """How a model's input is made from samples; the names are those of ClapFeatureExtractor."""

    sampling_rate: int
    """In Hz."""

    max_length_s: int
    feature_size: int
    """Mel bands."""

    fft_window_size: int
    """In samples."""

    hop_length: int
    """In samples."""

    frequency_min: float
    """In Hz, lower edge of the lowest band."""

    frequency_max: float
    """In Hz, upper edge of the highest band."""

    padding: Padding
    """What follows a short sound: ``repeatpad`` whole copies of itself, then silence; ``repeat``
    copies up to the end; ``pad`` silence.
    """

    truncation: Truncation
    """What the library does with a long sound, which we never give it. It also names the bands the
    model was trained on: ``fusion`` HTK's, ``rand_trunc`` Slaney's of equal area.
    """

    @property
    def window_samples(self) -> int:
        """Samples that the network hears at once."""
        return self.sampling_rate * self.max_length_s


def clap_facts(folder: Path) -> ClapFacts:
    """Return dimension, rate and length of a CLAP folder.

    Raises:
        ModelCorrupt: naming the file and the field that is missing or cannot be used.
    """
    config = _JsonFile(folder / CONFIG_NAME)
    config.choice("model_type", ("clap",))
    spectrogram = spectrogram_settings(folder)
    return ClapFacts(
        dim=config.positive_int("projection_dim"),
        sample_rate_hz=spectrogram.sampling_rate,
        max_seconds=spectrogram.max_length_s,
    )


def spectrogram_settings(folder: Path) -> SpectrogramSettings:
    """Return what ``preprocessor_config.json`` says, or else ``processor_config.json``.

    Raises:
        ModelCorrupt: naming the file and the field that is missing or cannot be used.
    """
    if (folder / PREPROCESSOR_NAME).exists() or not (folder / PROCESSOR_NAME).exists():
        file = _JsonFile(folder / PREPROCESSOR_NAME)
    else:
        file = _JsonFile(folder / PROCESSOR_NAME).section("feature_extractor")
    return SpectrogramSettings(
        sampling_rate=file.positive_int("sampling_rate"),
        max_length_s=file.positive_int("max_length_s"),
        feature_size=file.positive_int("feature_size"),
        fft_window_size=file.positive_int("fft_window_size"),
        hop_length=file.positive_int("hop_length"),
        frequency_min=file.frequency_hz("frequency_min"),
        frequency_max=file.frequency_hz("frequency_max"),
        padding=cast("Padding", file.choice("padding", get_args(Padding))),
        truncation=cast("Truncation", file.choice("truncation", get_args(Truncation))),
    )


def json_object(path: Path) -> dict[str, object]:
    """Return the object that a JSON file of a model holds.

    Raises:
        ModelCorrupt: the file is not there, or is no JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelCorrupt(f"{path} is not there", file=str(path)) from None
    except ValueError as error:
        raise ModelCorrupt(f"{path} is not JSON: {error}", file=str(path)) from error
    if not isinstance(values, dict):
        raise ModelCorrupt(
            f"{path}: expected an object, got {type(values).__name__}", file=str(path)
        )
    return values


class _JsonFile:
    """Typed fields of a JSON file."""

    def __init__(self, path: Path, values: dict[str, object] | None = None) -> None:
        self._path = path
        self._values = json_object(path) if values is None else values

    def section(self, field: str) -> _JsonFile:
        value = self._values.get(field)
        if not isinstance(value, dict):
            self._refuse(field, "an object")
        return _JsonFile(self._path, value)

    def positive_int(self, field: str) -> int:
        value = self._values.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            self._refuse(field, "a whole number above 0")
        return value

    def frequency_hz(self, field: str) -> float:
        value = self._values.get(field)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            self._refuse(field, "a frequency in Hz")
        return float(value)

    def choice(self, field: str, allowed: tuple[str, ...]) -> str:
        value = self._values.get(field)
        if not isinstance(value, str) or value not in allowed:
            self._refuse(field, " or ".join(map(repr, allowed)))
        return value

    def _refuse(self, field: str, expected: str) -> NoReturn:
        got = repr(self._values[field]) if field in self._values else "nothing"
        raise ModelCorrupt(
            f"{self._path}: field {field!r}: expected {expected}, got {got}",
            file=str(self._path),
            field=field,
            expected=expected,
            got=got,
        )
