"""Inference for a fitted mixture: certificate, standard errors, intervals of memberships."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.mixture import Mixture
from mixtura.em.certification import certify
from mixtura.estimators.fitted import FittedMixture
from mixtura.families import family_named
from mixtura.inference.information import InformationMethod, errors_from_information
from mixtura.inference.resampling import OnReplicate, ResamplingMethod, errors_from_replicates
from mixtura.inference.uncertainty import MembershipIntervals, Uncertainty
from mixtura.inputs.constraints import constraints_of, problem_of
from mixtura.inputs.parameters import check_count, seed_of
from mixtura.inputs.rows import dataset_for, rows_of
from mixtura.model.certificate import Certificate


class MixtureInference(FittedMixture):
    """Methods of a fitted mixture that need the rows of its fit again."""

    n_components: int
    max_iter: int

    @ignore_underflow
    def certify(
        self,
        X: Any,
        sample_weight: Any = None,
        labels: Any = None,
        measurement_covariance: Any = None,
    ) -> Certificate:
        """Certify whether these parameters are an optimum of the likelihood on X.

        Unlike ``certificate_`` it always measures the convergence rate of EM's slowest direction,
        which takes up to 26 passes over the rows: for a fit with a number for ``tol``, for given
        parameters, or for other rows.

        Parameters
        ----------
        X : (n, d)
        sample_weight : (n,), optional
            Frequencies.
        labels, measurement_covariance : optional
            What the fit knew of the rows.

        Returns
        -------
        mixtura.model.certificate.Certificate
            ``holds``, ``verdict``, ``gradient``, ``remaining_gain``, ``rate``, and a report for
            each component.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import GaussianMixture
        >>> X = np.array([[1.0], [2.0], [4.0], [11.0], [12.0], [14.0]])
        >>> model = GaussianMixture(2, covariance_type="tied", tol=1e-12, random_state=0)
        >>> model.fit(X).certify(X).holds
        True
        """
        check_is_fitted(self)
        family = family_named(self.covariance_type)
        dataset = dataset_for(self, X, sample_weight, labels, measurement_covariance)
        mixture = self._optimised
        problem = problem_of(dataset, family, mixture.n_components, constraints_of(self))
        return certify(problem, mixture)

    @property
    def _optimised(self) -> Mixture:
        """The mixture at which the objective of EM is evaluated."""
        return self.mixture_

    @ignore_underflow
    def standard_errors(
        self,
        X: Any,
        sample_weight: Any = None,
        *,
        method: InformationMethod | ResamplingMethod = "information",
        n_replicates: int | None = None,
        random_state: Any = None,
        on_replicate: OnReplicate | None = None,
        labels: Any = None,
        measurement_covariance: Any = None,
    ) -> Uncertainty:
        """Standard errors and intervals of weights, means and covariances.

        Parameters
        ----------
        X, sample_weight, labels, measurement_covariance
            The rows of the fit, and what was known of them: an estimator does not keep them.
        method : str
            "information": inverse of the observed information
            (:mod:`mixtura.inference.information`), one pass over the rows. "scores": outer product
            of the scores. "sandwich": both, for misspecified families. "bootstrap" (of rows),
            "weighted" (likelihood), "parametric": refits of resamples
            (:mod:`mixtura.inference.resampling`). "jackknife": refits without each row.
        n_replicates : int, optional
            Refits; None is 999, and every row for the jackknife.
        random_state : int, RandomState or None
            Of the resamples; None takes the estimator's own.
        on_replicate : callable, optional
            Called after each refit (for a progress bar), possibly from several threads.

        Returns
        -------
        mixtura.inference.uncertainty.Uncertainty
            ``weights``, ``means``, ``covariances`` (standard errors), ``interval(level)``,
            ``rows(level)`` (a table), ``memberships(X, level)``, and ``notes`` on parameters left
            out and failed refits.

        Raises
        ------
        mixtura.base.errors.InferenceError
            Where there are no standard errors, with the reason: a spurious component, copies, a
            saddle, a flat direction, no maximum.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import GaussianMixture
        >>> X = np.random.default_rng(0).standard_normal((400, 1))
        >>> errors = GaussianMixture().fit(X).standard_errors(X)

        For one Gaussian the mean has the error sigma / sqrt(n) = 0.05.

        >>> errors.means.round(2).tolist(), errors.covariances.round(2).ravel().tolist()
        ([[0.05]], [0.07])
        """
        check_is_fitted(self)
        check_count("n_replicates", n_replicates, 2, optional=True)
        family = family_named(self.covariance_type)
        dataset = dataset_for(self, X, sample_weight, labels, measurement_covariance)
        problem = problem_of(dataset, family, self.n_components, constraints_of(self))
        if method == "information" or method == "scores" or method == "sandwich":
            return errors_from_information(problem, self.mixture_, method)
        if (
            method == "bootstrap"
            or method == "weighted"
            or method == "parametric"
            or method == "jackknife"
        ):
            return errors_from_replicates(
                problem,
                self.mixture_,
                method,
                seed_of(self.random_state if random_state is None else random_state),
                n_replicates=n_replicates,
                max_iter=max(self.max_iter, 1),
                n_threads=self.n_threads,
                on_replicate=on_replicate,
            )
        raise ValueError(
            f"method={method!r} is not known. Use 'information', 'scores', 'sandwich', "
            "'bootstrap', 'weighted', 'parametric' or 'jackknife'."
        )

    @ignore_underflow
    def membership_intervals(
        self, X: Any, errors: Uncertainty, level: float = 0.95
    ) -> MembershipIntervals:
        """Intervals for ``predict_proba(X)`` from the standard errors of the fit.

        Parameters
        ----------
        X : (n, d)
            Any rows, also new ones.
        errors : Uncertainty
            From :meth:`standard_errors`. With derivatives: delta method on the logit scale. With
            replicates: quantiles.
        level : float

        Returns
        -------
        mixtura.inference.uncertainty.MembershipIntervals
            ``probability``, ``low`` and ``high``, (n, K) each.
        """
        check_is_fitted(self)
        return errors.memberships(rows_of(self, X, fitting=False), level)
