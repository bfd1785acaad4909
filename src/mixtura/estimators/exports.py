"""Methods that write a fitted mixture for other programs, or read one from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from mixtura.base.underflow import ignore_underflow
from mixtura.estimators.fitted import FittedMixture
from mixtura.exports.described import DescribedMixture
from mixtura.exports.documents import Source
from mixtura.exports.json_text import from_json_text, json_text
from mixtura.exports.mclust_parameters import from_mclust_parameters
from mixtura.exports.onnx_model import Precision, onnx_model
from mixtura.exports.python_text import python_text
from mixtura.exports.sklearn_model import from_sklearn_model, sklearn_model
from mixtura.exports.sql_text import Dialect, sql_text
from mixtura.families import family_named
from mixtura.model.criteria import bic

if TYPE_CHECKING:
    from onnx import ModelProto
    from sklearn.mixture import GaussianMixture as SklearnMixture

OF_THE_FIT = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_")
"""Attributes of a fit that scikit-learn has, too."""


class MixtureExports(FittedMixture):
    """Methods that write a fitted mixture for other programs.

    It is ``mixture_`` that they write. Of a Bayesian mixture this has the expected parameters, and
    its own ``predict_proba`` and ``score_samples`` are averages over the posterior, which differ.
    """

    def _described(self) -> DescribedMixture:
        """The fitted mixture with its columns and what is known about the fit."""
        mixture = self.mixture_
        facts: dict[str, Any] = {"n_parameters": self._n_parameters()}
        fit = getattr(self, "result_", None)
        if fit is not None and fit.mixture is self._current_mixture:
            facts |= {
                "n": round(fit.total, 6),  # a sum of memberships
                "log_likelihood": fit.log_likelihood,
                "bic": bic(fit),
                "n_iter": fit.n_iter,
                "converged": fit.converged,
            }
        classes = getattr(self, "classes_", None)
        return DescribedMixture(
            mixture,
            family_named(self.covariance_type).name,
            () if classes is None else tuple(classes.tolist()),
            facts,
        )

    def to_onnx(self, precision: Precision = "float32") -> ModelProto:
        """An ONNX model with the answers of ``predict``, ``predict_proba`` and ``score_samples``.

        Its input ``X`` (n, d) has any number of rows. Its outputs are ``label`` (n,),
        ``probabilities`` (n, K), or (n, K + 1) with noise, and ``log_density`` (n,). Rows are
        centred at the means before anything else, so that float32 is right far from the origin.
        ONNX has no missing values: a row with NaN has the label -1, and NaN in the other outputs.

        Parameters
        ----------
        precision : {"float32", "float64"}, default="float32"
            Of the rows, of all computations and of the outputs.

        Returns
        -------
        onnx.ModelProto
            Of opset 18. Its metadata hold the family and the names of the columns. ``onnx.save``
            writes it, ``SerializeToString()`` is what onnxruntime takes.

        Raises
        ------
        MissingExtraError
            Without the package onnx: ``pip install 'mixtura[onnx]'``.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[1.0]]])
        >>> [output.name for output in known.to_onnx().graph.output]
        ['label', 'probabilities', 'log_density']
        """
        return onnx_model(self._described(), precision)

    def to_sklearn(self) -> SklearnMixture:
        """A fitted ``sklearn.mixture.GaussianMixture`` with the same densities.

        Its covariance type is the least that holds the family: "spherical" for EII and VII, "diag"
        for axis-parallel families, "tied" for EEE, and "full" for all others. Its ``bic`` counts
        the parameters of that type.

        Raises
        ------
        ValueError
            For t components or noise, which scikit-learn does not have.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [4.0]], 1.0, covariance_type="EII"
        ... )
        >>> known.to_sklearn().covariance_type
        'spherical'
        """
        model = sklearn_model(self._described())
        for name in OF_THE_FIT:
            if hasattr(self, name):
                setattr(model, name, getattr(self, name))
        return model

    def to_json(self) -> str:
        """The parameters as a JSON document, which :meth:`from_json` and any language reads.

        The format is the JSON Schema ``mixtura/exports/mixture.schema.json``. Numbers read back bit
        for bit.

        Examples
        --------
        >>> import json
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters([1.0], [[0.1, 0.2]], [[[1.0, 0.5], [0.5, 2.0]]])
        >>> json.loads(known.to_json())["means"]
        [[0.1, 0.2]]
        """
        return json_text(self._described())

    def to_python(self) -> str:
        """The source of a Python module that needs nothing: ``score(row)``.

        ``score`` takes a sequence of d numbers, or a mapping from the names of the columns, and
        returns the label, the list of probabilities and the log density. A row with a missing value
        has no answer: (None, None, None).

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [4.0]], 1.0, covariance_type="EII"
        ... )
        >>> module = {}
        >>> exec(known.to_python(), module)
        >>> module["score"]([2.0])[1]
        [0.5, 0.5]
        """
        return python_text(self._described())

    def to_sql(
        self,
        table: str | Sequence[str] = "data",
        *,
        dialect: Dialect,
        keep: Sequence[str] | None = None,
    ) -> str:
        """One SELECT with the label, the probabilities and the log density of each row of a table.

        The columns of its result are ``label``, ``probability_0`` ..., with noise
        ``probability_noise``, and ``log_density``, all of them NULL where a column of the row is.
        It ends without a semicolon, so that it may follow ``CREATE VIEW name AS``. Up to 10
        components are tested.

        Parameters
        ----------
        table : str or sequence of str, default="data"
            The table; points separate its schema from its name. A sequence holds the parts.
        dialect : {"sqlite", "duckdb", "postgresql", "mysql"}
            The database; "mysql" is also MariaDB. SQLite needs its mathematical functions, which
            most builds have.
        keep : sequence of str, optional
            The columns that the result has first, for example an id; those of the mixture by
            default, which are ``x0``, ``x1`` ... where the data had no names.

        Raises
        ------
        ValueError
            For an unknown dialect, or a column with the name of a result.

        Warns
        -----
        DataWarning
            For more than 10 components.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters([1.0], [[0.0]], 1.0, covariance_type="EII")
        >>> text = known.to_sql("visits", dialect="sqlite", keep=["id"])
        >>> print(text[text.rindex("SELECT") :].strip())
        SELECT
          "id",
          CASE WHEN mixtura_j0 IS NULL THEN NULL WHEN mixtura_less_j0 = 0 THEN 0 END AS "label",
          mixtura_share_j0 / mixtura_sum AS "probability_0",
          mixtura_top + LN(mixtura_sum) AS "log_density"
        FROM mixtura_sum r
        """
        return sql_text(self._described(), table, dialect=dialect, keep=keep)


class MixtureImports:
    """Class methods that read a mixture from other programs, ready to score and to predict."""

    _law: ClassVar[str] = "gaussian"
    """The components of this class."""

    @classmethod
    @ignore_underflow
    def from_sklearn(cls, model: Any) -> Self:
        """The mixture of a fitted ``GaussianMixture`` or ``BayesianGaussianMixture``.

        Weights, means and covariances are the same numbers. Those of a Bayesian mixture are its
        estimates; its own ``predict_proba`` takes expectations over their posterior instead, and
        differs slightly.

        Parameters
        ----------
        model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture

        Examples
        --------
        >>> from sklearn.mixture import GaussianMixture as Sklearn
        >>> from mixtura import GaussianMixture
        >>> theirs = Sklearn(1).fit([[0.0], [1.0], [3.0], [4.0]])
        >>> GaussianMixture.from_sklearn(theirs).means_.round(6).tolist()
        [[2.0]]
        """
        read: Any = cls._of(from_sklearn_model(model))
        read.covariance_type = model.covariance_type
        found: Self = read
        return found

    @classmethod
    @ignore_underflow
    def from_json(cls, source: Source) -> Self:
        """The mixture of a JSON document of :meth:`to_json`.

        Parameters
        ----------
        source : path, str or mapping
            A path, the text of the document, or the document itself.

        Raises
        ------
        ModelFileError
            Naming the entry that is missing or not valid.
        ValueError
            When the components are of the other class: t, or Gaussian.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> known = GaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [4.0]], 1.0, covariance_type="EII"
        ... )
        >>> GaussianMixture.from_json(known.to_json()).predict_proba([[2.0]]).tolist()
        [[0.5, 0.5]]
        """
        return cls._of(from_json_text(source))

    @classmethod
    @ignore_underflow
    def from_mclust(cls, source: Source) -> Self:
        """The mixture of a fit by mclust, whose parameters R wrote as JSON or CSV.

        In R, with the names of the columns and without them::

            keep <- c("modelName", "n", "d", "G", "loglik", "hypvol", "parameters")
            named <- c(unclass(fit)[keep], list(columns = colnames(fit$data)))
            writeLines(jsonlite::toJSON(named, digits = NA), "fit.json")

            writeLines(jsonlite::toJSON(fit$parameters, digits = NA), "fit.json")

        The layout of a CSV file is in docs/exports.md. R writes 15 digits of each number.

        Parameters
        ----------
        source : path, str or mapping
            A path (CSV when it ends in .csv), the text of the JSON document, or the document
            itself.

        Raises
        ------
        ModelFileError
            Naming the entry that is missing or not valid.

        Warns
        -----
        DataWarning
            Where all numbers have four decimals, which jsonlite writes without ``digits = NA``.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> read = GaussianMixture.from_mclust({
        ...     "pro": [0.5, 0.5],
        ...     "mean": [0.0, 4.0],
        ...     "variance": {"modelName": ["E"], "sigmasq": [1.0]},
        ... })
        >>> read.covariance_type, read.predict_proba([[2.0]]).tolist()
        ('EII', [[0.5, 0.5]])
        """
        return cls._of(from_mclust_parameters(source))

    @classmethod
    def _of(cls, described: DescribedMixture) -> Self:
        """A described mixture as an estimator of this class."""
        mixture, facts = described.mixture, described.facts
        if described.law != cls._law:
            has, other = (
                ("t components", "StudentTMixture")
                if described.law == "t"
                else ("Gaussian components", "GaussianMixture")
            )
            raise ValueError(
                f"a {cls.__name__} cannot be made of these parameters, which are of {has}. Read "
                f"them with {other}."
            )
        settings: dict[str, Any] = {
            "covariance_type": described.family,
            "noise": None if mixture.noise is None else mixture.noise.volume,
        }
        if mixture.tails is not None:
            settings["degrees_of_freedom"] = mixture.tails
        read: Any = cls(mixture.n_components, **settings)  # type: ignore[call-arg]
        read._set_parameters(mixture, described.family, np.float64)
        read.n_features_in_ = mixture.n_features
        count = facts.get("n_parameters")
        read._said_parameters = count if type(count) is int and count >= 0 else None
        if mixture.columns is not None:
            read.feature_names_in_ = np.array(mixture.columns, dtype=object)
        if described.classes:
            read.classes_ = np.array(described.classes, dtype=_kind_of(described.classes))
        found: Self = read
        return found


def _kind_of(classes: Sequence[Any]) -> Any:
    """The kind of array of names: plain where all are of one kind, else of objects."""
    kinds = {type(name) for name in classes}
    return None if len(kinds) == 1 else object
