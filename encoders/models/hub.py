"""The hub of models, in the one place that imports its client."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from encoders.errors import ModelUnavailable
from encoders.models.checkpoints import CheckpointOrigin

Choose = Callable[[Sequence[str]], list[str]]
"""Picks the files that are needed from the names of all files of a repository."""


def among(wanted: Collection[str]) -> Choose:
    """Return what picks the files of these names, as far as there are any."""
    return lambda names: [name for name in names if name in wanted]


def fetch_repository(
    repository: str, target: Path, choose: Choose, *, revision: str | None = None
) -> CheckpointOrigin:
    """Download files of a repository at one commit.

    Args:
        repository: ``OWNER/NAME``.
        target: the folder that the files go to, by their names in the repository.
        choose: picks them.
        revision: a branch, tag or commit; ``None`` for the newest commit. Whatever is named, all
            files are of the one commit it means now, and the answer says which.

    Raises:
        ModelUnavailable: the hub cannot be reached, or has no such repository, revision or files.
    """
    # Read when the client is imported: it would tell its maker what it is used for.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        found = HfApi().model_info(repository, revision=revision)
        wanted = choose([sibling.rfilename for sibling in found.siblings or ()])
        snapshot_download(repository, revision=found.sha, local_dir=target, allow_patterns=wanted)
    except (OSError, ValueError, HTTPError) as error:
        at = f" at {revision}" if revision else ""
        raise ModelUnavailable(
            f"{repository}{at} could not be had from the hub: {error}. Without the hub, a local "
            "file or directory can be pulled: kindred models pull FAMILY:/PATH",
            repository=repository,
            revision=revision,
            reason=str(error),
        ) from error
    shutil.rmtree(target / ".cache", ignore_errors=True)
    licence = found.card_data.get("license") if found.card_data else None
    return CheckpointOrigin(repository=repository, revision=found.sha, licence=licence)
