"""GaussianMixture: the estimator; parameters are checked, and results become attributes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from mixtura.base.arrays import Array, Flags, Labels, Rows
from mixtura.base.choices import (
    Acceleration,
    BackendName,
    ComponentOrder,
    CovarianceType,
    InitParams,
)
from mixtura.base.errors import DataWarning, DegenerateWarning
from mixtura.base.family_names import family_letters
from mixtura.base.numbering import component_name
from mixtura.base.underflow import ignore_underflow
from mixtura.data.dataset import Dataset
from mixtura.data.incomplete import unseen_columns
from mixtura.data.noise_box import NoiseVolume
from mixtura.data.problem import Problem
from mixtura.distribution.given_parameters import check_matrices, check_means, check_weights
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of
from mixtura.distribution.parametrisation import (
    public_shape,
    stored_precisions,
)
from mixtura.em.certification import certified
from mixtura.em.em import Callback, Start
from mixtura.em.stopping import REMAINING, RemainingGain, SmallChange, StoppingRule
from mixtura.estimators.exports import MixtureExports, MixtureImports
from mixtura.estimators.fitted import ROWS_OF_DENSITIES
from mixtura.estimators.html import ResultHtmlMixin, fit_html
from mixtura.estimators.streaming import StreamedMixture
from mixtura.families import family_named
from mixtura.initialise.initialisers import (
    FromLabels,
    FromMeans,
    FromResponsibilities,
    Hierarchical,
    Initialiser,
    KMeansPlusPlus,
    KMeansStart,
    RandomRows,
)
from mixtura.initialise.noise_rows import NoiseStart
from mixtura.inputs.constraints import constraints_of, problem_of
from mixtura.inputs.data_checks import check_data, column_name
from mixtura.inputs.parameters import (
    accelerated,
    check_count,
    check_settings,
    component_sort_of,
    seed_of,
)
from mixtura.inputs.row_knowledge import known_classes
from mixtura.inputs.rows import checked_weights, read_data
from mixtura.inputs.starts import initialiser_of, noise_start
from mixtura.model.fit_result import FitResult, Iteration
from mixtura.model.matching import match
from mixtura.model.priors import ConjugatePrior
from mixtura.model.protocols import Family
from mixtura.model.soundness import Finding
from mixtura.search.budget import Budget, Plan
from mixtura.search.initialisation import Initialisation, initialised
from mixtura.search.starts import DEFAULT_STARTS, usual_starts
from mixtura.search.subsampling import search_from
from mixtura.search.threads import limited_threads, workers_for
from mixtura.selection.merging import MergedMixture, merge_tree

InitCallable: TypeAlias = Callable[[Any, int, np.random.Generator], ArrayLike]
"""``f(X, n_components, rng)``: labels (n,) or responsibilities (n, K)."""

_Given = tuple[Array | None, Array | None, Array | None]
"""Weights, means and precisions that the user gave."""


class GaussianMixture(ResultHtmlMixin, MixtureImports, MixtureExports, StreamedMixture):
    """Gaussian mixture fitted by EM, with scikit-learn's interface and mclust's families.

    Parameters
    ----------
    n_components : int, default=1
        K, the number of components.
    covariance_type : str, default="full"
        A family by mclust's letters (volume, shape, orientation; Equal, Varying, Identity): EII VII
        EEI VEI EVI VVI EEE VEE EVE VVE EEV VEV EVV VVV; or scikit-learn's name: full (VVV), tied
        (EEE), diag (VVI), spherical (VII); tied_diag (EEI), tied_spherical (EII).
    tol : float or None, default=None
        None: stop when the total log-likelihood that is left to gain is estimated to be below 0.01,
        with a safety factor. A number has scikit-learn's meaning: stop when the log-likelihood per
        row changes by less in one iteration.
    reg_covar : float or None, default=None
        None: no variance falls below that of rounding, h^2 / 12 of the step h in which a column was
        recorded (nor 1e-12 of the column's robust variance), and full covariances are shrunk, with
        a warning, where rows are fewer than 2.5 (d + 1) for each. A number, in squared units of the
        data, is added to the diagonal, as in scikit-learn: every row is a Gaussian of that
        variance. The E-step of the fit takes that into account, so the objective never falls; where
        the number is not small against the variances, results differ from scikit-learn's.
    prior : None, "conjugate" or ConjugatePrior, default=None
        Maximum a posteriori instead of maximum likelihood: :class:`mixtura.ConjugatePrior` (Fraley
        & Raftery 2007).
    eigenvalue_ratio : float or None, default=None
        The largest eigenvalue of all covariances is at most this many times the smallest, in the
        units of the data. The M-step is exact for families whose covariances are free or all equal;
        for others it is exact along the axes of the unbounded estimate, and accepted only if the
        likelihood does not fall.
    equal_weights : bool, default=False
        Whether all mixing proportions are ``1 / n_components``.
    noise : None, "box", "principal", "auto" or float, default=None
        A uniform density beside the components, for rows that belong to none of them (Banfield &
        Raftery 1993): over the box along the columns that holds all rows, over the box along their
        principal axes, over the smaller of the two ("auto", as in mclust), or over a volume that is
        given in the product of the columns' units. It counts at every row, also outside of the box.
        ``predict`` gives -1 for rows of the noise, and ``predict_proba`` has one more column, the
        last. It is one parameter more, its weight (mclust counts two).
    noise_init : (n,) array of bool or None, default=None
        Rows that the starts leave to the noise, all others to the components. None finds them by
        the distances to their neighbours (Byers & Raftery 1998). Rows with the label -1 in
        ``init_params`` are left to it, too.
    fixed_weights : (K,) array or None, default=None
        Mixing proportions that are held at these values; NaN is free. The free ones share the rest.
        Components with a fixed parameter keep their numbers. Here and below, an array with fewer
        rows than components leaves the others free.
    fixed_means : (K, d) array or None, default=None
        Entries of the means that are held; NaN is free.
    fixed_covariances : array or None, default=None
        Covariances that are held, in the shape of ``covariances_`` or as (K, d, d); NaN is free, of
        a component all entries or none. What a family shares, the free ones share among themselves.
    fixed_mixture : Mixture or None, default=None
        A mixture that is held as the first components, such as the ``mixture_`` of a background:
        only its weight as a whole is estimated.
    acceleration : {"auto", "squarem", None}, default="auto"
        "squarem": every third iteration extrapolates the last two, and is accepted only if the
        likelihood does not fall. None: plain EM. "auto": squarem, and None where ``tol`` is a
        number.
    max_iter : int, default=2000
        Iterations of EM at most; 0 returns the start.
    n_init : int or None, default=None
        None: up to twelve starts of several kinds run for a few iterations, and those that may
        reach the best score run on. Then a local search within a budget tries to improve the best
        optimum: one component is removed and another split; of ten or more components, many are
        swapped at once. Many rows are searched on a sample first. A number: that many full runs
        from starts of these kinds, and no local search.
    time_limit : float or None, default=None
        Seconds by the clock after which the local search tries nothing more. With a limit, the same
        seed need not give the same bits.
    init_params : str, array or callable, default="auto"
        "auto", "hierarchical", "kmeans", "k-means++", "random", "random_from_data"; labels (n,);
        responsibilities (n, K) for the first M-step; or ``f(X, n_components, rng)`` returning
        either. Distances do not depend on the units of the columns.
    weights_init : (K,) array or None, default=None
        Mixing proportions to start from, as in scikit-learn.
    means_init : (K, d) array or None, default=None
        Means to start from. Alone, rows go to the nearest mean first.
    precisions_init : array or None, default=None
        Inverse covariances to start from, in the shape of ``precisions_``.
    random_state : int, RandomState or None, default=None
        The seed of all starts and proposals.
    warm_start : bool, default=False
        Continue the last fit if it has the same shape and family. If not, new starts are drawn, and
        components have the order of those of the last fit that they match (:func:`mixtura.match`),
        new ones last.
    component_order : "weight", int, str or None, default=None
        "weight": components by falling weight, equal weights by means, so that labels do not depend
        on the start. A column, by its number or its name in a data frame: components by their
        rising means there. None: the order of the start. Components with an identity (known
        classes, fixed parameters) keep their numbers.
    verbose : int, default=0
        1 prints the log-likelihood every ``verbose_interval`` iterations, 2 also its gain.
    verbose_interval : int, default=10
        Iterations between two printed lines.
    n_threads : int or None, default=None
        None uses every processor. It never changes a result.
    backend : {"auto", "native", "reference"}, default="auto"
        The E-step in C++ ("native") or in NumPy; "auto" is C++ where it was compiled.
    callback : callable or None, default=None
        Called with a :class:`mixtura.Iteration` after each iteration of each start. Starts of large
        data run in parallel, so calls may come from several threads at once. On a sample,
        likelihoods are scaled to all rows.

    Attributes
    ----------
    weights_ : (K,) array
        Mixing proportions; with noise they sum to ``1 - noise_weight_``.
    noise_weight_ : float
        Mixing proportion of the noise, 0 without.
    noise_volume_ : float
        Volume of its box, in the product of the columns' units; infinite without noise.
    means_ : (K, d) array
        In the units of the data.
    covariances_ : array
        (K, d, d) full and all ellipsoids, (d, d) tied, (K, d) diag, VEI and EVI, (K,) spherical,
        (d,) tied_diag, () tied_spherical.
    precisions_ : array
        Their inverses, in the same shape.
    precisions_cholesky_ : array
        Factors of the precisions, as in scikit-learn.
    converged_ : bool
        Whether the fit is at an optimum, by its certificate. With a number for ``tol``, whether the
        change fell below it: that is scikit-learn's meaning, and no evidence of an optimum.
    certificate_ : Certificate
        Gradient, remaining gain and convergence rate of the fit, the condition of each component,
        and a verdict.
    classes_ : (C,) array
        The names of the first C components, where the fit had labels.
    start_report_ : StartReport
        The distinct optima that the search found, and how many starts and proposals led to each.
    n_iter_ : int
        Iterations of the best run.
    lower_bound_ : float
        Objective per row at the end: the log-likelihood with the penalty of ``reg_covar``, a prior
        or shrinkage.
    lower_bounds_ : list of float
        The same after each iteration; it never falls.
    stop_reason_ : str
        The reason why EM ended.
    result_ : FitResult
        The fit as one immutable value.
    n_features_in_ : int
        d, the number of columns.
    feature_names_in_ : (d,) array of str
        Only where the data were a data frame.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture
    >>> X = np.array([[1.0], [2.0], [4.0], [11.0], [12.0], [14.0]])
    >>> fit = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    >>> fit.predict([[3.0], [13.0]]).tolist(), fit.predict_proba([[3.0]]).round(2).tolist()
    ([0, 1], [[1.0, 0.0]])

    References
    ----------
    Dempster, Laird & Rubin 1977; Celeux & Govaert 1995.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float | None = None,
        reg_covar: float | None = None,
        prior: Literal["conjugate"] | ConjugatePrior | None = None,
        eigenvalue_ratio: float | None = None,
        equal_weights: bool = False,
        noise: NoiseVolume | None = None,
        noise_init: ArrayLike | None = None,
        fixed_weights: ArrayLike | None = None,
        fixed_means: ArrayLike | None = None,
        fixed_covariances: ArrayLike | None = None,
        fixed_mixture: Mixture | None = None,
        acceleration: Acceleration | None = "auto",
        max_iter: int = 2000,
        n_init: int | None = None,
        time_limit: float | None = None,
        init_params: InitParams | ArrayLike | InitCallable = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        component_order: ComponentOrder | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        backend: BackendName = "auto",
        callback: Callback | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.prior = prior
        self.eigenvalue_ratio = eigenvalue_ratio
        self.equal_weights = equal_weights
        self.noise = noise
        self.noise_init = noise_init
        self.fixed_weights = fixed_weights
        self.fixed_means = fixed_means
        self.fixed_covariances = fixed_covariances
        self.fixed_mixture = fixed_mixture
        self.acceleration = acceleration
        self.max_iter = max_iter
        self.n_init = n_init
        self.time_limit = time_limit
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.component_order = component_order
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.backend = backend
        self.callback = callback

    def _result_html(self) -> str:
        """The fit, below the diagram of scikit-learn."""
        return (
            fit_html(self.result_, getattr(self, "feature_names_in_", None))
            if hasattr(self, "result_")
            else ""
        )

    # ---- fitting ---------------------------------------------------------------------------------

    @ignore_underflow
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        measurement_covariance: Any = None,
    ) -> Self:
        """Fit by EM.

        Parameters
        ----------
        X : (n, d)
            Array, data frame or memory map; float32 and float64 are not copied. Missing entries are
            NaN, NA, null or masked: they are taken as missing at random, and their expected values
            enter the fit (Ghahramani & Jordan 1994).
        y : ignored
        sample_weight : (n,), optional
            Frequencies: a weight of 2 is a repeated row, 0 an absent one.
        labels : (n,) or (n, C), optional
            Known classes; -1, NaN or None where unknown. Each class is one component, in the order
            of ``classes_``, and its rows belong to no other. Or probabilities of C classes, which
            are the first C components; a row of NaN is unknown. A row with any probabilities but
            equal ones is in none of further components, nor in the noise.
        measurement_covariance : (n,), (n, d) or (n, d, d), optional
            Variances or covariances of the errors of the rows. The mixture is that of the values
            without errors (extreme deconvolution; Bovy, Hogg & Roweis 2011).

        Raises
        ------
        ValueError, TypeError
            For parameters or data that cannot be used.

        Warns
        -----
        ConvergenceWarning, DegenerateWarning, DataWarning
        """
        family = self._check_parameters()
        data = read_data(self, X, sample_weight, labels, measurement_covariance)
        rows, dataset, present = data.rows, data.dataset, data.present
        d, K = dataset.source.n_features, self.n_components
        component_sort_of(self, d)  # refuses an unknown column before the fit
        given = self._given_parameters(K, d, family)
        in_noise = self._noise_of_start(present, len(rows))
        constraints = constraints_of(self)
        remark = check_data(
            dataset, family, K, constraints, getattr(self, "feature_names_in_", None)
        )
        if remark:
            warnings.warn(remark, DataWarning, stacklevel=3)
        problem = problem_of(dataset, family, K, constraints)
        with limited_threads(len(rows)):
            drawn = self._initialisation(rows, problem, present, given, in_noise)
            if any(value is not None for value in given) or self._names_components():
                drawn = drawn.with_starts(
                    [(name, _with_given(start, problem, given)) for name, start in drawn.starts]
                )
            named = problem.tails is not None and problem.tails.names_components
            continued = named or self._continues(problem)
            local_search = self._has_default_starts(given) and not continued
            plan = self._plan(dataset, len(drawn.starts), local_search)
            found = search_from(drawn, problem, plan)
            best = self._ordered(certified(found.best, problem, plan.stopping), problem)
        self._stream = None
        self.start_report_ = found.report
        self._set_fit(best, problem, rows.dtype)
        self._set_classes(data.classes)
        self._warn(best, dataset, present)
        return self

    def _ordered(self, fit: FitResult, problem: Problem) -> FitResult:
        """Components by ``component_order``; after a warm start in the order of the last fit.

        Components with an identity keep their places.
        """
        sort = component_sort_of(self, fit.mixture.n_features)
        if sort is not None:
            return fit.in_order(problem.in_place(sort.of(fit.mixture)))
        if (
            self.warm_start
            and hasattr(self, "result_")
            and self.result_.mixture.n_features == fit.mixture.n_features
        ):
            order = match(self.result_.mixture, fit.mixture).order
            return fit.in_order(problem.in_place(order))
        return fit

    def fit_predict(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        measurement_covariance: Any = None,
    ) -> Labels:
        """Fit, then the most probable component of each row (n,), of labelled ones by the label."""
        self.fit(X, y, sample_weight, labels, measurement_covariance)
        if labels is None:
            return self.predict(X, measurement_covariance)
        shares = np.asarray(self.predict_proba(X, measurement_covariance), dtype=np.float64)
        known = known_classes(labels, len(shares), getattr(self, "classes_", None))
        return labels_of(shares if known is None else known.imposed_on(shares), self.mixture_)

    def _check_parameters(self) -> Family:
        """Refuse invalid parameters before the data are read."""
        check_count("n_components", self.n_components, 1)
        check_count("verbose_interval", self.verbose_interval, 1)
        check_settings(self)
        return family_named(self.covariance_type)

    def _given_parameters(self, K: int, d: int, family: Family) -> _Given:
        """Checked ``weights_init``, ``means_init`` and ``precisions_init``, or None for each."""
        weights = None if self.weights_init is None else check_weights(self.weights_init, K)
        means = None if self.means_init is None else check_means(self.means_init, K, d)
        precisions = None
        if self.precisions_init is not None:
            shape = public_shape(family.name, K, d)
            precisions = check_matrices(
                f"{self.covariance_type} precision", family.name, self.precisions_init, shape
            )
        return weights, means, precisions

    def _noise_of_start(self, present: Flags | None, n: int) -> NoiseStart | None:
        """Which of the n rows of the fit the starts leave to the noise; None without noise."""
        if self.noise_init is not None and self.noise is None:
            raise ValueError(
                "noise_init marks rows of the noise, but noise=None fits none. Pass for example "
                "noise='auto'."
            )
        return None if self.noise is None else noise_start(self, present, n)

    def _initialisation(
        self,
        rows: Rows,
        problem: Problem,
        present: Flags | None,
        given: _Given,
        in_noise: NoiseStart | None,
    ) -> Initialisation:
        """The starts; the default ones may be drawn from a sample of the rows."""
        K, dataset = self.n_components, problem.dataset
        if self._continues(problem):
            return Initialisation(dataset, [("last fit", problem.continued(self.result_))])
        kinds = self._initialisers(rows, K, present, given, in_noise)
        sampled = self._has_default_starts(given) and (in_noise is None or in_noise.given is None)
        seed = seed_of(self.random_state)
        swaps = not problem.regularisation.averages  # which leaves components without rows
        return initialised(kinds, dataset, K, seed, sampled, noise=in_noise, swaps=swaps)

    def _names_components(self) -> bool:
        """Whether the start is an array or a function, whose components have numbers."""
        return not isinstance(self.init_params, str)

    def _has_default_starts(self, given: _Given) -> bool:
        """Whether the user set neither starts nor their number."""
        is_auto = isinstance(self.init_params, str) and self.init_params == "auto"
        return is_auto and self.n_init is None and all(value is None for value in given)

    def _continues(self, problem: Problem) -> bool:
        """Whether a warm start continues the last fit, which has the same shape and family."""
        if not self.warm_start or not hasattr(self, "result_"):
            return False
        last, shape = self.result_, (self.n_components, problem.dataset.source.n_features)
        same_terms = (last.mixture.noise is None) == (problem.noise is None)
        return (
            last.mixture.means.shape == shape and last.family == problem.family.name and same_terms
        )

    def _initialisers(
        self,
        rows: Rows,
        K: int,
        present: Flags | None,
        given: _Given,
        in_noise: NoiseStart | None,
    ) -> Sequence[Initialiser]:
        """One initialiser per start."""
        chosen = initialiser_of(
            self.init_params, rows, K, present, None if in_noise is None else in_noise.given
        )
        if given[1] is not None and isinstance(self.init_params, str):
            return [FromMeans(given[1])]
        if chosen is None:
            return usual_starts(self.n_init)
        kinds = _also_whitened(chosen)
        fixed = isinstance(chosen, Hierarchical | FromLabels | FromResponsibilities)
        n = 1 if fixed else self.n_init or len(DEFAULT_STARTS)
        return [kinds[i % len(kinds)] for i in range(n)]

    def _plan(self, dataset: Dataset, n_starts: int, local_search: bool) -> Plan:
        stopping: StoppingRule = (
            RemainingGain(REMAINING * dataset.row_weight)
            if self.tol is None
            else SmallChange(float(self.tol))
        )
        seconds = inf if self.time_limit is None else self.time_limit
        return Plan(
            stopping=stopping,
            max_iter=self.max_iter,
            screened=self.n_init is None,
            workers=workers_for(dataset, n_starts, self.n_threads),
            callback=self._report if self.verbose or self.callback else None,
            accelerated=accelerated(self),
            budget=Budget(seconds=seconds) if local_search else None,
        )

    def _report(self, iteration: Iteration) -> None:
        """Print if verbose, and call the user's callback."""
        if self.verbose and iteration.number % self.verbose_interval == 0:
            change = f"  gain {iteration.gain:.3g}" if self.verbose > 1 else ""
            print(
                f"start {iteration.start}  iteration {iteration.number}  log-likelihood "
                f"{iteration.log_likelihood:.6f}{change}"
            )
        if self.callback is not None:
            self.callback(iteration)

    def _set_fit(self, result: FitResult, problem: Problem, dtype: np.dtype[Any]) -> None:
        """Set the attributes of a fit of a problem."""
        self._set_result(result, dtype)

    def _set_result(self, result: FitResult, dtype: np.dtype[Any]) -> None:
        """Set the attributes of a fit, in the precision of the data."""
        self.result_ = result
        self._set_parameters(result.mixture, result.family, dtype)
        self.converged_ = result.converged
        self.certificate_ = result.certificate
        self.stop_reason_ = result.stop.value
        self.n_iter_ = result.n_iter
        self.lower_bounds_ = [
            value / result.total for value in result.trace[len(result.trace) - result.n_iter :]
        ]
        self.lower_bound_ = result.trace[-1] / result.total

    def _set_classes(self, classes: Labels | None) -> None:
        """The names of known classes; none where the fit had no labels."""
        if classes is not None:
            self.classes_ = classes
        elif hasattr(self, "classes_"):
            del self.classes_

    def _warn_of_unseen_columns(self, mixture: Mixture, dataset: Dataset) -> None:
        """Warn where the rows of a component have no value in a column."""
        seen_by_none = unseen_columns(dataset.source, dataset.backend, mixture)
        unseen = np.argwhere(seen_by_none & self._have_rows[:, None]).tolist()
        if not unseen:
            return
        names = getattr(self, "feature_names_in_", None)
        listed = "; ".join(f"{component_name(k)}: {column_name(j, names)}" for k, j in unseen[:5])
        warnings.warn(
            f"The rows of some components have no value in some columns ({listed}): the mean and "
            "the spread reported there follow from the start and from what components share. Leave "
            "these columns out, or fit these groups apart.",
            DataWarning,
            stacklevel=5,
        )

    @property
    def _have_rows(self) -> Flags:
        """Components (K,) that are expected to have rows."""
        return np.ones(len(self.weights_), dtype=bool)

    def _warn(self, result: FitResult, dataset: Dataset, present: Flags | None) -> None:
        """Warn of spurious components and of a fit that did not converge.

        ``present`` is a mask of the user's rows that are in the dataset; None for all.
        """
        if not dataset.source.is_complete:
            self._warn_of_unseen_columns(result.mixture, dataset)
        spurious = [item for item in result.findings if item.kind == "spurious"]
        if spurious:
            listed = _listed(spurious[:5], result.mixture, dataset, present)
            warnings.warn(
                f"The best of all fits has {len(spurious)} spurious component(s): {listed}. Its "
                "likelihood says little. Reduce n_components, choose a stricter covariance_type, "
                "or pass more rows.",
                DegenerateWarning,
                stacklevel=4,
            )
        if not result.converged and self.max_iter > 0:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, "
                "or increase max_iter, tol, or check for degenerate data. In detail: "
                f"{result.stop.value}.",
                ConvergenceWarning,
                stacklevel=4,
            )

    # ---- from parameters -------------------------------------------------------------------------

    @classmethod
    @ignore_underflow
    def from_parameters(
        cls,
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        covariance_type: CovarianceType = "full",
        random_state: int | np.random.RandomState | None = None,
    ) -> GaussianMixture:
        """A mixture with given parameters, ready to score, predict and sample.

        Parameters
        ----------
        weights : (K,)
        means : (K, d)
        covariances : shape by ``covariance_type``, as in ``covariances_``

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], covariance_type="spherical"
        ... )
        >>> known.predict_proba([[2.0]]).tolist()
        [[0.5, 0.5]]
        """
        mixture = Mixture.from_parameters(
            weights, means, covariances, covariance_type=covariance_type
        )
        K, d = mixture.means.shape
        check_weights(mixture.weights, K)
        self = cls(K, covariance_type=covariance_type, random_state=random_state)
        self._set_parameters(mixture, family_letters(covariance_type), np.float64)
        self.n_features_in_ = d
        return self

    # ---- merged components -----------------------------------------------------------------------

    @ignore_underflow
    def merged(
        self,
        X: Any,
        n_clusters: int | None = None,
        *,
        sample_weight: Any = None,
        normalised: bool = False,
    ) -> MergedMixture:
        """Merge components into clusters of any shape (:mod:`mixtura.selection.merging`).

        Noise stays noise.

        Parameters
        ----------
        X : (n, d)
            Rows, usually those of the fit: components that overlap there are merged.
        n_clusters : int, optional
            By default the elbow of the entropy of the memberships.
        sample_weight : (n,), optional
            Frequencies.
        normalised : bool
            Whether the elbow is over merged rows in place of numbers of clusters.

        Returns
        -------
        mixtura.selection.merging.MergedMixture
            With ``predict`` and ``predict_proba`` for new rows, the tree of all merges, and the
            outcome as a sentence.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters(
        ...     [0.3, 0.3, 0.4], [[0.0], [1.0], [9.0]], [1.0, 1.0, 1.0], covariance_type="spherical"
        ... )
        >>> known.merged(np.array([[0.0], [0.5], [1.0], [9.0]]), 2).groups
        ((0, 1), (2,))
        """
        posteriors = np.asarray(self.predict_proba(X), dtype=np.float64)
        of_components = posteriors[:, : len(self.weights_)]
        tree = merge_tree(of_components, checked_weights(sample_weight, len(posteriors)))
        merged = MergedMixture(self, tree, tree.elbow(normalised=normalised))
        return merged if n_clusters is None else merged.with_clusters(n_clusters)


# ---- helpers -------------------------------------------------------------------------------------


def _listed(
    spurious: Sequence[Finding], mixture: Mixture, dataset: Dataset, present: Flags | None
) -> str:
    """The spurious components with their reasons and rows."""
    own = _rows_of_components(mixture, dataset, [item.component for item in spurious])
    if present is not None:
        own = [np.flatnonzero(present)[numbers] for numbers in own]
    return "; ".join(
        f"{component_name(item.component)}: {item.reason} ({_row_numbers(numbers)})"
        for item, numbers in zip(spurious, own, strict=True)
    )


def _rows_of_components(mixture: Mixture, dataset: Dataset, components: list[int]) -> list[Labels]:
    """The numbers of the rows (m,) whose most probable component is each of some components."""
    found: list[list[Labels]] = [[] for _ in components]
    for block in dataset.source.blocks():
        for part in block.cut(ROWS_OF_DENSITIES):
            labels = labels_of(dataset.backend.log_joint(part, mixture), mixture)
            for numbers, k in zip(found, components, strict=True):
                numbers.append(part.offset + np.flatnonzero(labels == k))
    return [np.concatenate(numbers) for numbers in found]


def _row_numbers(numbers: Labels) -> str:
    """``row 7``, ``rows 3, 4, 5 and 9 more`` or ``no rows``; counted from 0."""
    if not len(numbers):
        return "no rows"
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"row{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:5]))}{more}"


def _also_whitened(kind: Initialiser) -> list[Initialiser]:
    """A random start of standardised and of whitened rows; any other kind alone."""
    if isinstance(kind, KMeansStart | KMeansPlusPlus | RandomRows):
        return [kind, type(kind)("whitened")]
    return [kind]


def _with_given(start: Start, problem: Problem, given: _Given) -> Start:
    """The start's mixture with the given parameters, and fixed ones, in place of its own."""
    weights, means, precisions = given
    if isinstance(start, FitResult):
        return start.mixture
    if problem.fixed is None and all(value is None for value in given):
        return start
    mixture = (
        start
        if isinstance(start, Mixture)
        else problem.m_step(start.summarised(problem.family.needs), None)
    )
    K, d = mixture.n_components, mixture.n_features
    covariance = (
        mixture.covariance
        if precisions is None
        else stored_precisions(problem.family.name, precisions, K, d)
    )
    begun = replace(
        mixture,
        weights=mixture.weights if weights is None else weights * mixture.weight_of_components,
        means=mixture.means if means is None else means,
        covariance=covariance,
    )
    return problem.with_fixed_values(begun)
