"""The likelihood ratio test of K against K + 1 components by the parametric bootstrap.

The usual chi-squared distribution does not hold here, because under K components the parameters of
the further one are not identified. So data sets are drawn from the fit with K components, and each
is treated exactly as the data were (McLachlan 1987):

    T   = 2 (log L_{K+1} - log L_K)                     on the data
    T_b = the same on data set b, b = 1 .. B
    p   = (1 + #{b : T_b >= T}) / (1 + B)

Treated exactly as the data were means: the same starts, the same stopping rule, the same exclusion
of spurious components; and simulated values are rounded to the recorded step of their column,
because on recorded data a component can describe repeated values. A mixture with K components is
one with K + 1, two of them copies, so T is not negative. With equal proportions, a prior or a ridge
that need not hold, and a T below 0 counts as 0, on the data and on the replicates alike.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite, nan
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from mixtura.base.arrays import Array
from mixtura.base.errors import CollapseError, DataError, DataWarning
from mixtura.base.scatter import Scatter
from mixtura.base.underflow import ignore_underflow
from mixtura.data.dataset import Dataset
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import Start
from mixtura.em.stopping import REMAINING, RemainingGain
from mixtura.families import family_named
from mixtura.inference.replicates import replicates
from mixtura.inference.resamples import are_counts, observation_of, rows_seen, weights_of
from mixtura.initialise.initialisers import Initialiser
from mixtura.inputs.constraints import Constraints, constraints_of, problem_of
from mixtura.inputs.data_checks import check_data
from mixtura.inputs.parameters import check_count, check_size, seed_of
from mixtura.inputs.rows import checked_weights, dataset_of, rows_of
from mixtura.model.fit_result import FitResult, StopReason
from mixtura.model.moments import Moments
from mixtura.model.observation import Observation
from mixtura.model.protocols import Family
from mixtura.search.budget import Plan
from mixtura.search.search import search
from mixtura.search.starts import draw_starts, usual_starts
from mixtura.sources import ArraySource

SPLIT_DISTANCE = 0.7
"""Standard deviations along the longest axis between the mean of a component and the means of its
two halves, in the starts of K + 1 components.
"""

USUAL_REPLICATES = 199
"""Simulated data sets by default; the smallest p-value is then 0.005."""

USUAL_STARTS = 4
"""Starts of each fit by default, beside the warm ones."""


# ---- results -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LikelihoodRatioTest:
    """The test of K against K + 1 components.

    Attributes
    ----------
    family : str
    n_components : int
        K, the hypothesis.
    statistic : float
        ``2 (log L_{K+1} - log L_K)``, at least 0; NaN where K components cannot be fitted soundly.
    replicates : (B,)
        The statistic of each simulated data set, in the order of their seeds.
    n_failed : int
        Simulated data sets on which no sound fit with K components was found; they do not count.
    interrupted : bool
        Whether Ctrl-C ended it before all replicates were done.
    reason : str
        Why there is no statistic; else empty.
    """

    family: str
    n_components: int
    statistic: float
    replicates: Array
    n_failed: int = 0
    interrupted: bool = False
    reason: str = ""

    @property
    def p_value(self) -> float:
        """``(1 + #{T_b >= T}) / (1 + B)``: never 0; NaN without a statistic or replicates."""
        if not isfinite(self.statistic) or not len(self.replicates):
            return nan
        return float(
            (1 + np.count_nonzero(self.replicates >= self.statistic)) / (1 + len(self.replicates))
        )

    @property
    def standard_error(self) -> float:
        """The Monte Carlo standard error of the p-value."""
        p = self.p_value
        return float(np.sqrt(p * (1 - p) / len(self.replicates))) if isfinite(p) else nan

    @property
    def caveat(self) -> str:
        """The meaning of a statistic of 0; empty for any other."""
        K = self.n_components
        if self.statistic != 0.0:
            return ""
        return (
            f"The ratio of 0 means that from the starts of this test no sound fit with {K + 1} "
            f"components was found that is likelier than {K}; more starts may find one."
        )

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        K = self.n_components
        name = f"{self.family}, {K} against {K + 1} components"
        if not isfinite(self.p_value):
            return (
                f"{name}: no test, because "
                f"{self.reason or 'it was interrupted before the first replicate'}."
            )
        cut = " (interrupted)" if self.interrupted else ""
        lost = f", {self.n_failed} without a sound fit left out" if self.n_failed else ""
        drawn = f"{len(self.replicates)} replicates{cut}{lost}"
        return (
            f"{name}: 2 log likelihood ratio {self.statistic:.2f}, p = {self.p_value:.3g} from "
            f"{drawn}."
        )


@dataclass(frozen=True, eq=False)
class SequentialTest:
    """Tests for K = 1, 2, ... until one does not reject.

    Attributes
    ----------
    tests : tuple of LikelihoodRatioTest
    level : float
    """

    tests: tuple[LikelihoodRatioTest, ...]
    level: float

    @property
    def n_components(self) -> int:
        """The first K that is not rejected; one more than the last one tested where all are."""
        last = self.tests[-1]
        return last.n_components + bool(last.p_value <= self.level)

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        last = self.tests[-1]
        if last.interrupted or not isfinite(last.p_value):
            return (
                f"The tests stop at {last.n_components} components without an answer: "
                f"{last.sentence}"
            )
        found = f"{self.n_components} component{'s' * (self.n_components > 1)}"
        if last.p_value <= self.level:
            return (
                f"At least {found}: each smaller number tested is rejected at level "
                f"{self.level:g}. Test more of them."
            )
        why = f" {last.caveat}" if last.caveat else ""
        return (
            f"{found}: not rejected at level {self.level:g} (p = {last.p_value:.3g}), each "
            f"smaller number tested is.{why}"
        )

    def rows(self) -> list[dict[str, object]]:
        """The table: one row per test."""
        return [
            {
                "family": test.family,
                "n_components": test.n_components,
                "against": test.n_components + 1,
                "statistic": test.statistic,
                "p_value": test.p_value,
                "replicates": len(test.replicates),
                "failed": test.n_failed,
                "reason": test.reason,
            }
            for test in self.tests
        ]


OnReplicate = Callable[[int, int], None]
"""Called with K and the number of replicates that are done."""


# ---- the test ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Protocol:
    """How a data set is fitted: the data and every replicate alike."""

    family: Family
    initialisers: Sequence[Initialiser]
    plan: Plan
    constraints: Constraints


@ignore_underflow
def likelihood_ratio_test(
    X: Any,
    n_components: int,
    covariance_type: str = "full",
    *,
    sample_weight: Any = None,
    n_replicates: int = USUAL_REPLICATES,
    n_starts: int = USUAL_STARTS,
    reg_covar: float | None = None,
    prior: Any = None,
    eigenvalue_ratio: float | None = None,
    equal_weights: bool = False,
    random_state: Any = None,
    n_threads: int | None = None,
    backend: str = "auto",
    on_replicate: OnReplicate | None = None,
) -> LikelihoodRatioTest:
    """Test K components against K + 1 by the parametric bootstrap (McLachlan 1987).

    Parameters
    ----------
    X : (n, d)
    n_components : int
        K.
    covariance_type : str
        A family, as in :class:`mixtura.GaussianMixture`.
    sample_weight : (n,), optional
        Frequencies: whole numbers.
    n_replicates : int, default=199
        B. The smallest p-value is ``1 / (1 + B)``.
    n_starts : int, default=4
        Starts of each fit beside the warm ones: K is started at the true parameters of a replicate,
        K + 1 where each component of the K fitted is split in two.
    reg_covar, prior, eigenvalue_ratio, equal_weights, random_state, n_threads, backend
        As in :class:`mixtura.GaussianMixture`. Neither workers nor threads change the result. The
        statistic is of log-likelihoods, without the penalty of a prior.
    on_replicate : callable, optional
        Called with K and the number of replicates done, for a progress bar.

    Returns
    -------
    LikelihoodRatioTest
        Ctrl-C keeps the replicates that are done, and the test says so.

    Raises
    ------
    ValueError, DataError
        For parameters or data that cannot be used, and weights that are not whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.concatenate([np.random.default_rng(0).normal(m, 1, (60, 1)) for m in (0, 8)])
    >>> test = likelihood_ratio_test(X, 1, n_replicates=19, n_starts=1, random_state=0)
    >>> test.p_value
    0.05
    """
    tests = sequential_likelihood_ratio_test(
        X,
        n_components,
        covariance_type,
        first=n_components,
        sample_weight=sample_weight,
        n_replicates=n_replicates,
        n_starts=n_starts,
        reg_covar=reg_covar,
        prior=prior,
        eigenvalue_ratio=eigenvalue_ratio,
        equal_weights=equal_weights,
        random_state=random_state,
        n_threads=n_threads,
        backend=backend,
        on_replicate=on_replicate,
    )
    return tests.tests[0]


@ignore_underflow
def sequential_likelihood_ratio_test(
    X: Any,
    most: int = 9,
    covariance_type: str = "full",
    *,
    first: int = 1,
    level: float = 0.05,
    sample_weight: Any = None,
    n_replicates: int = USUAL_REPLICATES,
    n_starts: int = USUAL_STARTS,
    reg_covar: float | None = None,
    prior: Any = None,
    eigenvalue_ratio: float | None = None,
    equal_weights: bool = False,
    random_state: Any = None,
    n_threads: int | None = None,
    backend: str = "auto",
    on_replicate: OnReplicate | None = None,
    on_test: Callable[[LikelihoodRatioTest], None] | None = None,
) -> SequentialTest:
    """Test 1 against 2 components, 2 against 3, and so on, until a test does not reject.

    The tests are at ``level``, and for K up to ``most``. Other parameters are those of
    :func:`likelihood_ratio_test`; ``on_test`` is called with each test when it is done.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.concatenate([np.random.default_rng(0).normal(m, 1, (60, 1)) for m in (0, 8)])
    >>> settings = {"n_replicates": 19, "n_starts": 1, "random_state": 0}
    >>> sequential_likelihood_ratio_test(X, 3, "EII", **settings).n_components
    2
    """
    check_count("n_components", first, 1)
    check_count("most", most, first)
    check_count("n_replicates", n_replicates, 1)
    check_count("n_starts", n_starts, 1)
    check_count("n_threads", n_threads, 1, optional=True)
    check_size("reg_covar", reg_covar)
    family = family_named(covariance_type)
    dataset = _counted_rows(X, sample_weight, backend, n_threads)
    constraints = constraints_of(
        SimpleNamespace(
            reg_covar=reg_covar,
            prior=prior,
            eigenvalue_ratio=eigenvalue_ratio,
            equal_weights=equal_weights,
        )
    )
    remark = check_data(dataset, family, first, constraints)
    if remark:
        warnings.warn(remark, DataWarning, stacklevel=3)
    plan = Plan(RemainingGain(REMAINING), 2000, screened=True)
    protocol = Protocol(family, usual_starts(n_starts), plan, constraints)
    return run_tests(
        dataset,
        protocol,
        range(first, most + 1),
        n_replicates,
        seed_of(random_state),
        level,
        n_threads,
        on_replicate,
        on_test,
    )


def _counted_rows(X: Any, sample_weight: Any, backend: str, n_threads: int | None) -> Dataset:
    """The data, with counts as weights."""
    rows = rows_of(BaseEstimator(), X, fitting=True)
    dataset = dataset_of(rows, checked_weights(sample_weight, len(rows)), backend, n_threads)
    if are_counts(weights_of(dataset)):
        return dataset
    raise ValueError(
        "sample_weight must be whole numbers here (copies of rows), but fractions came: "
        "simulated data sets say nothing about a survey's design. Leave the weights out, or choose "
        "K with a criterion and sample_size='effective'."
    )


def run_tests(
    dataset: Dataset,
    protocol: Protocol,
    ks: Sequence[int],
    n_replicates: int,
    seed: np.random.SeedSequence,
    level: float = 0.05,
    n_threads: int | None = None,
    on_replicate: OnReplicate | None = None,
    on_test: Callable[[LikelihoodRatioTest], None] | None = None,
) -> SequentialTest:
    """The tests for consecutive K; the larger fit of one is a start of the smaller of the next."""
    tests: list[LikelihoodRatioTest] = []
    previous: FitResult | None = None
    for K, (own, *seeds) in zip(
        ks, (child.spawn(1 + n_replicates) for child in seed.spawn(len(ks))), strict=True
    ):
        pair = _fit_pair(dataset, protocol, K, None, own, threading.Event(), previous)
        report = None if on_replicate is None else partial(on_replicate, K)
        tests.append(_test(dataset, protocol, K, pair, seeds, n_threads, report))
        previous = pair.larger
        if on_test is not None:
            on_test(tests[-1])
        if tests[-1].interrupted or not tests[-1].p_value <= level:
            break
    return SequentialTest(tuple(tests), level)


def _test(
    dataset: Dataset,
    protocol: Protocol,
    K: int,
    pair: _Pair,
    seeds: Sequence[np.random.SeedSequence],
    n_threads: int | None,
    report: Callable[[int], None] | None,
) -> LikelihoodRatioTest:
    """One test, given the fits to the data."""
    name = protocol.family.name
    if pair.smaller is None:
        return LikelihoodRatioTest(name, K, nan, np.empty(0), reason=pair.reason)
    done: list[float] = []

    def count(statistic: float) -> None:
        done.append(statistic)
        if report is not None:
            report(len(done))

    work = partial(
        _replicate, pair.smaller.mixture, _Recording.of(dataset), dataset.backend, protocol
    )
    found, cut = replicates(work, seeds, dataset, n_threads, count)
    statistics = np.array(found, dtype=np.float64)
    sound = np.isfinite(statistics)
    return LikelihoodRatioTest(name, K, pair.statistic, statistics[sound], int((~sound).sum()), cut)


@dataclass(frozen=True, eq=False)
class _Recording:
    """The number of rows of the data, their recorded steps, their precision, missing entries."""

    n_rows: int
    steps: Array
    dtype: Any
    observation: Observation | None

    @classmethod
    def of(cls, dataset: Dataset) -> _Recording:
        n, seen, weights = round(dataset.total), observation_of(dataset), weights_of(dataset)
        if seen is not None and weights is not None:
            seen = seen.take(np.repeat(np.arange(len(weights)), weights.astype(np.intp)))
        return cls(n, dataset.steps, next(dataset.source.blocks()).rows.dtype, seen)

    def draw(self, mixture: Mixture, rng: np.random.Generator) -> ArraySource:
        """Rows from a mixture, rounded like the data and with the same entries missing."""
        seen = self.observation
        rows = (
            mixture.sample(self.n_rows, rng)[0] if seen is None else rows_seen(mixture, seen, rng)
        )
        grid = np.where(self.steps > 0, self.steps, 1.0)
        rounded = np.where(self.steps > 0, np.round(rows / grid) * grid, rows)
        return ArraySource(np.ascontiguousarray(rounded.astype(self.dtype)), None, seen)


def _replicate(
    truth: Mixture,
    recording: _Recording,
    backend: Any,
    protocol: Protocol,
    seed: np.random.SeedSequence,
    stopped: threading.Event,
) -> float:
    """The statistic of one simulated data set; NaN without a sound fit with K components."""
    drawing, fitting = seed.spawn(2)
    drawn = Dataset(recording.draw(truth, np.random.default_rng(drawing)), backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _fit_pair(drawn, protocol, truth.n_components, truth, fitting, stopped).statistic


# ---- the two fits --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Pair:
    """The sound fits with K and K + 1 components of one data set; None where there is none."""

    smaller: FitResult | None
    larger: FitResult | None
    reason: str = ""

    @property
    def statistic(self) -> float:
        """``2 (log L_{K+1} - log L_K)``; 0 where no sound fit with K + 1 is likelier."""
        if self.smaller is None:
            return nan
        return (
            2.0 * max(0.0, self.larger.log_likelihood - self.smaller.log_likelihood)
            if self.larger
            else 0.0
        )


def _fit_pair(
    dataset: Dataset,
    protocol: Protocol,
    K: int,
    truth: Mixture | None,
    seed: np.random.SeedSequence,
    stopped: threading.Event,
    previous: FitResult | None = None,
) -> _Pair:
    """K and K + 1 components fitted to one data set; ``truth`` and ``previous`` are starts of K."""
    for_smaller, for_larger = seed.spawn(2)
    warm = [start for start in (truth, previous) if start is not None]
    smaller, reason = _sound_fit(dataset, protocol, K, warm, for_smaller, stopped)
    if smaller is None:
        return _Pair(None, None, reason)
    splits = [split(smaller.mixture, k, dataset.total) for k in range(K)]
    return _Pair(smaller, _sound_fit(dataset, protocol, K + 1, splits, for_larger, stopped)[0])


def _sound_fit(
    dataset: Dataset,
    protocol: Protocol,
    K: int,
    warm: Sequence[Start],
    seed: np.random.SeedSequence,
    stopped: threading.Event,
) -> tuple[FitResult | None, str]:
    """The best sound fit, or None and the reason."""
    try:
        starts = [*warm, *draw_starts(protocol.initialisers, dataset, K, seed)]
        problem = problem_of(dataset, protocol.family, K, protocol.constraints)
        fit = search(problem, starts, protocol.plan, stopped).best
    except (CollapseError, DataError, ValueError) as refusal:
        return None, str(refusal).rstrip(".")
    if fit.stop is StopReason.INTERRUPTED:
        raise KeyboardInterrupt
    if not fit.is_sound:
        return None, f"{K} component{'s' * (K > 1)} give no sound fit"
    return fit, ""


def split(mixture: Mixture, k: int, total: float) -> Moments:
    """A start with one component more: component k split in two along its longest axis.

    Both halves together have the mean and the covariance of component k. The start is moments, so
    EM begins with an M-step of any family.

    Parameters
    ----------
    mixture : Mixture
        With K components.
    k : int
    total : float
        Sum of the weights of the data.

    Returns
    -------
    Moments
        Of kind DENSE, with K + 1 components, the halves in places k and K.
    """
    dense = mixture.covariance.dense()
    values, vectors = np.linalg.eigh(dense[k])
    step = SPLIT_DISTANCE * np.sqrt(values[-1]) * vectors[:, -1]
    means = np.concatenate([mixture.means, mixture.means[k][None] + step])
    means[k] = means[k] - step
    half = dense[k] - np.outer(step, step)
    covariances = np.concatenate([dense, half[None]])
    covariances[k] = half
    weights = np.concatenate([mixture.weights, mixture.weights[k][None] / 2])
    weights[k] /= 2
    counts = total * weights
    return replace(
        Moments.zeros(means, Scatter.DENSE),
        counts=counts,
        second=counts[:, None, None] * covariances,
        log_likelihood=nan,
    )
