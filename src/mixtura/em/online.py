"""EM on a stream: each batch of rows is read once and then forgotten.

Online EM (Cappe & Moulines 2009, J. R. Stat. Soc. B 71, 593-613) keeps the average s of the
sufficient statistics of a row. A batch of weight w moves it towards the batch's own average, under
the mixture so far, and an M-step follows:

    s <- (1 - g) s + g s_batch        g = 1 - exp(-integral of t^-power over the batch)

The time t is the weight of all rows so far in units of the first batch, so a batch of two units
weighs as much as two batches of one. With ``power = 1`` all rows weigh the same; below it, those
that were read under an old mixture are forgotten, and the estimates still converge for powers above
1/2. With a factor f of forgetting, a row weighs at most f times the one after it.

For priors and floors, and for whoever looks at counts, the statistics stand for ``w / g`` rows, the
weight that the stream remembers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, expm1, log

from mixtura.data.dataset import Dataset
from mixtura.data.problem import Problem
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.model.fixed import Fixed
from mixtura.model.moments import Moments
from mixtura.model.protocols import Family
from mixtura.model.regularisation import Regularisation
from mixtura.model.tails import TailRule

POWER = 0.7
"""Of the step; between 1/2, which follows changes, and 1, which has the smallest variance."""


@dataclass(frozen=True, eq=False)
class Stream:
    """What is kept between two batches.

    Attributes
    ----------
    mixture : Mixture
    moments : Moments
        Of the rows that are remembered, about the means of the mixture before.
    unit : float
        Weight of the first batch.
    total : float
        Weight of all rows so far.
    family, regularisation, noise, fixed, tails
        Of the first batch's problem (:class:`mixtura.data.problem.Problem`).
    """

    mixture: Mixture
    moments: Moments
    unit: float
    total: float
    family: Family
    regularisation: Regularisation
    noise: Noise | None
    fixed: Fixed | None
    tails: TailRule | None

    @classmethod
    def begun(cls, problem: Problem, mixture: Mixture) -> Stream:
        """The stream after a first batch, to which the mixture was fitted."""
        moments, total = problem.e_step(mixture), problem.dataset.total
        return cls(
            mixture,
            moments,
            total,
            total,
            problem.family,
            problem.regularisation,
            problem.noise,
            problem.fixed,
            problem.tails,
        )

    def after(self, dataset: Dataset, power: float, forgetting: float | None) -> Stream:
        """The stream after one more batch.

        Raises
        ------
        CollapseError
            When a covariance is singular and nothing keeps it from zero.
        """
        problem = Problem(
            dataset, self.family, self.regularisation, self.noise, self.fixed, self.tails
        )
        batch, weight = problem.e_step(self.mixture), dataset.total
        step = step_of(self.total / self.unit, weight / self.unit, power)
        if forgetting is not None:
            step = max(step, -expm1(weight * log(forgetting)))
        kept = self.moments.taken_about(self.mixture.means)
        remembered = weight / step
        moments = kept * ((1.0 - step) * remembered / kept.total) + batch
        mixture = problem.m_step(moments, self.mixture)
        return replace(self, mixture=mixture, moments=moments, total=self.total + weight)


def step_of(before: float, weight: float, power: float) -> float:
    """``1 - exp(-integral of t^-power)`` from ``before`` to ``before + weight``."""
    if power == 1.0:
        return weight / (before + weight)
    rest = 1.0 - power
    return 1.0 - exp(-((before + weight) ** rest - before**rest) / rest)
