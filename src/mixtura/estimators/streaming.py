"""``partial_fit``: a mixture fitted to a stream of rows, one batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Self

import numpy as np

from mixtura.base.errors import DataError
from mixtura.base.underflow import ignore_underflow
from mixtura.em.online import POWER, Stream
from mixtura.estimators.inference import MixtureInference
from mixtura.families import family_named
from mixtura.inputs.constraints import constraints_of, problem_of
from mixtura.inputs.parameters import is_bool
from mixtura.inputs.rows import dataset_for

OF_A_FIT = (
    "result_",
    "certificate_",
    "start_report_",
    "converged_",
    "stop_reason_",
    "n_iter_",
    "lower_bound_",
    "lower_bounds_",
)
"""Attributes that describe a fit to rows that are there; a stream has none of them."""


class StreamedMixture(MixtureInference):
    """A mixture that can be fitted to a stream."""

    _stream: Stream | None = None
    n_rows_seen_: float
    fit: Callable[..., Any]

    @ignore_underflow
    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        forgetting: float | None = None,
        step_power: float = POWER,
    ) -> Self:
        """Go on with one batch of a stream, by online EM (Cappe & Moulines 2009).

        The first call fits the batch by :meth:`fit`, so it should have enough rows for that; an
        estimator that was fitted or loaded goes on from its parameters, as if it had seen as many
        rows before as the batch has. Each further batch is read once. The result depends on the
        order of the rows and is not that of :meth:`fit` on all rows, to which it converges on a
        long stream.

        Parameters
        ----------
        X : (m, d)
            A batch of any size, with missing entries where there are some.
        y : ignored
        sample_weight : (m,), optional
            Frequencies.
        forgetting : float or None, default=None
            For groups that move: the weight of a row relative to the next one, at most. The memory
            is ``1 / (1 - forgetting)`` rows: 0.999 remembers about 1,000.
        step_power : float, default=0.7
            Above 0.5 and at most 1: how slowly old rows are forgotten without ``forgetting``. After
            t batches of the same size a batch has the step ``t ** -step_power``.

        Returns
        -------
        self
            With ``weights_``, ``means_``, ``covariances_`` and ``n_rows_seen_``, the weight of all
            rows so far. There is no ``result_``, no certificate and no ``converged_``.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> model = GaussianMixture(2, covariance_type="tied", random_state=0)
        >>> for _ in range(50):
        ...     batch = rng.normal(rng.choice([-4.0, 4.0], 200), 1.0)[:, None]
        ...     model = model.partial_fit(batch)
        >>> sorted(model.means_.ravel().round(1).tolist()), model.n_rows_seen_
        ([-4.0, 4.0], 10000.0)
        """
        _check(forgetting, step_power)
        if self._stream is None and not hasattr(self, "means_"):
            self.fit(X, sample_weight=sample_weight)
            dataset = dataset_for(self, X, sample_weight)
            self._follow(Stream.begun(self._problem_of(dataset), self.mixture_))
            return self
        if len(self.means_) != self.n_components:
            raise ValueError(
                f"n_components is {self.n_components}, but the stream has {len(self.means_)} "
                "components. Call fit for another number, or begin with a clone of the estimator."
            )
        dataset = dataset_for(self, X, sample_weight)
        if dataset.source.n_rows == 0:
            raise DataError("a batch needs at least one row of positive weight, but has none.")
        begun = self._stream
        if begun is None or not self._is_that_of(begun):
            begun = Stream.begun(self._problem_of(dataset), self.mixture_)
        self._follow(begun.after(dataset, step_power, forgetting))
        return self

    def _problem_of(self, dataset: Any) -> Any:
        """The problem of a first batch."""
        family, K = family_named(self.covariance_type), len(self.means_)
        return problem_of(dataset, family, K, constraints_of(self))

    def _is_that_of(self, stream: Stream) -> bool:
        """Whether the attributes are still those of the last batch."""
        return np.array_equal(stream.mixture.means.astype(self.means_.dtype), self.means_)

    def _follow(self, stream: Stream) -> None:
        """Keep a stream and set the attributes of its mixture."""
        dtype = self.means_.dtype
        for name in OF_A_FIT:
            self.__dict__.pop(name, None)
        self._stream = stream
        self._set_parameters(stream.mixture, stream.family.name, dtype)
        self.n_rows_seen_ = stream.total


def _check(forgetting: Any, power: Any) -> None:
    """Refuse a factor or a power that makes no stream."""
    if forgetting is not None and (
        is_bool(forgetting) or not isinstance(forgetting, Real) or not 0.0 < float(forgetting) < 1.0
    ):
        raise ValueError(
            f"forgetting must be a number between 0 and 1 or None, but {forgetting!r} came. It is "
            "the weight of a row relative to the next one: 0.999 remembers about 1,000 rows."
        )
    if is_bool(power) or not isinstance(power, Real) or not 0.5 < float(power) <= 1.0:
        raise ValueError(
            f"step_power must be above 0.5 and at most 1, but {power!r} came. 1 weighs all rows "
            "the same; smaller powers forget those that were read under an early mixture."
        )
