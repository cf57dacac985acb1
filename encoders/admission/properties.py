"""The properties that make vectors worth trusting, each measured on vectors alone.

Bounds come from the starter's encoders, whose measured values stand beside them; they leave room
for models that crowd their vectors more closely than these do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from encoders.admission.report import PropertyFinding, PropertyName
from encoders.space import MIN_LENGTH, Vectors, unit_rows

MAX_LENGTH_ERROR = 1e-3
"""Starter: 1e-7."""

MAX_REPEAT_DIFFERENCE = 1e-5
"""Starter: 0. A CUDA device may add up in another order; random crops before YAMNet gave 3e-2."""

MAX_BATCH_DIFFERENCE = 1e-4
"""Starter: 2e-7. Networks add up in another order in a batch; padding that leaks moves more."""

MIN_SHIFT_COSINE = 0.98
"""Mean over the plain contents, shifted by 4 px or 100 ms.

Starter: pictures 0.999 (concepts) and 0.991 (features), sounds 0.987 and 0.983; YAMNet behind
random crops of 3 s 0.968. Single contents go down to 0.94 (YAMNet hearing birds), so the mean is
what is bound.
"""

MAX_NEAREST_COSINE = 0.95
"""Mean cosine of a plain content to the nearest of the others.

Starter: texts 0.24, pictures 0.36 (concepts) and 0.43 (features), sounds 0.66 and 0.53. Good models
can be far more crowded: E5's makers report cosines of 0.7 and more, for their low temperature.
Collapsed ones are at 0.999.
"""

MAX_CHANCE = 0.01
"""Probability that names dealt at random would be ranked as well as the right ones.

Starter: 0.0001, the least that the number of deals can tell, for pictures and for sounds.
"""

MIN_DEVICE_COSINE = 0.999
"""The least cosine between the two devices' vectors of one content.

MiniLM in half precision, as on a GPU but run on a processor: 0.99997 (float16), 0.99993 (bfloat16).
"""

_NUM_DEALS = 9999


def dimension(batches: Sequence[tuple[int, Vectors]], dim: int) -> PropertyFinding:
    """Tell whether batches of any size give ``(size, dim)`` float32.

    Args:
        batches: (number of contents, what came back), at least one.
        dim: as the encoder's identity says.
    """
    for size, rows in batches:
        if rows.shape != (size, dim) or rows.dtype != np.float32:
            sentence = (
                f"a batch of {size} gave {rows.shape} {rows.dtype}, "
                f"expected ({size}, {dim}) float32."
            )
            got_dim = float(rows.shape[-1]) if rows.ndim else None
            return PropertyFinding("dimension", "failed", sentence, got_dim, dim)
    return PropertyFinding("dimension", "passed", f"vectors are {dim} float32 long.", dim, dim)


def finite(rows: Vectors) -> PropertyFinding:
    """Tell whether all numbers are numbers."""
    num_bad = int((~np.isfinite(rows)).any(axis=1).sum())
    return at_most(
        "finite",
        num_bad,
        0,
        f"{num_bad} of {len(rows)} vectors hold NaN or infinity",
        "the weights are damaged, or overflow in this precision",
    )


def distinct(name: PropertyName, rows: Vectors) -> PropertyFinding:
    """Tell whether contents that have nothing to do with each other have different vectors.

    Args:
        name: of the property, which depends on the medium.
        rows: ``(num_contents, dim)``, two or more. A row without length is like any other.
    """
    directions = unit_rows(rows)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -1)
    nearest = np.where(_lengths(rows) < MIN_LENGTH, 1, cosines.max(axis=1))
    value = float(nearest.mean())
    return at_most(
        name,
        value,
        MAX_NEAREST_COSINE,
        f"{len(rows)} unlike contents are on average at cosine {value:.4f} to their nearest other",
        "all contents have nearly one vector: a layer is missing, zeroed or was not loaded",
    )


def unit_norm(rows: Vectors, num_blank: int) -> PropertyFinding:
    """Tell whether rows have length 1.

    Args:
        rows: ``(num_contents, dim)``.
        num_blank: how many of the last rows are of contents that hold nothing, and may be zeros.
    """
    lengths = _lengths(rows)
    blank = np.arange(len(rows)) >= len(rows) - num_blank
    errors = np.where(blank & (lengths < MIN_LENGTH), 0, np.abs(lengths - 1))
    worst = int(errors.argmax())
    return at_most(
        "unit_norm",
        float(errors[worst]),
        MAX_LENGTH_ERROR,
        f"the vector furthest from length 1 has length {lengths[worst]:.6g}",
        "the encoder does not normalise its output, or gives nothing for some content",
    )


def repeatable(first: Vectors, second: Vectors) -> PropertyFinding:
    """Tell whether the same contents gave the same vectors twice."""
    value = _largest_difference(first, second)
    return at_most(
        "repeatable",
        value,
        MAX_REPEAT_DIFFERENCE,
        f"the same contents encoded twice differ by up to {value:.2g}",
        "something is random: a crop, dropout that was left on, a mask",
    )


def batch_independent(together: Vectors, alone: Vectors) -> PropertyFinding:
    """Tell whether contents have the same vectors alone as among others of other sizes."""
    value = _largest_difference(together, alone)
    return at_most(
        "batch_independent",
        value,
        MAX_BATCH_DIFFERENCE,
        f"contents encoded alone and in a batch differ by up to {value:.2g}",
        "padding leaks into the vectors, or a normalisation runs over the batch",
    )


def shift_stable(rows: Vectors, shifted: Vectors, shift: str) -> PropertyFinding:
    """Tell whether a small shift leaves vectors where they are.

    Args:
        rows: of the plain contents.
        shifted: of the same contents, shifted.
        shift: how far, for people: "100 ms".
    """
    value = float(_cosines(rows, shifted).mean())
    return at_least(
        "shift_stable",
        value,
        MIN_SHIFT_COSINE,
        f"a shift of {shift} keeps a mean cosine of {value:.4f}",
        "vectors depend on where a cut falls more than on what is there",
    )


def pairs_ranked(rows: Vectors, name_rows: Vectors) -> PropertyFinding:
    """Tell whether contents and their own names find each other better than chance.

    The measure is the mean reciprocal rank of the right one of all names per content and of all
    contents per name; ties count against it. It is compared with the same measure after dealing
    the names out at random: the probability that a deal does as well is what is bound, so that the
    bound means the same for any number of pairs.

    Args:
        rows: ``(num_pairs, dim)`` of the contents.
        name_rows: ``(num_pairs, dim)`` of their names, from the text encoder of the same space.
    """
    scores = unit_rows(rows) @ unit_rows(name_rows).T
    # reciprocal[content, name]: what the pair would add to the mean if it were a right one.
    reciprocal = (1 / _ranks(scores) + 1 / _ranks(scores.T).T) / 2
    contents = np.arange(len(rows))
    right = float(reciprocal[contents, contents].mean())
    random = np.random.default_rng(0)
    deals = random.permuted(np.tile(contents, (_NUM_DEALS, 1)), axis=1)
    dealt = reciprocal[contents, deals].mean(axis=1)
    # The right deal is one of the deals, so that the probability is never 0. The margin is for sums
    # of the same numbers in another order.
    chance = (1 + int((dealt >= right - 1e-9).sum())) / (1 + _NUM_DEALS)
    return at_most(
        "pairs_ranked",
        chance,
        MAX_CHANCE,
        f"{len(rows)} plain contents and their names find each other with a mean reciprocal rank "
        f"of {right:.2f} (chance {dealt.mean():.2f}); random names do as well with probability "
        f"{chance:.4f}",
        "this side and the text side do not meet: wrong projection, wrong text model, or class "
        "names in another order",
    )


def cpu_matches_gpu(rows: Vectors, twin_rows: Vectors) -> PropertyFinding:
    """Tell whether the processor and a GPU give the same vectors, up to their precision."""
    value = float(_cosines(rows, twin_rows).min())
    return at_least(
        "cpu_matches_gpu",
        value,
        MIN_DEVICE_COSINE,
        f"vectors of the two devices are at cosine {value:.5f} or nearer",
        "the GPU runs in a precision that this model does not stand",
    )


def not_applicable(name: PropertyName, reason: str) -> PropertyFinding:
    """Return the finding for a property that this encoder cannot have."""
    return PropertyFinding(name, "not_applicable", reason)


def at_most(
    name: PropertyName, measured: float, bound: float, says: str, cause: str
) -> PropertyFinding:
    """Return the finding for a measure that should be small; ``cause`` is told on failure."""
    return _compared(name, measured, bound, measured <= bound, f"{says} (at most {bound:g})", cause)


def at_least(
    name: PropertyName, measured: float, bound: float, says: str, cause: str
) -> PropertyFinding:
    """Return the finding for a measure that should be large; ``cause`` is told on failure."""
    return _compared(
        name, measured, bound, measured >= bound, f"{says} (at least {bound:g})", cause
    )


def _compared(
    name: PropertyName, measured: float, bound: float, good: bool, says: str, cause: str
) -> PropertyFinding:
    # What is not a number compares as not good; JSON has no word for it.
    value = float(measured) if math.isfinite(measured) else None
    if good:
        return PropertyFinding(name, "passed", f"{says}.", value, bound)
    return PropertyFinding(name, "failed", f"{says}; {cause}.", value, bound)


def _lengths(rows: Vectors) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(rows.astype(np.float64), axis=1))


def _largest_difference(left: Vectors, right: Vectors) -> float:
    return float(np.abs(left.astype(np.float64) - right.astype(np.float64)).max())


def _cosines(left: Vectors, right: Vectors) -> NDArray[np.float32]:
    """Return the cosine of each row with its counterpart."""
    cosines: NDArray[np.float32] = np.einsum("nd,nd->n", unit_rows(left), unit_rows(right))
    return cosines


def _ranks(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the rank of each score in its row, 1 for the highest, the worst one among equals."""
    at_least = ~(scores[:, np.newaxis, :] < scores[:, :, np.newaxis])
    ranks: NDArray[np.int64] = at_least.sum(axis=2)
    return ranks
