"""What the texts of an open_clip model need besides weights, wherever on the hub it lies.

Models name the repositories of their tokenizer and text tower (``xlm-roberta-base``), and few bring
their files.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from encoders.clip.folder import TEXT_TOWER_CONFIG_NAME, TOKENIZER_NAMES, has_tokenizer
from encoders.clip.library import describes_text_tower
from encoders.models.checkpoints import RepositoryCommit
from encoders.models.hub import among, fetch_repository


def gather_text_files(
    text_tower: str | None,
    tokenizer: str | None,
    target: Path,
    *,
    given: Path | None = None,
    brought: Path | None = None,
) -> tuple[RepositoryCommit, ...]:
    """Gather what was given, then from the hub what there is no file for yet.

    Args:
        text_tower: repository of a text tower of transformers; ``None`` for open_clip's own.
        tokenizer: repository of a tokenizer of transformers; ``None`` for open_clip's own.
        target: the folder to gather in; it is made.
        given: a folder with a tokenizer, which comes before all others.
        brought: what the model's own repository holds; it stays there.

    Returns:
        The repositories that something was fetched from, at the commits that are newest now.

    Raises:
        ModelUnavailable: the hub cannot be reached, or does not have one of them.
        DependencyMissing: open_clip is not installed.
    """
    target.mkdir()
    if given is not None:
        for name in (TEXT_TOWER_CONFIG_NAME, *TOKENIZER_NAMES):
            if (given / name).is_file():
                shutil.copyfile(given / name, target / name)
    folders = [folder for folder in (target, brought) if folder is not None]
    lacking: dict[str, tuple[str, ...]] = {}
    if tokenizer and not any(map(has_tokenizer, folders)):
        # Many say only in config.json of what kind they are; beside a text tower its own does.
        kind = () if text_tower else (TEXT_TOWER_CONFIG_NAME,)
        lacking[tokenizer] = (*TOKENIZER_NAMES, *kind)
    if text_tower and not any(
        describes_text_tower(folder / TEXT_TOWER_CONFIG_NAME) for folder in folders
    ):
        lacking[text_tower] = (*lacking.get(text_tower, ()), TEXT_TOWER_CONFIG_NAME)
    return tuple(
        RepositoryCommit(repository, fetch_repository(repository, target, among(names)).revision)
        for repository, names in lacking.items()
    )
