"""The best optimum that is known of each data set, family and number of components, and what it
means to reach it.

An entry of the table is the mixture with the highest *score* (:mod:`mixtura.model.soundness`) that
any method has found, with its log-likelihood and with how it was found. It holds the parameters, so
that anybody can hold the rows against them. The table only ever rises: :meth:`BestKnown.offer`
takes what is higher and leaves the rest alone.

Everybody's fits are judged alike: EM under the same floor with the same tight tolerance
(:data:`POLISHED`) from where they ended, then the score. A fit has reached the best known optimum
when it is an answer (no copies, no component without rows) and no more than
:data:`~mixtura.search.runs.SAME_OPTIMUM` of the score is missing.
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
from mixtura.em.em import em
from mixtura.em.stopping import RemainingGain
from mixtura.families import family_named
from mixtura.inference.parametrisation import public_covariances, stored_covariances
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.model.fit_result import FitResult
from mixtura.model.mixture import Mixture
from mixtura.search.runs import SAME_OPTIMUM
from mixtura.sources import ArraySource

TABLE = Path(__file__).parents[1] / "optima_best.json"

POLISHED = 1e-6
"""Objective that a polished fit may leave to gain."""

ROUGH = 0.01
FAR = 0.5
"""A fit that is rough and so far below the best known optimum is at another one: 50 times what it
has left to gain.
"""

LONGEST_POLISH = 50_000
HIGHER = 10 * POLISHED
"""A score that is not higher by this is the same one, polished from another side."""

DIGITS = 15
"""Significant digits of the stored parameters: with ten the likelihood of a component as thin as a
needle moves by 0.02.
"""

WINS_BY_BIC = {
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
"""The family of lowest BIC on the day the table was begun: of the open sets over all families and 1
.. 9 components, of the drawn ones over all families at their K, from the default search and from
the true groups."""


def families_of(name: str) -> tuple[str, ...]:
    """VVV, and the family that wins by BIC."""
    return tuple(dict.fromkeys(["VVV", WINS_BY_BIC[name]]))


# ---- judging -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """One data set with what is needed to polish and judge fits of it."""

    data: DataSet

    @cached_property
    def dataset(self) -> Dataset:
        """Of the rows, read by one thread."""
        return Dataset(ArraySource(self.data.rows), backend_named("native", 1))

    def polished(
        self, start: Mixture | FitResult, family: str, left: float = POLISHED
    ) -> FitResult:
        """EM from there until so much is left to gain; CollapseError where the start is
        singular.
        """
        return em(
            self.problem(family, start.n_components),
            start,
            stopping=RemainingGain(left),
            max_iter=LONGEST_POLISH,
            accelerated=True,
        )

    def problem(self, family: str, K: int) -> Problem:
        """What a default fit of ours is of."""
        return problem_of(self.dataset, family_named(family), K, Constraints())

    def settled(self, mixture: Mixture, family: str, best: float | None) -> FitResult:
        """Polished as long as it can still be at the best known optimum: nobody waits for the last
        digits of another one.
        """
        fit = self.polished(mixture, family, ROUGH)
        return self.polished(fit, family) if best is None or fit.score > best - FAR else fit

    def labels(self, mixture: Mixture) -> np.ndarray:
        """The most probable component of each row."""
        return mixture.log_joint(self.data.rows).argmax(axis=1)

    def agreement(self, mixture: Mixture, other: np.ndarray) -> float:
        """Adjusted Rand index between its partition and another."""
        return float(adjusted_rand_score(other, self.labels(mixture)))


@cache
def bench(name: str) -> Bench:
    """Of a data set by name."""
    return Bench(data_set(name))


# ---- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Best:
    """One entry.

    Attributes
    ----------
    name, family, n_components
        What was fitted.
    score, log_likelihood : float
        Polished.
    found_by : str
        The method in words.
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
    def of(cls, name: str, fit: FitResult, found_by: str) -> Best:
        """From a polished fit."""
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
        """What it is the best of."""
        return self.name, self.family, self.n_components

    @property
    def mixture(self) -> Mixture:
        """The stored parameters as a mixture; weights sum to one again."""
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
        """Whether it is at this optimum, or above."""
        return self.missing(fit) < SAME_OPTIMUM


@dataclass
class BestKnown:
    """All entries."""

    entries: dict[tuple[str, str, int], Best] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path = TABLE) -> BestKnown:
        """As committed."""
        lines = json.loads(file.read_text()) if file.exists() else []
        return cls({best.key: best for best in (Best(**line) for line in lines)})

    def write(self, file: Path = TABLE) -> None:
        """One entry a line, in order, so that a change is seen."""
        lines = ",\n".join(json.dumps(asdict(self.entries[key])) for key in sorted(self.entries))
        file.write_text(f"[\n{lines}\n]\n")

    def offer(self, name: str, fit: FitResult, found_by: str) -> float | None:
        """Take a polished fit if it is an answer and higher: by how much it is (infinitely where
        there was none); else None.
        """
        found = Best.of(name, fit, found_by)
        old = self.entries.get(found.key)
        risen = np.inf if old is None else -old.missing(fit)
        if not fit.is_valid or not risen > HIGHER:
            return None
        self.entries[found.key] = found
        return float(risen)

    def of(self, name: str) -> Mapping[tuple[str, int], Best]:
        """Family and K -> entry, of one data set."""
        return {(family, K): best for (own, family, K), best in self.entries.items() if own == name}


def _short(values: np.ndarray) -> Any:
    """Nested lists of the significant digits."""
    if values.ndim == 0:
        return float(f"{values:.{DIGITS}g}")
    return (
        [_short(value) for value in values]
        if values.ndim > 1
        else [float(f"{value:.{DIGITS}g}") for value in values]
    )
