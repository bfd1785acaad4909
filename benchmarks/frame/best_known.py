"""The best known optimum for each data set, family and number of components, and the test whether a
fit has reached it.

An entry of the table is the mixture with the highest *score* (:mod:`mixtura.model.soundness`) found
by any method, with its log-likelihood and how it was found. It holds the parameters, so that the
log-likelihood can be recomputed from the rows. Entries are only replaced by higher ones:
:meth:`BestKnown.offer`.

All fits are evaluated alike: they are polished, that is continued by EM under the same variance
floor to the same tight tolerance (:data:`POLISHED`), and then scored. A fit has reached the best
known optimum when it is valid (no copies, no component without rows) and its score is at most
:data:`~mixtura.search.runs.SAME_OPTIMUM` below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from frame.sets import DataSet, data_set
from mixtura.backends import backend_named
from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.parametrisation import public_covariances, stored_covariances
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import family_named
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.model.fit_result import FitResult
from mixtura.search.runs import SAME_OPTIMUM
from mixtura.sources import ArraySource

TABLE = Path(__file__).parents[1] / "optima_best.json"

POLISHED = 1e-6
"""Estimated gain of the objective that a polished fit may leave."""

ROUGH = 0.01
"""The same for a first, rough polish."""

FAR = 0.5
"""A roughly polished fit this far below the best known score is at another optimum: the difference
is 50 times the gain it may have left.
"""

POLISH_ITERATIONS = 50_000
HIGHER = 10 * POLISHED
"""A score must be higher by more than this to replace an entry; smaller differences are
rounding.
"""

DIGITS = 15
"""Significant digits of the stored parameters: with ten digits the log-likelihood of a very narrow
component changes by 0.02.
"""

BIC_FAMILY = {
    "acidity": "EII",
    "banknote": "VVE",
    "chevron": "EEV",
    "cross": "EVI",
    "diabetes": "VVV",
    "diabetes455": "VVV",
    "eurounemp": "VEE",
    "ex4.1": "EEV",
    "ex4.4.1": "VVI",
    "faithful": "EEE",
    "faithful_noise": "VVI",
    "precip": "VII",
    "S1": "EII",
    "S2": "EII",
    "S3": "EII",
    "S4": "EII",
    "A1": "EII",
    "A2": "EII",
    "A3": "EII",
    "Birch1": "EII",
    "Birch2": "EII",
    "Birch3": "VII",
    "Unbalance": "VII",
    "G2-2-30": "EII",
    "G2-2-50": "EII",
    "G2-8-70": "EII",
    "G2-16-90": "EII",
    "stretched": "EEI",
    "tilted": "EEE",
    "rare-component": "VII",
    "local-optimum": "EII",
    "slow-overlap": "EII",
}
"""The family with the lowest BIC when the table was started: for the published data sets over all
families and 1 .. 9 components, for the simulated ones over all families at their K, from the
default search and from the true groups."""


def families_of(name: str) -> tuple[str, ...]:
    """VVV, and the family with the lowest BIC."""
    return tuple(dict.fromkeys(["VVV", BIC_FAMILY[name]]))


# ---- evaluation ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """Polishes and scores fits of one data set."""

    data: DataSet

    @cached_property
    def dataset(self) -> Dataset:
        """The rows, read by one thread."""
        return Dataset(ArraySource(self.data.rows), backend_named("native", 1))

    def polished(
        self, start: Mixture | FitResult, family: str, left: float = POLISHED
    ) -> FitResult:
        """EM from this start until the estimated gain is below ``left``; CollapseError where the
        start is singular.
        """
        return em(
            self.problem(family, start.n_components),
            start,
            stopping=RemainingGain(left),
            max_iter=POLISH_ITERATIONS,
            accelerated=True,
        )

    def problem(self, family: str, K: int) -> Problem:
        """The problem that a default fit of ours solves."""
        return problem_of(self.dataset, family_named(family), K, Constraints())

    def polished_if_near(self, mixture: Mixture, family: str, best: float | None) -> FitResult:
        """Polished to the full if it may be at the best known optimum, otherwise only roughly."""
        fit = self.polished(mixture, family, ROUGH)
        return self.polished(fit, family) if best is None or fit.score > best - FAR else fit

    def labels(self, mixture: Mixture) -> np.ndarray:
        """The most probable component of each row."""
        return mixture.log_joint(self.data.rows).argmax(axis=1)

    def agreement(self, mixture: Mixture, other: np.ndarray) -> float:
        """Adjusted Rand index of the mixture's partition and another one."""
        return float(adjusted_rand_score(other, self.labels(mixture)))


@cache
def evaluator(name: str) -> Evaluator:
    """The evaluator of a data set, by name."""
    return Evaluator(data_set(name))


# ---- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class BestFit:
    """One entry.

    Attributes
    ----------
    name, family, n_components
        The data set and the model.
    score, log_likelihood : float
        Of the polished fit.
    found_by : str
        The method, as a phrase.
    weights, means, covariances : lists
        In scikit-learn's shapes.
    """

    name: str
    family: str
    n_components: int
    score: float
    log_likelihood: float
    found_by: str
    weights: list[float]
    means: list[Any]
    covariances: Any

    @classmethod
    def of(cls, name: str, fit: FitResult, found_by: str) -> BestFit:
        """The entry of a polished fit."""
        covariances = public_covariances(fit.family, fit.mixture.covariance)
        parts = (_short(part) for part in (fit.mixture.weights, fit.mixture.means, covariances))
        return cls(
            name,
            fit.family,
            fit.n_components,
            round(fit.score, 7),
            round(fit.log_likelihood, 7),
            found_by,
            *parts,
        )

    @property
    def key(self) -> tuple[str, str, int]:
        """Data set, family and number of components."""
        return self.name, self.family, self.n_components

    @property
    def mixture(self) -> Mixture:
        """The stored parameters as a mixture, with weights rescaled to sum to one."""
        weights, means = np.array(self.weights), np.array(self.means)
        K, d = means.shape
        return Mixture(
            weights / weights.sum(),
            means,
            stored_covariances(self.family, np.array(self.covariances), K, d),
        )

    def missing(self, fit: FitResult) -> float:
        """Score that a polished fit falls short; NaN where it is no answer."""
        return self.score - fit.score if fit.is_valid else float("nan")

    def reached(self, fit: FitResult) -> bool:
        """Whether the fit is at this optimum, or above it."""
        return self.missing(fit) < SAME_OPTIMUM


@dataclass
class BestKnown:
    """All entries."""

    entries: dict[tuple[str, str, int], BestFit] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path = TABLE) -> BestKnown:
        """The table in the file."""
        lines = json.loads(file.read_text()) if file.exists() else []
        return cls({best.key: best for best in (BestFit(**line) for line in lines)})

    def write(self, file: Path = TABLE) -> None:
        """Write one entry a line, sorted, so that a diff shows each change."""
        lines = ",\n".join(json.dumps(asdict(self.entries[key])) for key in sorted(self.entries))
        file.write_text(f"[\n{lines}\n]\n")

    def offer(self, name: str, fit: FitResult, found_by: str) -> float | None:
        """Store a polished fit if it is valid and higher than the entry. Returns the increase of
        the score (infinite for a new entry), or None if it was not stored.
        """
        found = BestFit.of(name, fit, found_by)
        old = self.entries.get(found.key)
        risen = np.inf if old is None else -old.missing(fit)
        if not fit.is_valid or not risen > HIGHER:
            return None
        self.entries[found.key] = found
        return float(risen)

    def of(self, name: str) -> Mapping[tuple[str, int], BestFit]:
        """The entries of one data set by family and K."""
        return {(family, K): best for (own, family, K), best in self.entries.items() if own == name}


def _short(values: np.ndarray) -> Any:
    """Nested lists of the values, rounded to DIGITS significant digits."""
    if values.ndim == 0:
        return float(f"{values:.{DIGITS}g}")
    return (
        [_short(value) for value in values]
        if values.ndim > 1
        else [float(f"{value:.{DIGITS}g}") for value in values]
    )
