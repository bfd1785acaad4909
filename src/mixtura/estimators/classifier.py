"""MixtureClassifier: discriminant analysis with Gaussian mixtures, as an estimator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from mixtura.base.arrays import Array, Labels, Rows
from mixtura.base.choices import BackendName, CovarianceType
from mixtura.base.underflow import ignore_underflow
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import log_density, posterior
from mixtura.estimators.fitted import values_by_block
from mixtura.families import FAMILIES, family_named
from mixtura.inputs.classes import class_priors, classes_of
from mixtura.inputs.constraints import constraints_of
from mixtura.inputs.parameters import check_count, check_size
from mixtura.inputs.rows import dataset_of, read_data
from mixtura.model.priors import ConjugatePrior
from mixtura.model.protocols import Block, Family
from mixtura.model.selection import Selection
from mixtura.search.threads import limited_threads
from mixtura.selection.class_models import ClassModels, gaussian_classes, mixture_classes
from mixtura.selection.settings import SelectionSettings, warn_of, warn_of_stop

ClassModel = Literal["EDDA", "MclustDA"]


class MixtureClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classification by Gaussian mixtures: a density for each class, and Bayes' rule.

    ``P(class c | x)`` is in proportion to ``prior_c f_c(x)``. The density of a class is one
    Gaussian, of a family that holds for all classes (EDDA), or a mixture with a family and a number
    of components of its own (MclustDA). Families EEE and VVV with "EDDA" are linear and quadratic
    discriminant analysis.

    Parameters
    ----------
    model : {"EDDA", "MclustDA"}, default="EDDA"
        One Gaussian a class, or a mixture a class.
    families : "all", str or list of str, default="all"
        The covariance types to choose from by BIC, by any name of :class:`GaussianMixture`; one
        name is taken as it is.
    n_components : int or iterable of int, default=1 to 5
        With "MclustDA" the numbers of components of a class to choose from.
    priors : None, "equal" or (C,) array, default=None
        Prior probabilities of the classes, in the order of ``classes_``, for predictions. None: the
        shares of the classes.
    unlabeled : object, default=None
        A value of y that means unknown, beside NaN, None and NA. By default -1 is a class like any
        other.
    reg_covar : float or None, default=None
        As in :class:`GaussianMixture`, like all parameters that follow.
    prior : None, "conjugate" or ConjugatePrior, default=None
        A prior of the parameters; not of the classes.
    max_iter : int, default=2000
        Iterations of EM at most.
    random_state : int, RandomState or None, default=None
        The seed of the starts of "MclustDA".
    n_threads : int or None, default=None
        None uses every processor. It never changes a result.
    backend : {"auto", "native", "reference"}, default="auto"
        The E-step in C++ or in NumPy.

    Attributes
    ----------
    classes_ : (C,) array
        The classes, sorted.
    class_prior_ : (C,) array
        Prior probabilities of predictions.
    families_ : (C,) array of str
        The family of each class, three letters.
    n_components_ : (C,) array of int
        The number of components of each class.
    mixtures_ : tuple of C Mixture
        The density of each class.
    selections_ : tuple of C mixtura.model.selection.Selection
        The candidates for each class with their BIC; with "EDDA" the same for all.
    log_likelihood_ : float
        Of rows and classes together: the sum of ``log(share_c f_c(x_i))`` for rows of class c, and
        of ``log sum_c share_c f_c(x_i)`` where it is unknown.
    n_parameters_ : int
        C - 1 shares, and the parameters of the densities.
    bic_ : float
        ``-2 log_likelihood_ + n_parameters_ log n``, lower is better.
    n_iter_ : int
        Iterations of EM; 1 where one M-step is the answer.
    n_features_in_ : int
        d.
    feature_names_in_ : (d,) array of str
        Only where the data were a data frame.

    References
    ----------
    Bensmail & Celeux 1996; Hastie & Tibshirani 1996; Fraley & Raftery 2002; O'Neill 1978 for rows
    of unknown class.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import MixtureClassifier
    >>> X = np.array([[0.0], [1.0], [2.0], [7.0], [8.0], [9.0]])
    >>> y = np.array(["low", "low", "low", "high", "high", None], dtype=object)
    >>> classifier = MixtureClassifier(families="EII").fit(X, y)
    >>> classifier.predict([[1.5], [9.5]]).tolist()
    ['low', 'high']
    """

    def __init__(
        self,
        *,
        model: ClassModel = "EDDA",
        families: Literal["all"] | CovarianceType | Sequence[CovarianceType] = "all",
        n_components: int | Iterable[int] = (1, 2, 3, 4, 5),
        priors: Literal["equal"] | ArrayLike | None = None,
        unlabeled: Any = None,
        reg_covar: float | None = None,
        prior: Literal["conjugate"] | ConjugatePrior | None = None,
        max_iter: int = 2000,
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        backend: BackendName = "auto",
    ) -> None:
        self.model = model
        self.families = families
        self.n_components = n_components
        self.priors = priors
        self.unlabeled = unlabeled
        self.reg_covar = reg_covar
        self.prior = prior
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_threads = n_threads
        self.backend = backend

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # ---- fitting ---------------------------------------------------------------------------------

    @ignore_underflow
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the density of each class.

        Parameters
        ----------
        X : (n, d)
            As in :meth:`GaussianMixture.fit`; missing entries are NaN.
        y : (n,)
            The class of each row; NaN, None, NA or ``unlabeled`` where it is unknown. Rows of
            unknown class take part in the fit by EM.
        sample_weight : (n,), optional
            Frequencies: a weight of 2 is a repeated row, 0 an absent one.

        Raises
        ------
        ValueError

        Warns
        -----
        ConvergenceWarning, DegenerateWarning, DataWarning
        """
        self._check_parameters()
        data = read_data(self, X, sample_weight)
        n = len(data.rows) if data.present is None else len(data.present)
        classes = classes_of(y, n, data.present, self.unlabeled)
        rows: Any = np.ascontiguousarray(data.rows)
        given = data.dataset.source.blocks()
        weights = [block.weights for block in given if block.weights is not None]
        joined = np.concatenate(weights) if weights else None
        dataset = dataset_of(rows, joined, self.backend, self.n_threads)
        with limited_threads(len(rows)):
            if self.model == "EDDA":
                models = gaussian_classes(
                    dataset,
                    classes,
                    self._families(),
                    constraints_of(self._settings()),
                    self.max_iter,
                )
            else:
                models = mixture_classes(dataset, classes, self._settings(), self.max_iter)
        self.classes_ = classes.names
        self._set_models(models)
        for selection in {id(one): one for one in models.selections}.values():
            warn_of(selection, stacklevel=3)
        warn_of_stop(models.stop, stacklevel=3)
        return self

    def _check_parameters(self) -> None:
        """Refuse invalid parameters before the data are read."""
        if self.model not in ("EDDA", "MclustDA"):
            raise ValueError(
                f"model must be 'EDDA' or 'MclustDA', but {self.model!r} came. 'EDDA' is one "
                "Gaussian a class, 'MclustDA' a mixture a class."
            )
        check_count("max_iter", self.max_iter, 0)
        check_count("n_threads", self.n_threads, 1, optional=True)
        check_size("reg_covar", self.reg_covar)

    def _families(self) -> list[Family]:
        """The families to choose from."""
        if isinstance(self.families, str):
            names = FAMILIES if self.families == "all" else [self.families]
        else:
            names = list(self.families)
        if not names:
            raise ValueError("families must name at least one, but is empty. Use 'all'.")
        families = [family_named(name) for name in names]
        if self.families == "all" and self.n_features_in_ == 1:  # only E and V differ
            families = [family for family in families if family.name.endswith("II")]
        return families

    def _settings(self) -> SelectionSettings:
        """How the mixture of a class is chosen."""
        return SelectionSettings(
            n_components=self.n_components,
            families=self.families,
            reg_covar=self.reg_covar,
            prior=self.prior,
            max_iter=self.max_iter,
            random_state=self.random_state,
            n_threads=self.n_threads,
            backend=self.backend,
        )

    def _set_models(self, models: ClassModels) -> None:
        """The attributes of a fit."""
        self.class_prior_ = class_priors(self.priors, models.shares)
        self.mixtures_ = models.mixtures
        self.selections_: tuple[Selection, ...] = models.selections
        self.families_ = np.array([one.best.family for one in models.selections])
        self.n_components_ = np.array([one.n_components for one in models.mixtures])
        self.log_likelihood_ = models.log_likelihood
        self.n_parameters_ = models.n_parameters
        self.n_iter_ = models.n_iter
        self.bic_ = -2.0 * models.log_likelihood + models.n_parameters * float(np.log(models.total))
        self._owners = models.owners
        self._mixture = models.mixture(self.class_prior_)

    # ---- prediction ------------------------------------------------------------------------------

    def predict(self, X: Any) -> Labels:
        """The most probable class of each row (n,)."""
        chosen = self.predict_proba(X).argmax(axis=1)
        labels: Labels = self.classes_[chosen]
        return labels

    @ignore_underflow
    def predict_proba(self, X: Any) -> Rows:
        """The probability of each class (n, C), in the order of ``classes_``; rows sum to one.

        A row without any value has the priors.
        """
        check_is_fitted(self)
        probabilities: Rows = values_by_block(self, X, None, self._mixture, self._class_posteriors)
        return probabilities

    def predict_log_proba(self, X: Any) -> Rows:
        """Logarithms of :meth:`predict_proba` (n, C)."""
        with np.errstate(divide="ignore"):
            logarithms: Rows = np.log(self.predict_proba(X))
        return logarithms

    @ignore_underflow
    def score_samples(self, X: Any) -> Array:
        """Log density of each row (n,), whatever its class: low for a row like none of them."""
        check_is_fitted(self)
        densities: Array = values_by_block(
            self, X, None, self._mixture, lambda joint, *_: log_density(joint)
        )
        return densities

    def _class_posteriors(self, joint: Array, block: Block, mixture: Mixture) -> Array:
        """The sums of the components' probabilities in each class (m,C)."""
        components = posterior(joint, block.rows, mixture)
        return np.asarray(components @ np.eye(len(self.classes_))[self._owners])
