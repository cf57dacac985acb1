"""Pulling a checkpoint: from the hub or a local place into its family's layout."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from encoders.clap.conversion import convert_clap_checkpoint
from encoders.clap.settings import clap_facts
from encoders.clip.checkpoint import import_open_clip_checkpoint, import_open_clip_folder
from encoders.clip.folder import TOKENIZER_NAMES, read_config
from encoders.clip.hub import HUB_FOLDER_NAMES, HubFiles, hub_files, is_architecture
from encoders.errors import ConfigError, ModelCorrupt, ModelMissing, ModelUnavailable
from encoders.models.checkpoint_files import needed_files
from encoders.models.checkpoints import (
    Checkpoint,
    CheckpointOrigin,
    Family,
    RepositoryCommit,
    is_local,
)
from encoders.models.folder import ModelFolder
from encoders.models.hub import among, fetch_repository
from encoders.models.open_clip_text import gather_text_files
from encoders.models.tensor_files import pickles_as_safetensors
from encoders.sentences.facts import sentence_facts
from encoders.speech.whisper_languages import whisper_languages

ROBERTA = "FacebookAI/roberta-base"
"""Whose tokenizer all of LAION's CLAP checkpoints use."""

WHISPER_REPOSITORIES = {
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
"""Sizes that are not published under the name of the others."""

PICKLED = (".pt", ".pth")


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What cannot be told from a source alone."""

    revision: str | None = None
    """Branch, tag or commit of a hub's repository; ``None`` for the newest commit."""

    architecture: str | None = None
    """Of a bare file of open_clip weights: a name that open_clip knows, or a model JSON."""

    tokenizer: Path | None = None
    """A folder with the files of a tokenizer, in place of the one that a model brings or names;
    RoBERTa's for a local file of CLAP weights, which names none.
    """


def pull_checkpoint(
    family: Family, source: str, models: ModelFolder, options: PullOptions = PullOptions()
) -> tuple[Checkpoint, Literal["pulled", "verified"]]:
    """Bring a checkpoint into the model folder.

    What came from the hub, is there and has the sha256s it should have is left alone, unless a
    revision is named: its commit stays the one that was taken first. A local path is taken anew.

    Args:
        family: whose model it is.
        source: a name on the hub, or the path of a local file or directory.
        models: where to.
        options: see `PullOptions`.

    Raises:
        ModelMissing: there is nothing at the path.
        ModelUnavailable: the hub cannot be reached, or does not have it.
        ModelCorrupt: it does not hold what a model of the family needs, or only as a pickle that
            would run code.
        ConfigError: an option is missing or does not belong to the family or source.
    """
    local = Path(source).expanduser().absolute() if is_local(source) else None
    if local is not None and not local.exists():
        raise ModelMissing(f"there is nothing at {local}", path=str(local))
    _check_options(family, source, local, options)
    if local is None and options.revision is None:
        known = _intact(family, source, models)
        if known is not None:
            return known, "verified"

    def write(target: Path) -> CheckpointOrigin:
        # Beside the target, so that nothing is copied from one disk to another.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as scratch:
            return _write(family, source, local, target, Path(scratch), options)

    return models.checkpoints.install(family, source, write), "pulled"


def _intact(family: Family, source: str, models: ModelFolder) -> Checkpoint | None:
    try:
        known = models.checkpoints.find(family, source)
        known.verify()
    except (ModelMissing, ModelCorrupt):
        return None
    return known


def _check_options(family: Family, source: str, local: Path | None, options: PullOptions) -> None:
    """Refuse options that would be ignored."""
    is_weights_file = local is not None and local.is_file()
    if local is not None and options.revision:
        raise ConfigError(f"--revision is of a hub's repository; {source} is a local path")
    if options.architecture and not (family == "open_clip" and is_weights_file):
        raise ConfigError("--architecture belongs to a local file of open_clip weights")
    if family == "open_clip" and is_weights_file and not options.architecture:
        raise ConfigError(
            f"{source} does not say what network its weights are of: name one with "
            "--architecture, such as ViT-B-32, or the path of a model JSON"
        )
    if options.tokenizer and family not in ("open_clip", "laion_clap"):
        raise ConfigError(f"--tokenizer is for open_clip and laion_clap, not for {family}")
    if is_weights_file and family in ("sentence_transformers", "whisper"):
        raise ConfigError(f"{source} is a file; a {family} model is a directory")


def _write(
    family: Family,
    source: str,
    local: Path | None,
    target: Path,
    scratch: Path,
    options: PullOptions,
) -> CheckpointOrigin:
    if family == "open_clip":
        return _write_open_clip(source, local, target, scratch, options)
    if family == "laion_clap" and source.endswith(PICKLED):
        return _convert_clap(source, local, target, scratch, options)
    repository = _whisper_repository(source) if family == "whisper" else source
    origin = _gather(family, repository, local, target, options.revision)
    if family == "laion_clap":
        pickles_as_safetensors(target)
        clap_facts(target)
    elif family == "sentence_transformers":
        pickles_as_safetensors(target)
        sentence_facts(target)
    else:
        _check_whisper(target)
    return origin


def _check_whisper(folder: Path) -> None:
    """Refuse a folder without which faster-whisper would ask a hub for the rest."""
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ModelCorrupt(
                f"{name} is missing: a Whisper model for CTranslate2 has config.json, "
                "tokenizer.json, vocabulary.json or vocabulary.txt, and model.bin",
                file=name,
            )
    whisper_languages(folder)


def _gather(
    family: Family, repository: str, local: Path | None, target: Path, revision: str | None
) -> CheckpointOrigin:
    """Copy or download the files that a model of the family is made of."""
    if local is None:
        return fetch_repository(
            repository, target, lambda names: needed_files(family, names), revision=revision
        )
    names = [path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()]
    for name in needed_files(family, sorted(names)):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(local / name, target / name)
    return CheckpointOrigin()


def _whisper_repository(source: str) -> str:
    """Return where a size of Whisper is published for CTranslate2; other names are repositories."""
    if "/" in source:
        return source
    size = {"turbo": "large-v3-turbo", "large": "large-v3"}.get(source, source)
    kind = "faster-distil-whisper" if size.startswith("distil-") else "faster-whisper"
    return WHISPER_REPOSITORIES.get(size, f"Systran/{kind}-{size.removeprefix('distil-')}")


def _convert_clap(
    source: str, local: Path | None, target: Path, scratch: Path, options: PullOptions
) -> CheckpointOrigin:
    """Convert a ``.pt`` file of LAION: a local one, or ``OWNER/NAME/FILE.pt`` of the hub."""
    origin = CheckpointOrigin()
    weights = local
    if weights is None:
        owner, name, *rest = PurePosixPath(source).parts
        file = "/".join(rest)
        origin = fetch_repository(
            f"{owner}/{name}", scratch / "weights", lambda _: [file], revision=options.revision
        )
        weights = scratch / "weights" / file
    tokenizer = options.tokenizer
    if tokenizer is None:
        if local is not None:
            raise ConfigError(
                f"{source} brings no tokenizer: name a folder with the files of {ROBERTA}'s "
                "(tokenizer.json, or vocab.json and merges.txt) with --tokenizer"
            )
        tokenizer = scratch / "tokenizer"
        fetched = fetch_repository(ROBERTA, tokenizer, among(TOKENIZER_NAMES))
        text_from = (RepositoryCommit(ROBERTA, fetched.revision),)
        origin = msgspec.structs.replace(origin, text_from=text_from)
    made = scratch / "made"
    convert_clap_checkpoint(weights, made, tokenizer=tokenizer)
    for path in made.iterdir():
        path.rename(target / path.name)
    return origin


def _write_open_clip(
    source: str, local: Path | None, target: Path, scratch: Path, options: PullOptions
) -> CheckpointOrigin:
    if local is not None and local.is_file():
        assert options.architecture is not None, "it was asked for"
        named = Path(options.architecture)
        import_open_clip_checkpoint(
            named if named.suffix == ".json" else options.architecture,
            local,
            target,
            text_files=options.tokenizer,
        )
        return CheckpointOrigin()
    if local is not None:
        import_open_clip_folder(local, target, text_files=options.tokenizer)
        return CheckpointOrigin()
    architecture, _, tag = source.partition("/")
    if is_architecture(architecture):
        return _fetch_open_clip_tag(hub_files(architecture, tag), target, scratch, options)
    origin = fetch_repository(
        source,
        scratch / "model",
        among(HUB_FOLDER_NAMES),
        revision=options.revision,
    )
    config = read_config(scratch / "model")
    text = scratch / "text"
    text_from = gather_text_files(
        config.text_tower_name,
        config.tokenizer_name,
        text,
        given=options.tokenizer,
        brought=scratch / "model",
    )
    import_open_clip_folder(scratch / "model", target, text_files=text)
    return msgspec.structs.replace(origin, text_from=text_from)


def _fetch_open_clip_tag(
    files: HubFiles, target: Path, scratch: Path, options: PullOptions
) -> CheckpointOrigin:
    weights = scratch / "weights"

    def best(names: Sequence[str]) -> list[str]:
        found = [name for name in files.weight_names if name in names]
        if not found:
            raise ModelUnavailable(
                f"{files.repository} holds none of {', '.join(files.weight_names)}",
                repository=files.repository,
            )
        return found[:1]

    origin = fetch_repository(files.repository, weights, best, revision=options.revision)
    text = scratch / "text"
    text_from = gather_text_files(
        files.text_tower_repository, files.tokenizer_repository, text, given=options.tokenizer
    )
    (found,) = (path for path in weights.rglob("*") if path.is_file())
    import_open_clip_checkpoint(
        files.architecture, found, target, preprocess=files.preprocess, text_files=text
    )
    return msgspec.structs.replace(origin, text_from=text_from)
