"""Checks of data for a model: enough distinct rows, variance, and no extreme outlier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura.base.arrays import Array, Labels
from mixtura.base.errors import ILL_DEFINED, DataError
from mixtura.base.memory import once_for_each
from mixtura.base.scatter import Scatter
from mixtura.data.dataset import Dataset
from mixtura.data.noise_box import noise_box
from mixtura.inputs.constraints import Constraints, check_prior, shrinkage_of
from mixtura.model.protocols import Family

SINGULAR = 1e-11
"""Columns are linear combinations of each other where the smallest eigenvalue of their correlation
matrix is no more than this.
"""

ROWS_PER_OUTLIER, FEWEST_USUAL_ROWS = 100, 10
"""One row in 100, and at least one, is set aside as a possible outlier. With fewer than 10 rows
left nothing is called an outlier.
"""

HIDING_RATIO = 1e16
"""Variance of a column over that without its outliers, from which on the other rows are one point
in double precision.
"""


def check_data(
    dataset: Dataset,
    family: Family,
    K: int,
    constraints: Constraints,
    names: Sequence[str] | None = None,
) -> str:
    """Refuse data to which this family with K components cannot be fitted, or return a warning.

    Without ``reg_covar`` such data are refused. With a positive one, or with a prior whose scale is
    not singular itself, they are fitted, and the warning says that this decides the answer. The
    text is empty where there is nothing to warn of.
    """
    n = dataset.source.n_rows
    if n < K:
        raise DataError(
            f"Expected n_samples >= n_components but got n_components = {K}, n_samples = {n}. "
            "A mixture needs at least one row per component: reduce n_components or pass more rows."
        )
    if dataset.n_classes > K:
        raise DataError(
            f"labels have {dataset.n_classes} classes, but n_components is {K}: each class is a "
            f"component of its own. Use n_components of at least {dataset.n_classes}."
        )
    cause = (
        _too_few_distinct(dataset, K)
        or _never_together(dataset, family, names)
        or _outlier(dataset, names)
        or _without_variance(dataset, family, names)
    )
    if cause is None:
        remarks = (
            _shrinkage_warning(dataset, family, K, constraints),
            _of_volume(dataset, constraints),
        )
        return " ".join(remark for remark in remarks if remark)
    reg_covar = constraints.reg_covar
    if reg_covar:
        consequence = (
            f"With reg_covar={reg_covar:g} it is fitted all the same, and that number decides "
            "the answer."
        )
    elif _prior_suffices(dataset, family, K, constraints):
        consequence = "With this prior it is fitted all the same, and the prior decides the answer."
    else:
        raise DataError(cause if reg_covar is None else f"{ILL_DEFINED} {cause}")
    return f"{cause} {consequence}"


def _of_volume(dataset: Dataset, constraints: Constraints) -> str:
    """A remark where the given volume of a noise term is smaller than the box of the rows."""
    volume = constraints.noise
    if volume is None or isinstance(volume, str):
        return ""
    box = min(noise_box(dataset, "box").volume, noise_box(dataset, "principal").volume)
    if volume >= box:
        return ""
    return (
        f"noise={volume:g} is a volume, not a share of the rows, and smaller than the box that "
        f"holds them ({box:.4g}): the noise may draw rows of the groups to itself. noise='auto' "
        "takes the volume from the rows."
    )


def _prior_suffices(dataset: Dataset, family: Family, K: int, constraints: Constraints) -> bool:
    """Whether a prior alone makes every covariance of the family non-singular.

    The default scale is taken from the data, and is singular where these are.
    """
    if constraints.priors is not None:
        constraints.priors.of(dataset, family)  # refuses a singular one
        return True
    prior = constraints.prior
    if prior is None:
        return False
    d = dataset.source.n_features
    check_prior(prior, d)
    scatter = prior.for_family(
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
    """A message where distinct rows are no more than components, else None."""
    if K == 1 or dataset.has_distinct(K + 1):
        return None
    distinct = dataset.distinct.n_rows
    if distinct > 2:
        return (
            f"X has {distinct} distinct rows but n_components={K}: each component would sit on a "
            "single point, where the likelihood has no bound. Use fewer than "
            f"{distinct} components."
        )
    return (
        f"X has only {distinct} distinct row{'s' if distinct > 1 else ''}, and n_components={K} "
        "needs more than that. Look at how X was made."
    )


def _never_together(dataset: Dataset, family: Family, names: Sequence[str] | None) -> str | None:
    """A message where no row has a value in both of two columns, else None."""
    if family.needs not in (Scatter.DENSE, Scatter.TOTAL):
        return None
    together: Array | None = None
    for block in dataset.source.blocks():
        if block.observation is None:
            return None
        columns = block.observation.columns[np.unique(block.observation.numbers)].astype(float)
        own = columns.T @ columns
        together = own if together is None else together + own
    if together is None or together.all():
        return None
    i, j = (int(place) for place in np.argwhere(together == 0)[0])
    return (
        f"no row has a value in both {column_name(i, names)} and {column_name(j, names)}: their "
        "covariance within a component cannot be learned. Leave one of them out, or use "
        "covariance_type='diag' (VVI) or 'spherical' (VII)."
    )


def _outlier(dataset: Dataset, names: Sequence[str] | None) -> str | None:
    """A message about an outlier beside which all other rows are one point, else None."""
    usual = _usual_rows(dataset)
    if len(usual) < FEWEST_USUAL_ROWS:
        return None
    variances = usual.var(axis=0)
    with np.errstate(over="ignore"):
        hidden = np.flatnonzero((variances > 0) & (dataset.variances > HIDING_RATIO * variances))
    if not len(hidden):
        return None
    j = int(hidden[0])
    values = np.concatenate([block.rows[:, j] for block in dataset.completed.source.blocks()])
    farthest = values[np.abs(values - np.median(usual[:, j])).argmax()]
    return (
        f"{column_name(j, names)} lies between {usual[:, j].min():.4g} and "
        f"{usual[:, j].max():.4g} in nearly all rows, but reaches {farthest:.4g}: beside that the "
        "other rows are one point in double precision. Correct this entry, or leave its row out."
    )


@once_for_each
def _usual_rows(dataset: Dataset) -> Array:
    """Rows of the probe without those farthest from the medians (``ROWS_PER_OUTLIER``)."""
    rows = np.concatenate([block.rows for block in dataset.completed.probe.blocks()]).astype(
        np.float64
    )
    away = np.abs(rows - np.median(rows, axis=0))
    units = np.median(away, axis=0)
    away = (away / np.where(units > 0, units, np.sqrt(dataset.scale))).max(axis=1)
    kept = len(rows) - max(1, len(rows) // ROWS_PER_OUTLIER)
    return np.asarray(rows[np.argsort(away, kind="stable")[:kept]])


def _without_variance(dataset: Dataset, family: Family, names: Sequence[str] | None) -> str | None:
    """A message where equal rows or columns make every covariance singular, else None."""
    variances, d = dataset.variances, dataset.source.n_features
    constant = np.flatnonzero(variances == 0)
    if len(constant) == d:
        return "All rows of X are equal: there is no spread to model. Pass rows that differ."
    spherical = family.name in ("EII", "VII")
    if len(constant) and not spherical:
        listed = ", ".join(column_name(int(j), names) for j in constant[:8])
        are, them = ("is", "it") if len(constant) == 1 else ("are", "them")
        return (
            f"{listed} {are} constant: a Gaussian has no density there, and the floor of the "
            f"variances alone would decide the likelihood. Leave {them} out, for example "
            f"{_without(constant, names)}."
        )
    if family.rows_needed(d) == d + 1 and d > 1 and dataset.source.n_rows > d:
        return _combination(dataset, None if names is None else tuple(names))
    return None


def _without(columns: Labels, names: Sequence[str] | None) -> str:
    """How to write ``X`` without some columns; nothing is left away, so that it can be copied."""
    numbers = [int(j) for j in columns]
    if names is None:
        return f"np.delete(X, {numbers}, axis=1)"
    return f"X.drop(columns={[str(names[j]) for j in numbers]})"


@once_for_each
def _combination(dataset: Dataset, names: tuple[str, ...] | None) -> str | None:
    """A message about columns that are linear combinations of others, else None."""
    deviations = np.sqrt(dataset.scale)
    values, vectors = np.linalg.eigh(dataset.covariance / np.outer(deviations, deviations))
    if values[0] > SINGULAR or not _are_combinations(_usual_rows(dataset)):
        return None
    involved = np.flatnonzero(np.abs(vectors[:, 0]) > 0.05)
    listed = ", ".join(column_name(int(j), names) for j in involved[:8])
    are_equal = "carry the same values up to a factor"
    relation = are_equal if len(involved) == 2 else "are combinations of each other"
    return (
        f"{listed} {relation}: a full covariance of them is singular. Leave one of them out, use "
        "covariance_type='diag' (VVI) or 'spherical' (VII), or set reg_covar to the variance of "
        "your measurement error."
    )


def _are_combinations(rows: Array) -> bool:
    """Whether columns are combinations also without the outliers, which may be all they share."""
    deviations = rows.std(axis=0)
    if len(rows) <= rows.shape[1] or not (deviations > 0).all():
        return True
    return bool(np.linalg.eigvalsh(np.cov((rows / deviations).T, ddof=0))[0] <= SINGULAR)


def _shrinkage_warning(dataset: Dataset, family: Family, K: int, constraints: Constraints) -> str:
    """How far full covariances are shrunk; empty where they are not."""
    shrinkage = shrinkage_of(family, dataset, K, constraints)
    if shrinkage is None:
        return ""
    n, d = dataset.source.n_rows, dataset.source.n_features
    components = "" if K == 1 else f" for {K} components"
    each = "covariance" if K == 1 or family.shares_all else "component"
    return (
        f"X has {n} rows{components} and {d} columns: too few for full covariances "
        f"({family.name}), which need {d + 1} rows each to be non-singular and some times as many "
        f"to be reliable. They are shrunk, as if {shrinkage.rows:,.3g} more rows per {each} had "
        "been seen, with the variances within groups and independent columns. Consider "
        "covariance_type='diag' (VVI), fewer columns or components, or more rows; reg_covar=0 "
        "switches this off."
    )


def column_name(j: int, names: Sequence[str] | None) -> str:
    """A column in a message: by its name, or by its number from 0."""
    return f"column {j}" if names is None else f"column {str(names[j])!r}"
