"""Datasets from a dataset: folds, bootstrap resamples, and the same rows with other weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixtura.base.arrays import Array, Flags
from mixtura.data.dataset import Dataset
from mixtura.distribution.mixture import Mixture
from mixtura.model.observation import Observation
from mixtura.model.protocols import Source
from mixtura.sources import ArraySource, Reweighted

MOST_COPIES = 2.0**31
"""Largest sum of whole-number weights that are frequencies of rows; other weights are relative."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Held-out rows, and all others for the fit."""

    training: Dataset
    held_out: Source


def folds_of(dataset: Dataset, n_folds: int, seed: np.random.SeedSequence) -> tuple[Fold, ...]:
    """A random partition of the rows into folds of sizes that differ by at most one.

    All copies of a weighted row are in the same fold.

    Raises
    ------
    ValueError
        When there are fewer than two folds or more folds than rows.
    """
    n = dataset.source.n_rows
    if not 2 <= n_folds <= n:
        raise ValueError(
            f"folds must be between 2 and the number of rows ({n}), but {n_folds} came. Ten is "
            "usual."
        )
    fold = np.random.default_rng(seed).permutation(n) % n_folds
    return tuple(
        Fold(_dataset_of(dataset, fold != v), _some_rows(dataset, fold == v))
        for v in range(n_folds)
    )


def resampled(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """A bootstrap resample: multinomial counts as weights, so that no row is copied.

    With whole-number weights, which are frequencies, the number of draws is their sum. With other
    weights it is ``n_rows``, by weight, and the counts are scaled to the same sum.
    """
    weights = weights_of(dataset)
    if weights is None:
        counts = rng.multinomial(
            dataset.source.n_rows, np.full(dataset.source.n_rows, 1.0 / dataset.source.n_rows)
        ).astype(np.float64)
    else:
        total = weights.sum()
        draws = int(total) if are_counts(weights) else len(weights)
        counts = rng.multinomial(draws, weights / total) * (total / draws)
    return Dataset(_some_rows(dataset, counts > 0, counts), dataset.backend, original=dataset)


def drawn_from(mixture: Mixture, dataset: Dataset, n: int, rng: np.random.Generator) -> Dataset:
    """n rows drawn from a mixture, observed as the rows of the dataset are.

    Each has the missing columns, the error and the known class of a row of the dataset: of each in
    turn without weights, else of a row drawn by weight.
    """
    seen, weights = observation_of(dataset), weights_of(dataset)
    if seen is None:
        return Dataset(ArraySource(mixture.sample(n, rng)[0]), dataset.backend)
    if weights is not None:
        seen = seen.take(rng.choice(len(weights), n, p=weights / weights.sum()))
    return Dataset(ArraySource(rows_seen(mixture, seen, rng), None, seen), dataset.backend)


def observation_of(dataset: Dataset) -> Observation | None:
    """How all rows of a dataset were observed; None where they are complete."""
    return Observation.joined([block.observation for block in dataset.source.blocks()])


def rows_seen(mixture: Mixture, seen: Observation, rng: np.random.Generator) -> Array:
    """Rows (n,d) drawn from a mixture and observed in this way; missing entries are NaN.

    A row of which a class is known is drawn from the components it may belong to.
    """
    rows = np.empty((len(seen.numbers), mixture.n_features))
    log_classes = seen.log_classes(mixture.n_components)
    for group in seen.groups:
        own = mixture
        if log_classes is not None and log_classes[group.number].any():
            shares = mixture.weights * np.exp(log_classes[group.number])
            own = replace(mixture, weights=shares / shares.sum(), noise=None)
        drawn = own.sample(len(group.rows), rng)[0]
        if group.error is not None:
            drawn += rng.multivariate_normal(
                np.zeros(mixture.n_features), group.error, len(drawn), method="eigh"
            )
        drawn[:, ~group.columns] = np.nan
        rows[rng.permutation(group.rows)] = drawn
    return rows


def reweighted(dataset: Dataset, weights: Array) -> Dataset:
    """The same rows with other weights (n,), and without a copy."""
    return Dataset(Reweighted(dataset.source, weights), dataset.backend, original=dataset)


def are_counts(weights: Array | None) -> bool:
    """Whether weights are whole numbers, that is, frequencies of rows."""
    return weights is None or bool(
        (weights == np.round(weights)).all() and weights.sum() <= MOST_COPIES
    )


def weights_of(dataset: Dataset) -> Array | None:
    """Weights of all rows (n,), or None."""
    parts = [block.weights for block in dataset.source.blocks()]
    return (
        None if parts[0] is None else np.concatenate([part for part in parts if part is not None])
    )


def _some_rows(dataset: Dataset, keep: Flags, weights: Array | None = None) -> ArraySource:
    """The given rows, with new weights (n,) or their own."""
    own = weights_of(dataset) if weights is None else weights
    kept = [
        block.take(np.flatnonzero(keep[block.offset : block.offset + len(block.rows)]))
        for block in dataset.source.blocks()
    ]
    rows = np.ascontiguousarray(np.concatenate([block.rows for block in kept]))
    observation = Observation.joined([block.observation for block in kept])
    return ArraySource(rows, None if own is None else own[keep], observation)


def _dataset_of(dataset: Dataset, keep: Flags, weights: Array | None = None) -> Dataset:
    return Dataset(_some_rows(dataset, keep, weights), dataset.backend)
