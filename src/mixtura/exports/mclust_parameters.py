"""Parameters of mclust, from JSON or CSV that R wrote.

JSON, by jsonlite, of a whole fit or of its parameters alone:

    keep <- c("modelName", "n", "d", "G", "loglik", "hypvol", "parameters")
    fit_and_names <- c(unclass(fit)[keep], list(columns = colnames(fit$data)))
    writeLines(jsonlite::toJSON(fit_and_names, digits = NA), "fit.json")

    writeLines(jsonlite::toJSON(fit$parameters, digits = NA), "fit.json")

In R a mean is a column of ``mean (d,K)``, and a covariance a slice of ``sigma (d,d,K)``; a single
number may be a list of one, and NULL is ``{}``. With a noise term ``pro`` has K + 1 entries.

CSV has a line for each component, with the columns ``model`` (mclust's letters), ``pro``, ``mean``
or ``mean.NAME`` for each column of the data, and ``sigma`` or ``sigma.1`` to ``sigma.d^2``, and of
a fit with noise ``Vinv``. R writes 15 digits of each number.
"""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mixtura.base.arrays import Array, symmetric
from mixtura.base.errors import DataWarning, ModelFileError
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Covariance
from mixtura.distribution.given_parameters import is_positive_definite
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.noise import Noise
from mixtura.distribution.parametrisation import stored_covariances
from mixtura.exports.described import DescribedMixture
from mixtura.exports.documents import Document, Source, document_of, is_number, shown
from mixtura.families import FAMILIES, family_named

ONE_COMPONENT = {"X": "EII", "XII": "EII", "XXI": "EEI", "XXX": "EEE"}
"""mclust's letters of a single component."""

WITH_ALL_DIGITS = "In R, write by jsonlite::toJSON(..., digits = NA)."

SHAPE_ROUNDING = 1e-4
"""Covariances of numbers with at least four digits have the shape of their family within this."""

WEIGHTS_ROUNDING = 1e-6
"""Proportions of numbers with at least seven digits sum to one within this."""


def from_mclust_parameters(source: Source) -> DescribedMixture:
    """The mixture of a JSON or CSV file, of a JSON text, or of the JSON object itself.

    Warns
    -----
    DataWarning
        Where all numbers have four decimals, the default of jsonlite.

    Raises
    ------
    ModelFileError
        Naming what is missing or not valid.
    OSError
        When the file cannot be read.
    """
    if isinstance(source, str | os.PathLike) and str(source).lower().endswith(".csv"):
        document = _table(Path(source))
    else:
        document = document_of(source)
    return _described(document)


def _described(document: Document) -> DescribedMixture:
    """The mixture of a fit or of its parameters."""
    own = _inner(document, "parameters") if "parameters" in document.values else document
    variance = _inner(own, "variance")
    means = _means(own)
    K, d = means.shape
    family = _family(document, variance, K)
    weights, of_noise = _weights(own, K)
    noise = None if of_noise is None else _noise(document, own, of_noise, means)
    facts = {
        name: _number(document, key)
        for key, name in (("n", "n"), ("loglik", "log_likelihood"))
        if key in document.values
    }
    covariance, columns = _covariance(variance, family, K, d), _columns(document, d)
    _warn_of_four_decimals(document, np.concatenate([means.ravel(), covariance.values.ravel()]))
    mixture = Mixture(weights, means, covariance, noise, columns=columns)
    return DescribedMixture(mixture, family, facts=facts)


def _inner(document: Document, key: str) -> Document:
    """An object within another."""
    value = document.entry(key)
    if not isinstance(value, Mapping):
        document.refuse(
            f"{key} must be an object, but is {shown(value)}",
            "Write fit$parameters in R by jsonlite::toJSON(fit$parameters, digits = NA).",
        )
    return Document(value, f"{document.source}: {key}" if key != "parameters" else document.source)


def _warn_of_four_decimals(document: Document, numbers: Array) -> None:
    """Warn where all numbers have four decimals, as jsonlite writes them by default."""

    def have(decimals: int) -> bool:
        scaled = numbers * 10.0**decimals
        return bool((np.abs(scaled - np.round(scaled)) <= 1e-9 * np.abs(scaled)).all())

    if have(4) and not have(3):
        warnings.warn(
            f"{document.source}: all means and covariances have four decimals, as jsonlite rounds "
            f"by default. {WITH_ALL_DIGITS}",
            DataWarning,
            stacklevel=6,  # where from_mclust was called
        )


# ---- entries -------------------------------------------------------------------------------------


def _array(document: Document, key: str) -> Array:
    """Nested lists of equal lengths, or a number, as an array."""
    value = document.entry(key)
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        document.refuse(f"{key} must be numbers, but is {shown(value)}")
    if not np.isfinite(array).all():
        document.refuse(f"{key} must be finite numbers, but is {shown(value)}")
    return array


def _number(document: Document, key: str) -> float | None:
    """A number, or a list of one; None where it is missing, NA or NULL."""
    value = document.values.get(key)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return float(value) if is_number(value) else None  # type: ignore[arg-type]


def _means(own: Document) -> Array:
    """Means (K,d) of R's matrix (d,K), or of a vector (K) of one column."""
    means = _array(own, "mean")
    if means.ndim > 2 or not means.size:
        own.refuse(f"mean must be a matrix with a column per component, not {means.shape}")
    return np.ascontiguousarray(np.atleast_2d(means).T)


def _family(document: Document, variance: Document, K: int) -> str:
    """Three letters; VVV where nothing says so."""
    letters = variance.values.get("modelName", document.values.get("modelName", "VVV"))
    if isinstance(letters, list) and len(letters) == 1:
        letters = letters[0]
    name = ONE_COMPONENT.get(letters, letters) if isinstance(letters, str) else None
    if name is None or (name not in FAMILIES and name not in ("E", "V")):
        document.refuse(f"modelName must be mclust's letters such as VVV, but is {shown(letters)}")
    if letters in ONE_COMPONENT and K > 1:
        document.refuse(f"modelName is {letters}, which is of one component, but mean has {K}")
    return family_named(name).name


def _weights(own: Document, K: int) -> tuple[Array, float | None]:
    """Mixing proportions, and that of the noise where there is one."""
    weights = np.atleast_1d(_array(own, "pro")) if "pro" in own.values else np.ones(1)
    if weights.shape not in ((K,), (K + 1,)):
        own.refuse(f"pro must have {K} entries, or {K + 1} with noise, but has {weights.size}")
    total = float(weights.sum())
    if (weights < 0).any() or abs(total - 1) > WEIGHTS_ROUNDING:
        own.refuse(f"pro must be at least 0 and sum to 1, but sums to {total:.8g}", WITH_ALL_DIGITS)
    weights = weights / total
    return weights[:K], float(weights[K]) if len(weights) > K else None


def _noise(document: Document, own: Document, weight: float, means: Array) -> Noise:
    """The noise term: mclust keeps the volume, not the box; a cube about the means has it."""
    volume = _number(document, "hypvol")
    inverse = _number(own, "Vinv") or (1.0 / volume if volume else None)
    if inverse is None or inverse <= 0:
        own.refuse("pro has one entry more than there are means, for noise, but Vinv is missing")
    d = means.shape[1]
    return Noise(weight, np.full(d, -np.log(inverse) / d), means.mean(axis=0))


def _covariance(variance: Document, family: str, K: int, d: int) -> Covariance:
    """Covariances from ``sigma (d,d,K)``, or from ``sigmasq`` of spherical families."""
    needs = FAMILIES[family].needs
    if "sigma" in variance.values and d > 1:
        sigma = _array(variance, "sigma")
        if sigma.shape != (d, d, K):
            variance.refuse(
                f"sigma must have the shape {(d, d, K)} of R's array, but has {sigma.shape}"
            )
        matrices = symmetric(np.moveaxis(sigma, 2, 0))
    elif "sigmasq" in variance.values or "sigma" in variance.values:
        sizes = _array(variance, "sigmasq" if "sigmasq" in variance.values else "sigma").ravel()
        if (needs is not Scatter.TRACE and d > 1) or sizes.size not in (1, K):
            variance.refuse(f"sigma is missing, which {family} in {d} columns needs")
        matrices = np.broadcast_to(sizes, K)[:, None, None] * np.eye(d)
    else:
        variance.refuse("sigma is missing", "Write all of fit$parameters.")
    for k, matrix in enumerate(matrices):
        if not is_positive_definite(matrix):
            variance.refuse(f"the covariance of component {k} must be positive definite")
    if needs is Scatter.TRACE:
        values = matrices[:, 0, 0]
    else:
        values = np.einsum("kjj->kj", matrices) if needs is Scatter.DIAGONAL else matrices
    values = np.ascontiguousarray(values)
    found = stored_covariances(family, values[0] if FAMILIES[family].shares_all else values, K, d)
    deviations = np.sqrt(np.einsum("kjj->kj", matrices))
    allowed = SHAPE_ROUNDING * deviations[:, :, None] * deviations[:, None, :]
    if (np.abs(found.dense() - matrices) > allowed).any():
        variance.refuse(f"modelName is {family}, but the covariances are not of that shape")
    return found


def _columns(document: Document, d: int) -> tuple[str, ...] | None:
    """The names of the columns, where they were written."""
    names = document.values.get("columns")
    if isinstance(names, str):
        names = [names]
    if not names:  # colnames() of a vector is NULL
        return None
    if not isinstance(names, list) or len(names) != d or not all(isinstance(n, str) for n in names):
        document.refuse(f"columns must be {d} names, but is {shown(names)}")
    return tuple(names)


# ---- CSV -----------------------------------------------------------------------------------------


def _table(path: Path) -> Document:
    """The table of components as the object that JSON would hold."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = list(csv.DictReader(stream))
    names = list(lines[0]) if lines else []
    means = [name for name in names if re.match(r"mean(\.|$)", name)]
    sigmas = [name for name in names if re.match(r"sigma(\.|$)", name)]
    d, K = len(means), len(lines)
    if not means or "pro" not in names or len(sigmas) not in (1, d * d):
        raise ModelFileError(
            f"{path}: expected a line for each component with the columns pro, mean.NAME for each "
            "of d columns, and sigma.1 to sigma.d^2 (pro, mean and sigma for one), but the columns "
            f"are {', '.join(map(repr, names)) or 'none'}. docs/exports.md has the lines of R."
        )

    def column(name: str) -> list[float]:
        try:
            return [float(line[name]) for line in lines]
        except (TypeError, ValueError):
            raise ModelFileError(f"{path}: the column {name!r} must be numbers.") from None

    weights = column("pro")
    parameters: dict[str, Any] = {"pro": weights, "mean": [column(name) for name in means]}
    sigma = np.array([column(name) for name in sigmas])  # (d^2,K)
    variance: dict[str, Any] = (
        {"sigmasq": sigma[0].tolist()}
        if len(sigmas) == 1
        else {"sigma": sigma.reshape(d, d, K).tolist()}
    )
    if "model" in names:
        variance["modelName"] = lines[0]["model"]
    if "Vinv" in names and lines[0]["Vinv"] not in ("", "NA"):
        parameters |= {"pro": [*weights, 1.0 - sum(weights)], "Vinv": column("Vinv")[0]}
    document: dict[str, Any] = {"parameters": parameters | {"variance": variance}}
    headers = [name.removeprefix("mean").removeprefix(".") for name in means]
    if headers != [str(j + 1) for j in range(d)] and headers != [""]:
        document["columns"] = headers
    return Document(document, str(path))
