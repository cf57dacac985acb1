"""What was measured of models: on this machine, or before they were shipped."""

from __future__ import annotations

from encoders.adapters.encoder import adapter_encoder_id
from encoders.adapters.file import AdapterRecord
from encoders.adapters.recall import RECALL_AT
from encoders.admission.speed import Speed, SpeedRecords
from encoders.config import EncoderConfig, WhisperConfig, medium_of_encoder
from encoders.identification import identify, identify_recognizer
from encoders.models.figures import STARTER_FIGURES, Recall
from encoders.models.folder import ModelFolder
from encoders.models.lookup import encoders_of

SPEED_FOLDER = "speed"


def speed_records(models: ModelFolder) -> SpeedRecords:
    """Return the speeds that were measured on this machine."""
    return SpeedRecords(models.root / SPEED_FOLDER)


def measured_speeds(name: str, models: ModelFolder) -> list[Speed]:
    """Return the speeds of a model's encoders that `check_model` measured on this machine.

    Args:
        name: ``FAMILY:SOURCE``, as `check_model` takes it.
        models: where models and speeds are.

    Raises:
        ConfigError: there is no such family.
        ModelMissing: the model is neither in the table nor pulled.
        ModelCorrupt: its configuration cannot be read.
    """
    records = speed_records(models)
    return [
        speed for config in configs_of(name, models) for speed in records.of(_id(config, models))
    ]


def configs_of(name: str, models: ModelFolder) -> list[EncoderConfig | WhisperConfig]:
    """Return the encoders of a model, or its recogniser.

    Raises:
        ConfigError: there is no such family.
    """
    family, _, source = name.partition(":")
    if source and family == "whisper":
        return [WhisperConfig(source)]
    return list(encoders_of(name, models))


def _id(config: EncoderConfig | WhisperConfig, models: ModelFolder) -> str:
    if isinstance(config, WhisperConfig):
        return identify_recognizer(config, models)
    return identify(config, models).encoder_id


def speeds_of_starter(model: str, models: ModelFolder) -> list[Speed]:
    """Return the speeds of a model of the starter: measured here, else the one it comes with.

    Args:
        model: its name in the table of models.
        models: where speeds are.
    """
    shipped = STARTER_FIGURES[model]
    measured = measured_speeds(shipped.check_name, models)
    if measured:
        return measured
    (config,) = configs_of(shipped.check_name, models)
    return [
        Speed(
            encoder_id=_id(config, models),
            medium="audio" if isinstance(config, WhisperConfig) else medium_of_encoder(config),
            device="cpu",
            per_second=shipped.per_second,
            measured=None,
        )
    ]


def speeds_of_adapter(record: AdapterRecord, models: ModelFolder) -> list[Speed]:
    """Return the speeds of an adapter's encoder that were measured on this machine."""
    return speed_records(models).of(adapter_encoder_id(record))


def recall_of_adapter(record: AdapterRecord) -> Recall:
    """Return what was measured when an adapter was fitted, on pairs that it did not learn from."""
    before = record.recall.titles_to_media.before
    return Recall(
        question=f"text to {medium_of_encoder(record.features)}",
        at=RECALL_AT,
        value=record.recall.titles_to_media.after.mean,
        before=None if before is None else before.mean,
    )
