"""From a team's own pairs of media and titles to an adapter: decode, encode, fit, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders.adapters.encoded_pairs import EncodedPairs, linked_groups
from encoders.adapters.fitting import FittedAdapter, fit_adapter
from encoders.adapters.recall import HeldOutRecall, held_out_recall
from encoders.config import WindowSegments
from encoders.encoder import Encoder
from encoders.errors import ConfigError
from encoders.media.content import Picture, Sound
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodeSandbox
from encoders.media.segmentation import window_ranges
from encoders.space import Vectors

MIN_PAIRS = 20
"""Fewer teach nothing that could be measured: each of five folds would ask fewer than four."""

ITEMS_PER_BATCH = 32

PairProgress = Callable[[int, int], None]
"""Told how many pairs of how many are done."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A medium and what the team calls it."""

    path: Path
    title: str
    group: str | None
    """What belongs together and must not be learnt from when one of it is measured on."""

    row: int
    """In the file of pairs, for messages."""


@dataclass(frozen=True, slots=True)
class SkippedPair:
    """A row that could not be used."""

    row: int
    path: str | None
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class PairFit:
    """What came of a file of pairs."""

    adapter: FittedAdapter
    """Fitted on all pairs that could be used."""

    recall: HeldOutRecall
    num_pairs: int
    skipped: tuple[SkippedPair, ...]
    """Pairs whose medium could not be decoded."""


def fit_from_pairs(
    pairs: Sequence[Pair],
    features: Encoder[Any],
    base: Encoder[Any] | None,
    texts: Encoder[str],
    sandbox: DecodeSandbox,
    *,
    windows: WindowSegments | None = None,
    progress: PairProgress | None = None,
    seed: int = 0,
) -> PairFit:
    """Return an adapter from ``features`` into the space of ``texts``, and what it is worth.

    Args:
        pairs: as `indexer.pairs_file.read_pairs` gives them.
        features: encodes pictures or sounds; the map starts here.
        base: encodes the same media into the space of ``texts``; ``None``: nothing does.
        texts: encodes the titles.
        sandbox: decodes the media.
        windows: how sounds are cut, as in the channel that is to use the adapter; not for pictures.
        progress: told after each batch.
        seed: of folds and bootstrap.

    Raises:
        ConfigError: fewer than `MIN_PAIRS` pairs can be used, or they cannot be told apart.
    """
    encoded, skipped = encode_pairs(
        pairs, features, base, texts, sandbox, windows=windows, progress=progress
    )
    return PairFit(
        fit_adapter(encoded, seed=seed),
        held_out_recall(encoded, seed=seed),
        encoded.num_items,
        skipped,
    )


def encode_pairs(
    pairs: Sequence[Pair],
    features: Encoder[Any],
    base: Encoder[Any] | None,
    texts: Encoder[str],
    sandbox: DecodeSandbox,
    *,
    windows: WindowSegments | None = None,
    progress: PairProgress | None = None,
) -> tuple[EncodedPairs, tuple[SkippedPair, ...]]:
    """Return the pairs as vectors, and those whose medium could not be decoded.

    Arguments and errors are those of `fit_from_pairs`.
    """
    skipped: list[SkippedPair] = []
    used: list[Pair] = []
    items: list[int] = []
    seen: list[Vectors] = []
    placed: list[Vectors] = []
    for start in range(0, len(pairs), ITEMS_PER_BATCH):
        part = pairs[start : start + ITEMS_PER_BATCH]
        batch: list[Picture | Sound] = []
        for pair, contents in _decoded(part, features, sandbox, windows, skipped):
            items += [len(used)] * len(contents)
            used.append(pair)
            batch += contents
        # Both are asked about the very same contents: a classifier runs once for the two.
        seen.append(features.encode(batch))
        if base is not None:
            placed.append(base.encode(batch))
        if progress:
            progress(start + len(part), len(pairs))
    _require_enough(used, skipped)
    numbers = {title: number for number, title in enumerate(dict.fromkeys(p.title for p in used))}
    titles = np.array([numbers[used[item].title] for item in items], dtype=np.int64)
    groups = linked_groups(
        [pair.title for pair in used], [str(pair.path) for pair in used], _groups(used)
    )
    owners = np.array(items, dtype=np.int64)
    return EncodedPairs(
        np.concatenate(seen),
        np.concatenate(placed) if base is not None else None,
        texts.encode(list(numbers))[titles],
        titles,
        groups[owners],
        owners,
    ), tuple(skipped)


def _groups(pairs: Sequence[Pair]) -> list[str]:
    """Return each pair's group; a pair without one is a group of its own."""
    return [f"row {pair.row}" if pair.group is None else f"group {pair.group}" for pair in pairs]


def _require_enough(used: Sequence[Pair], skipped: Sequence[SkippedPair]) -> None:
    if len(used) >= MIN_PAIRS:
        return
    first = f"; the first that could not be: row {skipped[0].row}, {skipped[0].reason}"
    raise ConfigError(
        f"an adapter needs at least {MIN_PAIRS} pairs, {len(used)} of {len(used) + len(skipped)} "
        f"could be used{first if skipped else ''}",
        expected=MIN_PAIRS,
        got=len(used),
        skipped=[(each.row, each.path, each.reason) for each in skipped],
    )


def _decoded(
    pairs: Sequence[Pair],
    features: Encoder[Any],
    sandbox: DecodeSandbox,
    windows: WindowSegments | None,
    skipped: list[SkippedPair],
) -> Iterator[tuple[Pair, list[Picture | Sound]]]:
    """Yield each pair with its contents; those that cannot be decoded go to ``skipped``."""
    decode = _decoder(features, sandbox, windows)
    waiting = [(pair, decode(pair.path)) for pair in pairs]
    for pair, contents in waiting:
        try:
            decoded = contents()
        except MediaRejected as error:
            skipped.append(SkippedPair(pair.row, str(pair.path), error.message))
            continue
        if decoded:
            yield pair, decoded
        else:
            skipped.append(SkippedPair(pair.row, str(pair.path), "the sound has no length"))


def _decoder(
    features: Encoder[Any], sandbox: DecodeSandbox, windows: WindowSegments | None
) -> Callable[[Path], Callable[[], list[Picture | Sound]]]:
    """Return what starts to decode a path, and returns what waits for its contents."""
    identity = features.identity
    if identity.medium == "image":

        def start_picture(path: Path) -> Callable[[], list[Picture | Sound]]:
            future = sandbox.picture(path)
            return lambda: [future.result().picture]

        return start_picture
    rate = identity.sample_rate_hz
    if identity.medium != "audio" or rate is None:
        raise ConfigError(
            f"{identity.encoder_id} takes {identity.medium}; adapters map features of image or "
            "audio",
            medium=identity.medium,
        )
    if windows is None:
        raise ConfigError(f"{identity.encoder_id} takes audio: say in which windows it is cut")

    def start_sound(path: Path) -> Callable[[], list[Picture | Sound]]:
        info = sandbox.sound_info(path)

        def wait() -> list[Picture | Sound]:
            duration = info.result().duration_seconds
            ranges = window_ranges(duration, windows.length_seconds, windows.hop_seconds)
            parts: list[Future[Sound]] = [
                sandbox.sound(path, start, stop, rate) for start, stop in ranges
            ]
            return [part.result() for part in parts]

        return wait

    return start_sound
