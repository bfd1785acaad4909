"""User input becomes a dataset, a family, a backend, starts and seeds. The one place that words
argument errors.

Every message has three parts: what was expected, what came, what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import narwhals as nw
import numpy as np

from mixtura.backends import backend_named
from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.errors import ILL_DEFINED, DataError
from mixtura.base.masked import refuse_masked
from mixtura.base.memory import once_for_each
from mixtura.base.numbering import component_name
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.initialise.few_rows import Shrinkage, shrinkage_for
from mixtura.initialise.initialisers import (
    BY_NAME,
    ROWS_AT_ONCE,
    FromLabels,
    FromResponsibilities,
    Initialiser,
)
from mixtura.model.moments import Scatter
from mixtura.model.priors import ConjugatePrior, Prior
from mixtura.model.protocols import Family
from mixtura.model.regularisation import Regularisation
from mixtura.sources import ArraySource

LARGEST_SPAN = 1e153
SMALLEST_SPAN = 1e-145
"""Squares of the span of a column, summed over the rows and measured against the floor, must be
normal numbers.
"""

SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-150, 1e150
"""What weights may be on average: products of a few of them, and of them with squares, must be
normal numbers.
"""

SINGULAR = 1e-11
"""Smallest eigenvalue of correlations at which columns are combinations of each other."""

FEW_ROWS = 100
"""One row in so many may be an outlier that hides the others, where at least ``ROWS_HIDDEN`` of
them are left.
"""

ROWS_HIDDEN = 10
HIDDEN = 1e16
"""Times the variance of all other rows at which those are one point beside an outlier, in double
precision.
"""


# ---- parameters ----------------------------------------------------------------------------------


def check_count(name: str, value: Any, least: int, optional: bool = False) -> None:
    """An integer of at least ``least`` (not a bool), or None where that means a choice of ours."""
    if optional and value is None:
        return
    if _is_bool(value) or not isinstance(value, Integral) or int(value) < least:
        extra = " or None" if optional else ""
        raise ValueError(
            f"{name} must be an integer of at least {least}{extra}, but {value!r} came. Pass for "
            f"example {name}={max(least, 2)}."
        )


def check_size(name: str, value: Any) -> None:
    """A finite number of at least zero, or None where that means a choice of ours."""
    if value is None:
        return
    if _is_bool(value) or not isinstance(value, Real) or not 0 <= float(value) < float("inf"):
        raise ValueError(
            f"{name} must be a number of at least 0 or None, but {value!r} came. Leave it at None "
            "for mixtura's own rule."
        )


def check_settings(estimator: Any) -> None:
    """The parameters that every estimator has, before the data are touched."""
    check_count("max_iter", estimator.max_iter, 0)
    check_count("n_init", estimator.n_init, 1, optional=True)
    check_count("n_threads", estimator.n_threads, 1, optional=True)
    check_size("time_limit", getattr(estimator, "time_limit", None))
    check_size("tol", estimator.tol)
    check_size("reg_covar", estimator.reg_covar)
    accelerated(estimator)
    ordered_by_weight(estimator)


def ordered_by_weight(estimator: Any) -> bool:
    """Whether components are to come by falling weight."""
    if estimator.component_order not in (None, "weight"):
        raise ValueError(
            f"component_order must be 'weight' or None, but {estimator.component_order!r} came."
        )
    return bool(estimator.component_order == "weight")


def accelerated(estimator: Any) -> bool:
    """Whether EM may leap: a number for ``tol`` keeps scikit-learn's meaning, which is about plain
    iterations.
    """
    if estimator.acceleration not in ("auto", "squarem", None):
        raise ValueError(
            f"acceleration must be 'auto', 'squarem' or None, but {estimator.acceleration!r} came."
        )
    return bool(
        estimator.acceleration == "squarem"
        or (estimator.acceleration == "auto" and estimator.tol is None)
    )


def _is_bool(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def seed_of(random_state: Any) -> np.random.SeedSequence:
    """A seed sequence from scikit-learn's ``random_state``; the global generator is read only when
    it is None.
    """
    if isinstance(random_state, Integral) and not _is_bool(random_state):
        generator: Any = np.random.RandomState(int(random_state))
    else:
        from sklearn.utils import (
            check_random_state,
        )  # takes long to import, and a number needs none of it

        generator = check_random_state(random_state)
    return np.random.SeedSequence(int(generator.randint(2**31 - 1)))


# ---- rows ----------------------------------------------------------------------------------------


def rows_of(estimator: Any, X: Any, *, fitting: bool) -> Rows:
    """``X`` as a float array (n,d) without a copy where it is one already; column names are checked
    and kept.
    """
    from sklearn.utils.validation import (
        validate_data,
    )  # takes long to import, and a command has its rows from a table

    refuse_masked("X", X)
    _refuse_text_and_gaps(X)
    rows: Rows = validate_data(
        estimator,
        X,
        reset=fitting,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        ensure_min_samples=2 if fitting else 0,
    )
    names = getattr(estimator, "feature_names_in_", None)
    _refuse_non_finite(rows, names)
    return rows


def _frame_of(X: Any) -> Any:
    """A data frame behind narwhals' door, or None for anything else."""
    if hasattr(X, "collect") and not hasattr(X, "shape"):
        raise TypeError(f"X must be in memory, but {type(X).__name__} is lazy. Pass X.collect().")
    try:
        frame = nw.from_native(X, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise ValueError(
            f"column names of X must differ, but some are the same ({error}). Rename or drop the "
            "copies."
        ) from None
    return frame if isinstance(frame, nw.DataFrame) else None


def _refuse_text_and_gaps(X: Any) -> None:
    """Numbers are never guessed from text, and a missing entry of a data frame is named by its
    column.
    """
    frame = _frame_of(X)
    if frame is not None:
        text = [
            name
            for name, dtype in frame.schema.items()
            if not (dtype.is_numeric() or dtype in (nw.Boolean, nw.Object))
        ]
        if text:
            raise ValueError(
                f"X must hold numbers, but column {text[0]!r} holds {frame.schema[text[0]]}. "
                f"Leave such columns out, for example X.drop(columns={text!r})."
            )
        gaps = {
            str(column.name): count
            for column in frame.iter_columns()
            if (count := int(column.is_null().sum()))
        }
        if gaps:
            raise ValueError(_gaps_message("NaN", gaps))
        return
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    array = np.asarray(X) if kind in ("O", "U", "S") else None
    if array is None and isinstance(X, list | tuple):
        try:
            array = np.asarray(X)
        except ValueError:
            raise ValueError(
                "X must be a table of n rows and d columns, but its rows are of unequal length."
            ) from None
    if array is not None and array.dtype.kind in "OUS":
        for index, value in np.ndenumerate(array):
            if isinstance(value, str | bytes):
                raise ValueError(
                    f"X must hold numbers, but the entry at {tuple(map(int, index))} is the text "
                    f"{str(value)!r}. "
                    f"Text cannot be converted to "
                    "float without guessing: convert it yourself, for example X.astype(float), or "
                    "leave the column out."
                )


def _refuse_non_finite(rows: Rows, names: Sequence[str] | None) -> None:
    """NaN and infinity, by column and count."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(rows.sum()):
            return
    for word, found in (("NaN", np.isnan(rows)), ("infinity", np.isinf(rows))):
        counts = found.sum(axis=0)
        if counts.any():
            label = names if names is not None else [f"column {j}" for j in range(rows.shape[1])]
            first = int(np.flatnonzero(found.any(axis=1))[0])
            raise ValueError(
                _gaps_message(
                    word,
                    {str(label[int(j)]): int(counts[j]) for j in np.flatnonzero(counts)},
                    first,
                )
            )


def _gaps_message(word: str, counts: dict[str, int], first: int | None = None) -> str:
    where = ", ".join(
        f"{name!r} ({count} row{'s' if count > 1 else ''})"
        for name, count in list(counts.items())[:8]
    )
    at = "" if first is None else f" The first is in X[{first}]."
    return (
        f"Input X contains {word}: every entry must be a finite number, but there is {word} in "
        f"{where}.{at} "
        "Drop or fill these rows first; GaussianMixture does not accept missing values encoded as "
        "NaN natively."
    )


def weights_of(sample_weight: Any, n: int) -> Array | None:
    """Frequencies (n,), or None for ones."""
    if sample_weight is None:
        return None
    refuse_masked("sample_weight", sample_weight)
    weights = np.asarray(sample_weight, dtype=np.float64)
    weights = np.full(n, float(weights)) if weights.ndim == 0 else np.ascontiguousarray(weights)
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight must have one value for each of the {n} rows of X, but has shape "
            f"{weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            "sample_weight must be finite and at least 0, but has NaN, infinite or negative "
            "values. Use 0 to leave a row out."
        )
    if not (weights > 0).any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number; a mixture needs at least "
            "two rows with a positive weight."
        )
    mean = _mean_weight(weights)
    if not SMALLEST_WEIGHT <= mean <= LARGEST_WEIGHT:
        raise ValueError(
            f"sample_weight must be between {SMALLEST_WEIGHT:g} and {LARGEST_WEIGHT:g} on average, "
            f"but its mean is {mean:.3g}: "
            "sums and products of such weights leave the range of double precision. A common "
            "factor changes no estimate, so pass "
            "sample_weight / sample_weight.max()."
        )
    return weights


def _mean_weight(weights: Array) -> float:
    """The mean of the weights of rows that are present, also where their sum overflows."""
    largest = float(weights.max())
    with np.errstate(under="ignore"):
        return largest * float(np.mean(weights[weights > 0] / largest))


def dataset_of(
    X: Rows, sample_weight: Array | None, backend: str, n_threads: int | None
) -> Dataset:
    """The data as all fits see them; rows of weight 0 are absent."""
    if sample_weight is not None and (sample_weight == 0).any():
        X, sample_weight = X[sample_weight > 0], sample_weight[sample_weight > 0]
    return Dataset(ArraySource(X, sample_weight), backend_named(backend, n_threads))


def enter(estimator: Any, X: Any, sample_weight: Any) -> tuple[Rows, Dataset, Flags | None]:
    """Checked rows, their dataset, and which rows (n,) are present where some weigh nothing."""
    refuse_masked("sample_weight", sample_weight)
    sample_weight = None if sample_weight is None else np.asarray(sample_weight)
    if (
        sample_weight is not None
        and sample_weight.ndim == 1
        and (sample_weight == 0).any()
        and (sample_weight != 0).any()
    ):
        if len(sample_weight) != np.shape(X)[0]:
            weights_of(sample_weight, np.shape(X)[0])  # refuses
        present = sample_weight != 0
        X, sample_weight = _take(X, present), sample_weight[present]
        rows, dataset, _ = enter(estimator, X, sample_weight)
        return rows, dataset, present
    rows = rows_of(estimator, X, fitting=True)
    weights = weights_of(sample_weight, len(rows))
    check_range(
        rows,
        getattr(estimator, "feature_names_in_", None),
        1.0 if weights is None else _mean_weight(weights),
    )
    return rows, dataset_of(rows, weights, estimator.backend, estimator.n_threads), None


def _take(X: Any, present: Flags) -> Any:
    """Some rows of an array, a list or a data frame: an absent row may hold anything, also NaN or a
    mask.
    """
    if isinstance(X, list | tuple):
        return [row for row, here in zip(X, present, strict=True) if here]
    if isinstance(X, np.ma.MaskedArray):
        return X[present]
    frame = _frame_of(X)
    return np.asarray(X)[present] if frame is None else frame.filter(present.tolist()).to_native()


# ---- what the data allow -------------------------------------------------------------------------


def check_range(X: Rows, names: Sequence[str] | None, weight: float = 1.0) -> None:
    """Squares must neither overflow nor underflow, also where rows weigh so much on average."""
    with np.errstate(over="ignore", under="ignore"):
        span = X.max(axis=0).astype(np.float64) - X.min(axis=0)
        least, most = (
            span * min(1.0, np.sqrt(weight)),
            span * np.sqrt(len(X)) * max(1.0, np.sqrt(weight)),
        )
    bad = np.flatnonzero(
        (most > LARGEST_SPAN) | ((span > 0) & (least < SMALLEST_SPAN / np.sqrt(len(X))))
    )
    if len(bad):
        j = int(bad[0])
        weighed = "" if weight == 1.0 else f", times weights of about {weight:.0e},"
        raise DataError(
            f"{_column(j, names)} spans about {span[j]:.0e}: its squares{weighed} leave the range "
            "of double precision "
            f"(1e-290 to 1e306). Divide it by a suitable unit, for example X[:, {j}] / "
            f"{np.abs(X[:, j]).max():.0e}"
            f"{'' if weight == 1.0 else ', and sample_weight by its mean'}."
        )


@dataclass(frozen=True)
class Constraints:
    """What the user asked an estimate to respect, before the data are known."""

    reg_covar: float | None = None
    prior: ConjugatePrior | None = None
    eigenvalue_ratio: float | None = None
    equal_weights: bool = False


def constraints_of(estimator: Any) -> Constraints:
    """The estimator's parameters, checked as far as they can be without data."""
    ratio, equal = estimator.eigenvalue_ratio, estimator.equal_weights
    if ratio is not None and (
        _is_bool(ratio) or not isinstance(ratio, Real) or not 1 <= float(ratio) < float("inf")
    ):
        raise ValueError(
            f"eigenvalue_ratio must be a number of at least 1 or None, but {ratio!r} came. "
            "It bounds the largest eigenvalue of all covariances by that many times the smallest, "
            "for example 100."
        )
    if not _is_bool(equal):
        raise ValueError(f"equal_weights must be True or False, but {equal!r} came.")
    return Constraints(
        estimator.reg_covar,
        _prior_of(estimator.prior),
        None if ratio is None else float(ratio),
        bool(equal),
    )


def _prior_of(prior: Any) -> ConjugatePrior | None:
    """``None``, ``"conjugate"`` or a :class:`ConjugatePrior` with sensible numbers."""
    if prior is None:
        return None
    if isinstance(prior, str) and prior == "conjugate":
        return ConjugatePrior()
    if not isinstance(prior, ConjugatePrior):
        raise ValueError(
            f"prior must be None, 'conjugate' or a mixtura.ConjugatePrior, but {prior!r} came. "
            "'conjugate' is the prior of Fraley & Raftery 2007 with its usual numbers."
        )
    if prior.shrinkage is None:
        raise ValueError(
            "shrinkage of the prior must be a number of at least 0, but None came. Use 0 to leave "
            "means alone."
        )
    check_size("shrinkage of the prior", prior.shrinkage)
    check_size("dof of the prior", prior.dof)
    return prior


def _check_prior(prior: ConjugatePrior, d: int) -> None:
    """A prior's arrays against the number of columns."""
    if prior.mean is not None:
        _shaped("mean of the prior", prior.mean, (d,))
    if prior.dof is not None and prior.dof <= d - 1:
        raise ValueError(
            f"dof of the prior must be above d - 1 = {d - 1}, but is {prior.dof:g}. The default is "
            f"d + 2 = {d + 2}."
        )
    if prior.scale is None:
        return
    if np.ndim(prior.scale) == 0:
        if np.asarray(prior.scale).dtype.kind not in "fiu" or not 0 < prior.scale < np.inf:
            raise ValueError(
                f"scale of the prior must be positive, but is {prior.scale!r}. It is a variance in "
                "the units of the data."
            )
        return
    scale = _shaped("scale of the prior", prior.scale, (d, d))
    if not _is_positive_definite(scale):
        raise ValueError(
            "scale of the prior must be a positive number or a symmetric, positive-definite matrix "
            "(d, d)."
        )


def problem_of(dataset: Dataset, family: Family, K: int, constraints: Constraints) -> Problem:
    """What K components are fitted to, and what holds them: the floor by default; an explicit
    ``reg_covar`` is scikit-learn's ridge; shrinkage where rows are too few.

    Unless ``reg_covar`` or ``prior`` was given, the full covariances of few rows are shrunk
    (:mod:`mixtura.initialise.few_rows`).
    """
    d = dataset.source.n_features
    prior: Prior | None = None
    if constraints.prior is not None:
        _check_prior(constraints.prior, d)
        prior = constraints.prior.worked_out(
            family.name, K, dataset.mean, dataset.covariance, dataset.total
        )
    else:
        shrinkage = _shrinkage(family, dataset, K, constraints)
        prior = None if shrinkage is None else shrinkage.prior
    ridge = constraints.reg_covar
    regularisation = Regularisation(
        dataset.floor if ridge is None else np.zeros(d),
        ridge=float(ridge or 0.0),
        prior=prior,
        eigenvalue_ratio=constraints.eigenvalue_ratio,
        equal_weights=constraints.equal_weights,
    )
    return Problem(dataset, family, regularisation)


def _shrinkage(
    family: Family, dataset: Dataset, K: int, constraints: Constraints
) -> Shrinkage | None:
    """What few rows ask for, where the user did not say what holds the covariances."""
    if constraints.prior is not None or constraints.reg_covar is not None:
        return None
    return shrinkage_for(dataset, family, K)


def check_data(
    dataset: Dataset,
    family: Family,
    K: int,
    constraints: Constraints,
    names: Sequence[str] | None = None,
) -> str:
    """Refuse data that cannot carry this family with K components; what a person must know of
    others, empty where there is nothing.

    Without ``reg_covar`` such data are refused. With a positive one, or with a prior whose scale is
    not singular itself, they are fitted, and that then decides the answer.
    """
    n = dataset.source.n_rows
    if n < K:
        raise DataError(
            f"Expected n_samples >= n_components but got n_components = {K}, n_samples = {n}. "
            "A mixture needs at least one row per component: reduce n_components or pass more rows."
        )
    cause = (
        _too_few_distinct(dataset, K)
        or _hidden_by_outliers(dataset, names)
        or _without_spread(dataset, family, names)
    )
    if cause is None:
        return _shrunk(dataset, family, K, constraints)
    reg_covar = constraints.reg_covar
    if reg_covar:
        what = (
            f"With reg_covar={reg_covar:g} it is fitted all the same, and that number decides "
            "the answer."
        )
    elif _prior_carries(dataset, family, K, constraints.prior):
        what = "With this prior it is fitted all the same, and the prior decides the answer."
    else:
        raise DataError(cause if reg_covar is None else f"{ILL_DEFINED} {cause}")
    return f"{cause} {what}"


def _prior_carries(dataset: Dataset, family: Family, K: int, prior: ConjugatePrior | None) -> bool:
    """Whether a prior alone gives every covariance of the family a spread in every direction.

    The usual scale is taken from the data, so what is singular there is singular here.
    """
    if prior is None:
        return False
    d = dataset.source.n_features
    _check_prior(prior, d)
    scatter = prior.worked_out(
        family.name, K, dataset.mean, dataset.covariance, dataset.total
    ).scatter
    variances = np.diag(scatter)
    if family.needs is Scatter.TRACE:
        return bool(variances.sum() > 0)
    if family.needs is Scatter.DIAGONAL or not (variances > 0).all():
        return bool((variances > 0).all())
    deviations = np.sqrt(variances)
    return bool(np.linalg.eigvalsh(scatter / np.outer(deviations, deviations))[0] > SINGULAR)


def _too_few_distinct(dataset: Dataset, K: int) -> str | None:
    """Whether some component could hold no more than one distinct row."""
    if K == 1 or dataset.holds(K + 1):
        return None
    distinct = dataset.distinct.n_rows
    return (
        f"X has {distinct} distinct rows but n_components={K}: each component would sit on a "
        "single point, "
        f"where the likelihood has no "
        f"bound. Use fewer than {distinct} components."
        if distinct > 2
        else f"X has only {distinct} distinct row{'s' if distinct > 1 else ''}, and "
        f"n_components={K} needs more "
        f"than that. Look at how X was made."
    )


def _hidden_by_outliers(dataset: Dataset, names: Sequence[str] | None) -> str | None:
    """A row so far out that the others are one point beside it: covariances of both cannot be had
    in one precision.
    """
    usual = _usual_rows(dataset)
    if len(usual) < ROWS_HIDDEN:
        return None
    variances = usual.var(axis=0)
    with np.errstate(over="ignore"):
        hidden = np.flatnonzero((variances > 0) & (dataset.variances > HIDDEN * variances))
    if not len(hidden):
        return None
    j = int(hidden[0])
    values = np.concatenate([block.rows[:, j] for block in dataset.source.blocks()])
    farthest = values[np.abs(values - np.median(usual[:, j])).argmax()]
    return (
        f"{_column(j, names)} lies between {usual[:, j].min():.4g} and {usual[:, j].max():.4g} in "
        "nearly all rows, but reaches "
        f"{farthest:.4g}: beside that the other rows are one point in double precision. Correct "
        "this entry, or leave its row out."
    )


@once_for_each
def _usual_rows(dataset: Dataset) -> Array:
    """Rows of the probe without those farthest from the medians, one in ``FEW_ROWS`` and at least
    one.
    """
    rows = np.concatenate([block.rows for block in dataset.probe.blocks()]).astype(np.float64)
    away = np.abs(rows - np.median(rows, axis=0))
    units = np.median(away, axis=0)
    away = (away / np.where(units > 0, units, np.sqrt(dataset.scale))).max(axis=1)
    kept = len(rows) - max(1, len(rows) // FEW_ROWS)
    return np.asarray(rows[np.argsort(away, kind="stable")[:kept]])


def _without_spread(dataset: Dataset, family: Family, names: Sequence[str] | None) -> str | None:
    """Constant columns, equal rows, columns that are combinations of others: whatever makes every
    covariance singular.
    """
    variances, d = dataset.variances, dataset.source.n_features
    constant = np.flatnonzero(variances == 0)
    if len(constant) == d:
        return "All rows of X are equal: there is no spread to model. Pass rows that differ."
    form = family.rows_needed(d)
    spherical = family.name in ("EII", "VII")
    if len(constant) and not spherical:
        listed = ", ".join(_column(int(j), names) for j in constant[:8])
        keep = [int(j) for j in np.flatnonzero(variances > 0)][:8]
        return (
            f"{listed} {'is' if len(constant) == 1 else 'are'} constant: a Gaussian has no density "
            "there, and "
            f"any score would only be the "
            f"floor talking. Leave {'it' if len(constant) == 1 else 'them'} out, for example X[:, "
            f"{keep}]."
        )
    if form == d + 1 and d > 1 and dataset.source.n_rows > d:
        return _combination(dataset, None if names is None else tuple(names))
    return None


@once_for_each
def _combination(dataset: Dataset, names: tuple[str, ...] | None) -> str | None:
    """Columns that are exact combinations of others, from the smallest eigenvector of the
    correlations.
    """
    deviations = np.sqrt(dataset.scale)
    values, vectors = np.linalg.eigh(dataset.covariance / np.outer(deviations, deviations))
    if values[0] > SINGULAR or not _are_combinations(_usual_rows(dataset)):
        return None
    involved = np.flatnonzero(np.abs(vectors[:, 0]) > 0.05)
    listed = ", ".join(_column(int(j), names) for j in involved[:8])
    what = (
        "carry the same values up to a factor"
        if len(involved) == 2
        else "are combinations of each other"
    )
    return (
        f"{listed} {what}: a full covariance of them is singular. Leave one of them out, use "
        "covariance_type='diag' (VVI) or "
        "'spherical' (VII), or set reg_covar to the variance of your measurement error."
    )


def _are_combinations(rows: Array) -> bool:
    """Whether the columns are combinations without the farthest rows, too: two that share one
    outlier are none.
    """
    deviations = rows.std(axis=0)
    if len(rows) <= rows.shape[1] or not (deviations > 0).all():
        return True
    return bool(np.linalg.eigvalsh(np.cov((rows / deviations).T, ddof=0))[0] <= SINGULAR)


def _shrunk(dataset: Dataset, family: Family, K: int, constraints: Constraints) -> str:
    """How far full covariances are shrunk, in words."""
    shrinkage = _shrinkage(family, dataset, K, constraints)
    if shrinkage is None:
        return ""
    n, d = dataset.source.n_rows, dataset.source.n_features
    parts, each = (
        ("", "covariance")
        if K == 1
        else (f" for {K} components", "covariance" if family.shares_all else "component")
    )
    return (
        f"X has {n} rows{parts} and {d} columns: too few for full covariances ({family.name}), "
        f"which need {d + 1} rows each to be "
        "non-singular and some times as many to be reliable. They are shrunk, as if "
        f"{shrinkage.rows:,.3g} more rows per {each} "
        "had been seen, spread like the rows within groups with independent columns. Consider "
        "covariance_type='diag' (VVI), "
        "fewer columns or components, or more rows; reg_covar=0 switches this off."
    )


def _column(j: int, names: Sequence[str] | None) -> str:
    return f"column {j}" if names is None else f"column {str(names[j])!r}"


# ---- starts --------------------------------------------------------------------------------------


def initialiser_of(init_params: Any, X: Rows, K: int, present: Any) -> Initialiser | None:
    """The initialiser behind ``init_params``; None for ``"auto"``.

    ``present`` says which rows of the user's X are left in ``X``, or is None for all: given arrays
    have the user's length.
    """
    if isinstance(init_params, str):
        if init_params == "auto":
            return None
        if init_params in BY_NAME:
            return BY_NAME[init_params]
        raise ValueError(
            f"init_params={init_params!r} is not known. Use 'auto', "
            f"{', '.join(map(repr, BY_NAME))}, an array of labels (n,), "
            "an array of responsibilities (n, K), or a callable."
        )
    if callable(init_params):
        return _FromCallable(init_params, X)
    if present is None:
        return _given_start(init_params, len(X), K)
    refuse_masked("init_params", init_params)
    given = np.asarray(init_params)
    if len(given) != len(present):
        raise ValueError(
            f"init_params must have one entry for each of the {len(present)} rows of X, but has "
            f"{len(given)}."
        )
    return _given_start(given[present], len(X), K)


class _FromCallable:
    """``init_params(X, n_components, rng)`` returns labels (n,) or responsibilities (n,K)."""

    name = "callable"

    def __init__(self, function: Any, X: Rows) -> None:
        self.function, self.X = function, X

    def __call__(self, dataset: Dataset, K: int, rng: np.random.Generator) -> Any:
        """Moments of what the callable returns."""
        return _given_start(self.function(self.X, K, rng), len(self.X), K)(dataset, K, rng)


def _given_start(given: Any, n: int, K: int) -> Initialiser:
    """Labels or responsibilities, checked."""
    refuse_masked("init_params", given)
    array = np.asarray(given)
    if array.shape == (n,):
        return FromLabels(_labels(array, K))
    if array.shape == (n, K):
        return FromResponsibilities(_responsibilities(array))
    raise ValueError(
        f"init_params must be labels of shape ({n},) or responsibilities of shape ({n}, {K}), but "
        f"has shape {array.shape}. "
        "Pass one label per row in 0 .. n_components - 1, or one column per component."
    )


def _pieces(array: Any) -> Iterator[Any]:
    """Consecutive entries along the first axis: what is checked piece by piece needs no copy of the
    whole.
    """
    return (array[begin : begin + ROWS_AT_ONCE] for begin in range(0, len(array), ROWS_AT_ONCE))


def _responsibilities(array: Any) -> Array:
    """Responsibilities (n,K) that sum to one, where they are numbers as they came; a start reads
    them piece by piece.
    """
    array = array if array.dtype.kind in "fiu" else array.astype(np.float64)
    total: Any = 0.0
    for piece in _pieces(array):
        parts = piece.astype(np.float64)
        if (
            not np.isfinite(parts).all()
            or (parts < 0).any()
            or not np.allclose(parts.sum(axis=1), 1.0, atol=1e-6)
        ):
            raise ValueError(
                "responsibilities in init_params must be at least 0 and sum to one in every row. "
                "Divide each row by its sum."
            )
        total = total + parts.sum(axis=0)
    if not (total > 0).all():
        raise ValueError(
            "responsibilities in init_params leave a component without any row, and EM can never "
            "bring it back."
        )
    parts_of_rows: Array = array
    return parts_of_rows


def _labels(array: Any, K: int) -> Labels:
    """Labels 0 .. K-1, each of them used; integers stay as they came."""
    labels: Labels = array if array.dtype.kind in "iu" else array.astype(np.intp)
    whole = array is labels or all(
        np.array_equal(*pieces) for pieces in zip(_pieces(labels), _pieces(array), strict=True)
    )
    used = np.unique(np.concatenate([np.unique(piece) for piece in _pieces(labels)]))
    if not whole or not np.array_equal(used, np.arange(K)):
        raise ValueError(
            f"labels in init_params must be the integers 0 .. {K - 1}, each at least once, but "
            f"{np.unique(array)[:10].tolist()} came. "
            "np.unique(labels, return_inverse=True)[1] renumbers them."
        )
    return labels


# ---- given parameters ----------------------------------------------------------------------------


def check_weights(given: Any, K: int) -> Array:
    """Mixing proportions (K,): positive, summing to one."""
    weights = _shaped("weights", given, (K,))
    if abs(weights.sum() - 1.0) < 1e-6:
        weights = weights / weights.sum()  # float32 weights sum to one to their own precision
    if (weights < 0).any() or (weights > 1).any():
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{weights.min():.5f}, min "
            f"value {weights.max():.5f}"
        )
    if abs(weights.sum() - 1.0) > 1e-6:
        raise ValueError(
            "The parameter 'weights' should be normalized, but got sum(weights) = "
            f"{weights.sum():.5f}"
        )
    if not (weights > 0).all():
        raise ValueError(
            f"The parameter 'weights' has a zero at {component_name(np.argmin(weights))}: such a "
            "component can never come back. "
            "Give it a small positive weight or reduce n_components."
        )
    return weights


def check_means(means: Any, K: int, d: int) -> Array:
    """Means (K,d)."""
    return _shaped("means", means, (K, d))


def check_spread(name: str, family: Family, given: Any, shape: tuple[int, ...]) -> Array:
    """Precisions or covariances in their public shape: positive, or symmetric and positive
    definite.
    """
    values = _shaped(name, given, shape)
    if family.needs in (Scatter.TRACE, Scatter.DIAGONAL):
        if not (values > 0).all():
            raise ValueError(f"'{name}' should be positive")
        return values
    for matrix in values.reshape(-1, *shape[-2:]):
        if not _is_positive_definite(matrix):
            raise ValueError(f"'{name}' should be symmetric, positive-definite")
    return values


def _is_positive_definite(matrix: Array) -> bool:
    """Whether a matrix is a covariance, judged in the units of its own diagonal."""
    variances = np.diag(matrix)
    if not (variances > 0).all():
        return False
    units = np.sqrt(np.outer(variances, variances))
    return bool(
        np.allclose(matrix / units, matrix.T / units)
        and (np.linalg.eigvalsh(matrix / units) > 0).all()
    )


def _shaped(name: str, values: Any, shape: tuple[int, ...]) -> Array:
    refuse_masked(name, values)
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"The parameter '{name}' should be numbers in the shape of {shape}, but {values!r} came"
        ) from None
    if array.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"The parameter '{name}' should be finite, but has NaN or infinity")
    return array
