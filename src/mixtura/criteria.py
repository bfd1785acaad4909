"""Criteria: functions of a fit. Lower is better, everywhere (mclust prints the negative of BIC and ICL)."""

from __future__ import annotations

from collections.abc import Callable
from math import log

from mixtura.results import Evaluation


def bic(fit: Evaluation) -> float:
    """``-2 log L + p log n`` (Schwarz 1978); n is the sum of the weights. Lower is better."""
    return -2.0 * fit.log_likelihood + fit.n_parameters * log(fit.total)


def aic(fit: Evaluation) -> float:
    """``-2 log L + 2 p`` (Akaike 1974). Lower is better."""
    return -2.0 * fit.log_likelihood + 2.0 * fit.n_parameters


def icl(fit: Evaluation) -> float:
    """BIC at the hard partition: ``bic - 2 sum_i w_i log max_k r_ik`` (Biernacki, Celeux & Govaert 2000, as in mclust).

    Every row that is unsure of its component costs, so overlapping components count as one cluster. Lower is better.
    """
    return bic(fit) - 2.0 * fit.certainty


def icl_entropy(fit: Evaluation) -> float:
    """ICL with the soft partition: ``bic + 2 entropy`` (McLachlan & Peel 2000, 6.10.2). Lower is better."""
    return bic(fit) + 2.0 * fit.entropy


CRITERIA: dict[str, Callable[[Evaluation], float]] = {"bic": bic, "aic": aic, "icl": icl}


def criterion_named(name: str) -> Callable[[Evaluation], float]:
    """The criterion of that name, or a :class:`ValueError` that lists them."""
    if name not in CRITERIA:
        raise ValueError(f"criterion={name!r} is not known. Use one of: {', '.join(CRITERIA)} (lower is better for all).")
    return CRITERIA[name]
