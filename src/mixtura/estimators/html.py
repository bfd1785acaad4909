"""HTML of a fit and of a selection, for notebooks, below scikit-learn's diagram.

Everything from the data, such as names of columns, is escaped; there is no script, and nothing is
fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.utils import estimator_html_repr

from mixtura.base.markup import Markup, joined, tag
from mixtura.base.numbering import capitalised, component_name, number_of
from mixtura.base.palette import PALETTE
from mixtura.distribution.mixture import Mixture
from mixtura.families import FAMILIES
from mixtura.model.criteria import bic
from mixtura.model.fit_result import FitResult
from mixtura.model.selection import Selection
from mixtura.model.soundness import Averaged

MOST_COMPONENTS, MOST_COLUMNS = 20, 8
"""Rows and columns of the table of components at most; it counts the others."""

BOX = "margin:.6em 0;font-size:13px;line-height:1.5;overflow-x:auto"
CELL = "padding:.1em .8em;text-align:right;white-space:nowrap"


class ResultHtmlMixin:
    """HTML of an estimator: that of scikit-learn, and its result once it is fitted.

    scikit-learn's setting ``display="text"`` turns both off.
    """

    def _result_html(self) -> str:
        """The result; empty before the fit."""
        raise NotImplementedError

    def _repr_html_inner(self) -> str:
        return str(estimator_html_repr(self)) + self._result_html()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        output: dict[str, str] = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        if "text/html" in output:
            output["text/html"] = self._repr_html_inner()
        return output


def fit_html(fit: FitResult, names: Sequence[str] | None = None) -> str:
    """A fit as one ``div``: family, K, BIC, convergence, certificate and components.

    Parameters
    ----------
    fit : FitResult
    names : d names of columns, optional
    """
    return _box(_facts(fit), _weights_bar(fit.mixture), _components(fit.mixture, names))


def selection_html(selection: Selection, names: Sequence[str] | None = None) -> str:
    """A selection as one ``div``: its sentences, and the :func:`fit_html` of its winner."""
    fit = selection.best.fit
    sentences = [_paragraph(text, bold=i == 0) for i, text in enumerate(selection.sentences)]
    return _box(*sentences) + (fit_html(fit, names) if fit is not None else "")


def _box(*parts: object) -> str:
    return tag("div", *parts, class_="mixtura-result", style=BOX)


def _paragraph(text: str, bold: bool = False) -> Markup:
    """A paragraph of text, escaped."""
    return tag("p", tag("b", text) if bold else text, style="margin:.2em 0;max-width:60em")


def _facts(fit: FitResult) -> Markup:
    """Family, criteria and convergence of a fit, and the verdict or the findings."""
    K = fit.n_components
    title = f"{fit.family}, {K} component{'s' * (K != 1)}: {FAMILIES[fit.family].summary}"
    numbers = (
        f"lower bound of the log evidence {fit.objective:,.2f} (higher is better) on "
        f"{fit.total:,.6g} rows"
        if isinstance(fit.soundness, Averaged)
        else f"BIC {bic(fit):,.2f} (lower is better) · log-likelihood {fit.log_likelihood:,.2f} "
        f"with {fit.n_parameters} parameters on {fit.total:,.6g} rows"
    )
    stop = f"{fit.n_iter} iteration{'s' * (fit.n_iter != 1)}; {fit.stop.value}"
    verdict = [fit.certificate.verdict] if fit.certificate else []
    findings = [
        f"{capitalised(component_name(item.component))} ({item.kind}): {item.reason}."
        for item in fit.findings
    ]
    return joined(
        [_paragraph(title, bold=True), *map(_paragraph, [numbers, stop, *(verdict or findings)])]
    )


def _weights_bar(mixture: Mixture) -> Markup:
    """The weights as one bar of coloured parts."""
    starts = np.concatenate([[0.0], np.cumsum(mixture.weights)[:-1]])
    parts = [
        tag(
            "rect",
            tag("title", f"{component_name(k)}: {_percent(weight)}"),
            x=f"{100 * start:.3f}",
            y=0,
            width=f"{100 * weight:.3f}",
            height=10,
            fill=_colour(k),
        )
        for k, (start, weight) in enumerate(zip(starts, mixture.weights, strict=True))
    ]
    size = {"width": "100%", "height": 14, "viewBox": "0 0 100 10", "preserveAspectRatio": "none"}
    style = "display:block;margin:.4em 0;max-width:40em"
    return tag(
        "svg", *parts, role="img", aria_label="Weights of the components", style=style, **size
    )


def _components(mixture: Mixture, names: Sequence[str] | None) -> Markup:
    """The table of components: weight, and mean ± standard deviation of each column."""
    K, d = mixture.n_components, mixture.n_features
    rows, columns = min(K, MOST_COMPONENTS), min(d, MOST_COLUMNS)
    shown = mixture.marginal(np.arange(columns))
    deviations = np.sqrt(
        np.einsum("kjj->kj", np.broadcast_to(shown.covariance.dense(), (K, columns, columns)))
    )
    head = _cells("th", ["component", "weight", *_heads(names, d, columns)])
    body = [_row(k, shown, deviations[k]) for k in range(rows)]
    more = [f"{K - rows} more components"] * (rows < K) + [f"{d - columns} more columns"] * (
        columns < d
    )
    notes = [
        "Mean ± standard deviation of each column; the numbers of the components are the labels of "
        "predict."
    ]
    if mixture.noise is not None:
        weight = _percent(mixture.noise.weight)
        notes.append(f"Noise, the label -1: {weight}, uniform over {mixture.noise.volume:.4g}.")
    notes += [f"And {' and '.join(more)}."] if more else []
    table = tag(
        "table",
        tag("thead", head),
        tag("tbody", *body),
        style="border-collapse:collapse;font-size:inherit",
    )
    return joined([table, *map(_paragraph, notes)])


def _heads(names: Sequence[str] | None, d: int, columns: int) -> list[str]:
    """The names of the first columns."""
    known = [f"column {j}" for j in range(d)] if names is None else [str(name) for name in names]
    return known[:columns]


def _row(k: int, mixture: Mixture, deviations: Iterable[float]) -> Markup:
    """One component, with its colour."""
    dot = joined(
        [
            tag("span", Markup("&#9679;"), aria_hidden="true", style=f"color:{_colour(k)}"),
            f" {number_of(k)}",
        ]
    )
    values = [
        f"{mean:.4g} ± {deviation:.2g}"
        for mean, deviation in zip(mixture.means[k], deviations, strict=True)
    ]
    return _cells("td", [dot, _percent(mixture.weights[k]), *values])


def _cells(kind: str, texts: Iterable[str]) -> Markup:
    """A row of a table."""
    return tag("tr", *(tag(kind, text, style=CELL) for text in texts))


def _colour(k: int) -> str:
    return PALETTE[k % len(PALETTE)]


def _percent(weight: float) -> str:
    """``36 %``; never 0 for a positive weight."""
    return "below 1 %" if 0 < weight < 0.005 else f"{100 * weight:.0f} %"
