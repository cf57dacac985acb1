"""Examining a model by its name, and measuring on the way how fast it is here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from encoders.admission.hearing import MAX_UTTERANCE_SECONDS, long_windows
from encoders.admission.probes import probes_for
from encoders.admission.report import AdmissionReport
from encoders.admission.speed import Speed, measure_speed
from encoders.config import EncoderConfig, WhisperConfig
from encoders.identification import spoken_language
from encoders.loading import EncoderLoader
from encoders.measured import configs_of, speed_records


@dataclass(frozen=True, slots=True)
class CheckedEncoder:
    """What is known of an encoder or recogniser after its examination."""

    report: AdmissionReport

    speed: Speed | None
    """``None`` where it was refused: nothing will use it."""


def check_model(name: str, loader: EncoderLoader) -> list[CheckedEncoder]:
    """Examine the encoders of a model, or its recogniser; keep the speed of those that pass.

    Args:
        name: ``FAMILY:SOURCE``, where a family is one that collections may name.
        loader: opens them, on the device that the speed is to be of.

    Raises:
        ConfigError: there is no such family.
        ModelMissing: see `EncoderLoader.open`, as for the others.
    """
    checked = [_check(config, loader) for config in configs_of(name, loader.models)]
    for each in checked:
        if each.speed is not None:
            speed_records(loader.models).keep(each.speed)
    return checked


def _check(config: EncoderConfig | WhisperConfig, loader: EncoderLoader) -> CheckedEncoder:
    if isinstance(config, WhisperConfig):
        report = loader.examine_recognizer(config)
        return CheckedEncoder(report, _hearing_speed(config, loader) if report.admitted else None)
    report = loader.examine(config)
    return CheckedEncoder(report, _encoding_speed(config, loader) if report.admitted else None)


def _encoding_speed(config: EncoderConfig, loader: EncoderLoader) -> Speed:
    encoder = loader.open(config)
    identity = encoder.identity
    plain = probes_for(identity).plain
    return measure_speed(
        encoder.encode,
        plain,
        sum(sound.duration_seconds for sound in plain)
        if identity.medium == "audio"
        else len(plain),
        encoder_id=identity.encoder_id,
        medium=identity.medium,
        device=loader.device_of(config),
    )


def _hearing_speed(config: WhisperConfig, loader: EncoderLoader) -> Speed:
    """Return the speed at windows of 12 s; full ones of 30 s cost the network little more."""
    recognizer = loader.open_recognizer(config)
    language = spoken_language(config, loader.models)
    windows = long_windows(recognizer, language)
    return measure_speed(
        partial(recognizer.recognize, max_seconds=MAX_UTTERANCE_SECONDS),
        windows,
        sum(window.sound.duration_seconds for window in windows),
        encoder_id=recognizer.recognizer_id,
        medium="audio",
        device=loader.device_of(config),
    )
