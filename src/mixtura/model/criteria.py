"""Model selection criteria as functions of a fit; lower is better for all.

(mclust prints the negative of BIC and ICL.) With the log-likelihood ``log L``, p free parameters,
the sum n of the weights and the entropy ``E = -sum w r log r``:

    BIC    -2 log L + p log n            consistent for the number of components
    AIC    -2 log L + 2 p                smallest Kullback-Leibler distance; more components
    CLC    -2 log L + 2 E                well separated clusters; parameters do not count
    ICL    BIC + 2 E                     parameters count, and rows between two clusters
    NEC    E / (log L - log L_1)         needs the fit with one component
    CV     -2 log L of held-out rows     needs refits

Weights are frequencies. The sum of survey weights is no number of rows; every criterion can then be
computed at the effective sample size ``n_eff = (sum w)^2 / sum w^2`` (Kish 1965), as if the weights
were scaled to that sum.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, log, nan

from mixtura.model.fit_result import Evaluation, FitResult
from mixtura.model.selection import title_of

# ---- from the likelihood and the number of parameters --------------------------------------------


def bic(fit: Evaluation) -> float:
    """``-2 log L + p log n`` (Schwarz 1978); n is the sum of the weights. Lower is better."""
    return -2.0 * fit.log_likelihood + fit.n_parameters * log(fit.total)


def aic(fit: Evaluation) -> float:
    """``-2 log L + 2 p`` (Akaike 1974). Lower is better."""
    return -2.0 * fit.log_likelihood + 2.0 * fit.n_parameters


def aicc(fit: Evaluation) -> float:
    """``aic + 2 p (p + 1) / (n - p - 1)`` (Hurvich & Tsai 1989). Lower is better.

    NaN unless ``n > p + 1``.
    """
    p, spare = fit.n_parameters, fit.total - fit.n_parameters - 1.0
    return aic(fit) + 2.0 * p * (p + 1.0) / spare if spare > 0 else nan


def sabic(fit: Evaluation) -> float:
    """Adjusted BIC, ``-2 log L + p log((n + 2) / 24)`` (Sclove 1987). Lower is better."""
    return -2.0 * fit.log_likelihood + fit.n_parameters * log((fit.total + 2.0) / 24.0)


# ---- from the memberships, too -------------------------------------------------------------------


def icl(fit: Evaluation) -> float:
    """ICL with the MAP partition, as in mclust: ``bic - 2 sum_i w_i log max_k r_ik``.

    Uncertain rows are penalised, so overlapping components count as one cluster (Biernacki, Celeux
    & Govaert 2000). Lower is better.
    """
    return bic(fit) - 2.0 * fit.certainty


def icl_entropy(fit: Evaluation) -> float:
    """ICL with the entropy: ``bic + 2 entropy`` (McLachlan & Peel 2000, 6.10.2).

    Never below the MAP form :func:`icl`, since the entropy of a row is at least
    ``-log max_k r_k``. Lower is better.
    """
    return bic(fit) + 2.0 * fit.entropy


def clc(fit: Evaluation) -> float:
    """Classification likelihood criterion, ``-2 log L + 2 entropy``. Lower is better.

    Biernacki & Govaert 1997.
    """
    return -2.0 * fit.log_likelihood + 2.0 * fit.entropy


def awe(fit: Evaluation) -> float:
    """Approximate weight of evidence, ``-2 (log L - entropy) + 2 p (3/2 + log n)``.

    Banfield & Raftery 1993, with the expected complete-data log-likelihood ``log L - entropy``
    (McLachlan & Peel 2000, 6.10.3). Lower is better.
    """
    return clc(fit) + 2.0 * fit.n_parameters * (1.5 + log(fit.total))


def entropy(fit: Evaluation) -> float:
    """Entropy of the memberships, ``-sum_i w_i sum_k r_ik log r_ik``, in nats.

    It lies between 0 and ``n log K``; lower means better separated. It is 0 for one component, so
    by itself it always chooses one, and is no criterion for K.
    """
    return fit.entropy


# ---- from more than one fit ----------------------------------------------------------------------


def nec(fit: FitResult, one_component: float) -> float:
    """Normalised entropy criterion, ``entropy / (log L - log L_1)``. Lower is better.

    It is 1 for one component, so more components are preferred where it is below 1.

    Parameters
    ----------
    fit : FitResult
    one_component : float
        ``log L_1``: the log-likelihood of one component of the same family on the same data.

    Returns
    -------
    float
        NaN where the likelihood is no higher than that of one component.

    References
    ----------
    Celeux & Soromenho 1996; Biernacki, Celeux & Govaert 1999 for K = 1.
    """
    if fit.n_components == 1:
        return 1.0
    gain = fit.log_likelihood - one_component
    return fit.entropy / gain if gain > 0 else nan


# ---- sample sizes --------------------------------------------------------------------------------


def at_size(fit: Evaluation, size: float) -> Evaluation:
    """A fit as if its weights were scaled to another sum, such as the effective sample size.

    Log-likelihood, entropy and certainty are sums over weighted rows, so all are multiplied by
    ``size / n``.

    Examples
    --------
    >>> from mixtura.model.fit_result import Evaluation
    >>> twice = Evaluation(
    ...     log_likelihood=-200.0, entropy=4.0, certainty=-3.0, total=100.0, n_parameters=5
    ... )
    >>> at_size(twice, 50.0).log_likelihood
    -100.0
    """
    share = size / fit.total
    return Evaluation(
        fit.log_likelihood * share,
        fit.entropy * share,
        fit.certainty * share,
        size,
        fit.n_parameters,
    )


# ---- names ---------------------------------------------------------------------------------------

CRITERIA: dict[str, Callable[[Evaluation], float]] = {
    "bic": bic,
    "aic": aic,
    "icl": icl,
    "icl_entropy": icl_entropy,
    "aicc": aicc,
    "sabic": sabic,
    "clc": clc,
    "awe": awe,
    "entropy": entropy,
}
"""The criteria of one fit."""

NEC, CV = "nec", "cv"

ALL_CRITERIA = (*CRITERIA, NEC, CV)
"""Criteria of a selection; NEC also needs the fit with one component, CV needs refits."""


def criterion_named(name: str) -> Callable[[Evaluation], float]:
    """The criterion of one fit of that name, or a :class:`ValueError` that lists them."""
    if name not in CRITERIA:
        raise ValueError(
            f"criterion={name!r} is not known. Use one of: {', '.join(CRITERIA)} (lower is better "
            "for all)."
        )
    return CRITERIA[name]


def check_criterion(name: str) -> None:
    """Raise a :class:`ValueError` that lists all names, unless this is one of them."""
    if name not in ALL_CRITERIA:
        raise ValueError(
            f"criterion={name!r} is not known. Use one of: {', '.join(ALL_CRITERIA)} (lower is "
            "better for all)."
        )


def why_undefined(name: str, fit: Evaluation) -> str:
    """The reason why a criterion has no value for a fit."""
    if name == "aicc":
        p = fit.n_parameters
        return (
            f"AICc is undefined: it needs more than p + 1 = {p + 1} rows for p = {p} "
            f"parameters, but n = {fit.total:g}"
        )
    if name == NEC:
        return "NEC is undefined: the likelihood is no higher than that of one component"
    finite = isfinite(fit.log_likelihood)
    return f"{title_of(name)} is undefined" + (
        "" if finite else ": the log-likelihood is not finite"
    )
