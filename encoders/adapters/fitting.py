"""A linear map from an encoder's features into a text space, fitted from pairs of media and titles.

The map is a ridge regression. Where the media already lie in the text space (the base vectors, such
as a classifier's concepts), the map is added to them:

    vector = unit(base_weight * base + mapped_weight * centred features @ coefficients
                  + offset * mean title)

The mean title, which says nothing about one medium, pulls media that nothing is sure about towards
what all titles have in common, and so away from every single title.

How strong the ridge is and how the parts are mixed is chosen by cross-validation over groups of
pairs, by how well held-out titles find their media and media their titles, not by squared error:
chosen by titles alone, media of new topics found fewer of their titles than the base (sounds: 0.39
instead of 0.42 of them among ten). Where nothing is better than the base by more than the noise of
that measurement, the base is left as it is.

Also tried on 785 pictures, without gain over this: regression on what the base leaves over, the
base among the features, whitening by the titles' covariance (Romera-Paredes and Torr 2015), roots
and standardisation of the features, a reduced rank, the classifier's own class weights as further
pairs, and a contrastive loss from the ridge's solution onwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.adapters.encoded_pairs import EncodedPairs, grouped_folds
from encoders.space import MIN_LENGTH, Vectors, unit_rows

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Of the ridge, in units of the features' mean squared length around their mean."""

NUM_FOLDS = 5

MAX_MEASURED_ROWS = 4000
"""Of one fold: beyond this many, more rows cost time and tell no more about the mixtures."""

NOISE_ERRORS = 2.0
"""By how many standard errors a mixture must be better than the base to be taken."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """How the parts of an adapted vector are weighted."""

    base_weight: float
    mapped_weight: float
    """Of the mapped features, whose root mean square length over the fitted pairs is 1."""

    offset: float
    """Of the unit vector of the mean title."""


BASE_ALONE = Mixture(1.0, 0.0, 0.0)
MIXTURES_WITH_BASE = tuple(
    Mixture(1.0, mapped_weight, offset)
    for mapped_weight in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
    for offset in (0.0, 0.5, 1.0)
)
MIXTURES_WITHOUT_BASE = tuple(Mixture(0.0, 1.0, offset) for offset in (0.0, 0.5, 1.0))


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What cross-validation found for one setting."""

    strength: float
    mixture: Mixture
    mean_reciprocal_rank: float
    """Of held-out titles over the media of their fold, and of the media over the titles."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedAdapter:
    """A map from features and base vectors into a text space."""

    matrix: NDArray[np.float32]
    """``(feature_dim, dim)``; the weight of the mapped features is in it."""

    bias: NDArray[np.float32]
    """``(dim,)``."""

    base_weight: float

    strength: float
    """The chosen one, out of `STRENGTHS`; 0 where the base is left alone."""

    mixture: Mixture
    curve: tuple[CurvePoint, ...]

    @property
    def is_base_alone(self) -> bool:
        """Whether the pairs taught nothing, so that vectors are the base's."""
        return self.mixture == BASE_ALONE

    def apply(self, features: Vectors, base: Vectors | None) -> Vectors:
        """Return one unit row per content.

        Args:
            features: ``(num_contents, feature_dim)`` float32.
            base: ``(num_contents, dim)`` float32; ``None`` for an adapter fitted without.
        """
        return adapted(self.matrix, self.bias, self.base_weight, features, base)


def adapted(
    matrix: NDArray[np.float32],
    bias: NDArray[np.float32],
    base_weight: float,
    features: Vectors,
    base: Vectors | None,
) -> Vectors:
    """Return ``unit(base_weight * base + features @ matrix + bias)``, one row per content."""
    mapped = features @ matrix + bias
    return unit_rows(mapped if base is None else np.float32(base_weight) * base + mapped)


class RidgePath:
    """Ridge regressions of all strengths from one eigendecomposition.

    Args:
        features: ``(num_rows, feature_dim)``.
        targets: ``(num_rows, dim)``. Both are centred here.
    """

    def __init__(self, features: Vectors, targets: Vectors) -> None:
        wide = features.astype(np.float64)
        self.feature_mean: NDArray[np.float64] = wide.mean(axis=0)
        self.target_mean: NDArray[np.float64] = targets.mean(axis=0, dtype=np.float64)
        self._features = wide - self.feature_mean
        self._targets = targets - self.target_mean
        self._unit = max(float(np.square(self._features).sum(axis=1).mean()), MIN_LENGTH)
        self._fewer_rows = len(wide) <= wide.shape[1]
        gram = (
            self._features @ self._features.T
            if self._fewer_rows
            else self._features.T @ self._features
        )
        self._values, self._basis = np.linalg.eigh(gram)

    def coefficients(self, strength: float) -> NDArray[np.float64]:
        """Return the ``(feature_dim, dim)`` coefficients of centred features.

        They minimise the squared error plus ``strength * u`` times their own square, where ``u``
        is the mean squared length of the centred features.
        """
        # X'(XX' + p)^-1 Y and (X'X + p)^-1 X'Y are the same; the smaller matrix is decomposed.
        inverse = 1 / (np.maximum(self._values, 0) + strength * self._unit)
        if self._fewer_rows:
            dual = self._basis @ (inverse[:, np.newaxis] * (self._basis.T @ self._targets))
            primal: NDArray[np.float64] = self._features.T @ dual
            return primal
        products = self._basis.T @ (self._features.T @ self._targets)
        solution: NDArray[np.float64] = self._basis @ (inverse[:, np.newaxis] * products)
        return solution

    def map(self, strength: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return coefficients that give the fitted rows a mean squared length of 1, and the offset.

        Returns:
            ``(feature_dim, dim)`` coefficients, and the ``(dim,)`` unit vector of the mean target.
        """
        coefficients = self.coefficients(strength)
        length = np.sqrt(np.square(self._features @ coefficients).sum(axis=1).mean())
        mean_length = np.linalg.norm(self.target_mean)
        return (
            coefficients / max(float(length), MIN_LENGTH),
            self.target_mean / max(float(mean_length), MIN_LENGTH),
        )


def fit_adapter(pairs: EncodedPairs, *, num_folds: int = NUM_FOLDS, seed: int = 0) -> FittedAdapter:
    """Return the adapter whose setting finds held-out pairs best, fitted on all pairs.

    Args:
        pairs: what to learn from.
        num_folds: of the cross-validation over ``pairs.groups``.
        seed: of the folds. Equal pairs and seed give equal adapters.

    Raises:
        ConfigError: the pairs cannot be told apart by title and group.
    """
    curve, reciprocals, groups = _cross_validation(pairs, num_folds, seed)
    best = int(np.argmax([point.mean_reciprocal_rank for point in curve]))
    if pairs.base is not None and not _is_better(reciprocals[best] - reciprocals[0], groups):
        best = 0
    return _fitted(pairs, curve[best], curve)


def _fitted(
    pairs: EncodedPairs, chosen: CurvePoint, curve: tuple[CurvePoint, ...]
) -> FittedAdapter:
    mixture = chosen.mixture
    dim = pairs.targets.shape[1]
    matrix = np.zeros((pairs.features.shape[1], dim))
    bias = np.zeros(dim)
    if mixture != BASE_ALONE:
        path = RidgePath(pairs.features, pairs.targets)
        coefficients, mean_title = path.map(chosen.strength)
        matrix = mixture.mapped_weight * coefficients
        bias = mixture.offset * mean_title - path.feature_mean @ matrix
    return FittedAdapter(
        matrix.astype(np.float32),
        bias.astype(np.float32),
        mixture.base_weight,
        chosen.strength,
        mixture,
        curve,
    )


def _cross_validation(
    pairs: EncodedPairs, num_folds: int, seed: int
) -> tuple[tuple[CurvePoint, ...], NDArray[np.float64], NDArray[np.int64]]:
    """Return the settings with their figures, and what each is the mean of.

    Returns:
        The curve, whose first point is the base alone where there is a base; the
        ``(num_settings, num_measured)`` reciprocal ranks; the ``(num_measured,)`` groups of the
        items that were measured.
    """
    settings = list(_settings(has_base=pairs.base is not None))
    _, first_rows = np.unique(pairs.items, return_index=True)
    reciprocals = np.zeros((len(settings), len(first_rows)))
    measured = np.zeros(len(first_rows), dtype=bool)
    for learnt, held_out in grouped_folds(pairs.groups, num_folds, seed=seed):
        test = pairs.rows(_whole_items(pairs.items, held_out))
        columns = np.searchsorted(pairs.items[first_rows], np.unique(test.items))
        measured[columns] = True
        path = RidgePath(pairs.features[learnt], pairs.targets[learnt])
        for number, vectors in enumerate(_held_out_vectors(path, test, settings)):
            reciprocals[number, columns] = (
                1 / test.ranks(vectors) + 1 / test.title_ranks(vectors)
            ) / 2
    means = reciprocals[:, measured].mean(axis=1)
    groups = pairs.question_numbers(pairs.groups)[measured]
    curve = tuple(
        CurvePoint(strength, mixture, float(mean))
        for (strength, mixture), mean in zip(settings, means, strict=True)
    )
    return curve, reciprocals[:, measured], groups


def _settings(*, has_base: bool) -> Iterator[tuple[float, Mixture]]:
    if has_base:
        yield 0.0, BASE_ALONE
    mixtures = MIXTURES_WITHOUT_BASE + (MIXTURES_WITH_BASE if has_base else ())
    for strength in STRENGTHS:
        for mixture in mixtures:
            yield strength, mixture


def _held_out_vectors(
    path: RidgePath, test: EncodedPairs, settings: list[tuple[float, Mixture]]
) -> Iterator[Vectors]:
    centred = test.features - path.feature_mean
    base = np.zeros_like(test.targets) if test.base is None else test.base
    mapped_with: float | None = None
    for strength, mixture in settings:
        if mixture == BASE_ALONE:
            yield base
            continue
        if strength != mapped_with:
            coefficients, mean_title = path.map(strength)
            mapped, mapped_with = centred @ coefficients, strength
        yield unit_rows(
            mixture.base_weight * base
            + mixture.mapped_weight * mapped
            + mixture.offset * mean_title
        )


def _whole_items(items: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most `MAX_MEASURED_ROWS` of ``rows``, evenly spread, no item cut in two."""
    if len(rows) <= MAX_MEASURED_ROWS:
        return rows
    distinct = np.unique(items[rows])
    num_kept = max(2, len(distinct) * MAX_MEASURED_ROWS // len(rows))
    kept = distinct[np.linspace(0, len(distinct) - 1, num_kept).astype(np.int64)]
    return rows[np.isin(items[rows], kept)]


def _is_better(differences: NDArray[np.float64], groups: NDArray[np.int64]) -> bool:
    """Return whether the mean difference is above zero by more than noise.

    Its standard error is taken over groups, as their members rise and fall together.
    """
    mean = differences.mean()
    sums = np.bincount(groups, weights=differences - mean)
    error = np.sqrt(np.square(sums).sum()) / len(differences)
    return bool(mean > NOISE_ERRORS * error)
