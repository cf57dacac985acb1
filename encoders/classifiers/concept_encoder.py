"""Pictures and sounds in a sentence model's space: ConSE over a classifier's named classes.

Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings" (2013): a content
is placed at the average of its likely classes' text vectors, weighted by how likely they are. Two
things differ here:

- a class is described by its usual name and its dictionary definition, not by its name alone, so
  that more general words find it as well;
- half of what all classes' vectors have in common is taken away, since it says nothing about one
  content but is much of an average of many classes.

Sharpening or flattening the probabilities, keeping the likeliest classes only, prompts ("a photo of
a ..."), whitening the class vectors and a ridge regression from features to text did not help in
both directions. A softmax over classes on the side of the question gains 0.01, and would give
pictures a space of their own; it is left out.

The text side stays the sentence model's own: questions and passages need no treatment.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from encoders.config import ClassifierName
from encoders.encoder import Encoder, EncoderIdentity
from encoders.space import Vectors, unit_rows

ContentT = TypeVar("ContentT")
ContentT_contra = TypeVar("ContentT_contra", contravariant=True)

VERSION = 1
"""Raised with any change here that moves vectors, so that stored ones are not mixed with new."""


@dataclass(frozen=True, slots=True)
class ConceptParameters:
    """How class scores become a vector."""

    probabilities: Literal["softmax", "sigmoid"]
    """``softmax`` where one class is right, ``sigmoid`` where several may be at once: the way the
    classifier was trained.
    """

    centring: float = 0.5
    """Part of the mean of all class vectors that is taken away from each.

    Without it an unsure content, an average of very many classes, is near every question. Measured
    on two sets of pictures and one of sounds, questions in both directions, as the change of the
    mean reciprocal rank against 0: a half gains 0.01 to 0.03 in five of the six and loses 0.01 in
    one; all of it gains more where texts are found and loses where sounds are.
    """


_PARAMETERS: Mapping[ClassifierName, ConceptParameters] = {
    "efficientnet_lite2": ConceptParameters("softmax"),
    "yamnet": ConceptParameters("sigmoid"),
}


class ConceptScores(Protocol):
    """What a classifier says about a batch."""

    @property
    def logits(self) -> NDArray[np.float32]:
        """``(num_contents, num_classes)`` float32 scores before any softmax or sigmoid."""
        ...


class NamedClassifier(Protocol[ContentT_contra]):
    """A classifier over classes that have names."""

    @property
    def class_texts(self) -> Sequence[Sequence[str]]:
        """The English texts that say what each class is.

        Names, the usual one first, then a definition if there is one.
        """
        ...

    def outputs(self, batch: Sequence[ContentT_contra]) -> ConceptScores:
        """Return the scores of every content of the batch."""
        ...


def concept_parameters(classifier_name: ClassifierName) -> dict[str, object]:
    """Return the JSON-ready parameters that the vectors of `ConceptEncoder` depend on."""
    return {"version": VERSION, **asdict(_PARAMETERS[classifier_name])}


def class_vectors(
    class_texts: Sequence[Sequence[str]], sentence_encoder: Encoder[str], centring: float
) -> NDArray[np.float32]:
    """Return where the classes lie in the sentence model's space.

    Args:
        class_texts: for each class its texts, of which the first (the usual name) and the last
            (the definition, where there is one) are taken. Further names are left out: many are
            Latin, which the sentence model does not know.
        sentence_encoder: encodes them.
        centring: see `ConceptParameters`.

    Returns:
        ``(num_classes, dim)`` float32; not unit rows once the common part is away.
    """
    names = sentence_encoder.encode([texts[0] for texts in class_texts])
    definitions = sentence_encoder.encode([texts[-1] for texts in class_texts])
    vectors = unit_rows(names + definitions)
    common: NDArray[np.float32] = vectors.mean(axis=0)
    return vectors - np.float32(centring) * common


def class_weights(
    logits: NDArray[np.float32], probabilities: Literal["softmax", "sigmoid"]
) -> NDArray[np.float32]:
    """Return how much each class counts, relative to the likeliest one of the row.

    Args:
        logits: ``(num_contents, num_classes)`` float32.
        probabilities: what turns a score into a probability.

    Returns:
        ``(num_contents, num_classes)`` float32 in [0, 1], the probabilities up to a factor per
        row. The largest is 1, so that a row of tiny probabilities keeps its direction.
    """
    logarithms = logits if probabilities == "softmax" else -np.logaddexp(0, -logits)
    weights: NDArray[np.float32] = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return weights


class ConceptEncoder(Generic[ContentT]):
    """Encodes pictures or sounds into the space of a sentence model.

    Args:
        classifier: gives scores over named classes.
        sentence_encoder: turns class texts into vectors of the space.
        identity: as `EncoderLoader.identify` gives it: ``space_id`` and ``dim`` are the sentence
            model's, ``medium`` and ``sample_rate_hz`` the classifier's.
        classifier_name: picks the parameters.
        cache_folder: where the classes' vectors are kept between processes, under the encoder's
            id; encoding 2000 class texts takes seconds. ``None`` keeps nothing.
    """

    def __init__(
        self,
        classifier: NamedClassifier[ContentT],
        sentence_encoder: Encoder[str],
        identity: EncoderIdentity,
        classifier_name: ClassifierName,
        *,
        cache_folder: Path | None = None,
    ) -> None:
        self._classifier = classifier
        self._identity = identity
        self._parameters = _PARAMETERS[classifier_name]
        path = cache_folder / f"{identity.encoder_id}.npz" if cache_folder else None
        shape = (len(classifier.class_texts), identity.dim)
        kept = _read_vectors(path, shape) if path else None
        if kept is None:
            kept = class_vectors(
                classifier.class_texts, sentence_encoder, self._parameters.centring
            )
            if path:
                _keep_vectors(path, kept)
        self._class_vectors = kept

    @property
    def identity(self) -> EncoderIdentity:
        """Which encoder this is and which space it feeds."""
        return self._identity

    def encode(self, batch: Sequence[ContentT]) -> Vectors:
        """Return one unit row per content, ``(len(batch), dim)`` float32."""
        if not batch:
            return np.empty((0, self._identity.dim), dtype=np.float32)
        logits = self._classifier.outputs(batch).logits
        weights = class_weights(logits, self._parameters.probabilities)
        return unit_rows(weights @ self._class_vectors)


def _read_vectors(path: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """Return kept class vectors, or ``None`` where there are none that can be read.

    The file is a zip archive, whose checksum a damaged one fails.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            vectors: NDArray[np.float32] = archive["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return vectors if vectors.shape == shape and vectors.dtype == np.float32 else None


def _keep_vectors(path: Path, vectors: NDArray[np.float32]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    # A model folder that cannot be written to costs the next process some seconds, nothing else.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, vectors=vectors)
        partial.replace(path)
