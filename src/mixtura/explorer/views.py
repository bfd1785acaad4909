"""Runs, frames and rows in the form that the page reads: plain values, and bytes for points."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from mixtura.base.numbering import cluster_name, component_name
from mixtura.base.rounding import rounded_like
from mixtura.compare.comparison import Comparison
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of
from mixtura.explorer.runs import MOST_ITERATIONS, STARTS, RecordedRun
from mixtura.explorer.table import OpenedTable
from mixtura.families import FAMILIES
from mixtura.model.criteria import aic, bic
from mixtura.model.explanation import membership_reasons, membership_text, memberships_of
from mixtura.model.fit_result import StopReason
from mixtura.model.relabelling import relabelled
from mixtura.plots import LEVELS, canvas
from mixtura.plots.curves import curve_grid
from mixtura.plots.style import share_name

SLIDER_K = 20
"""Largest K of the slider."""

CURVE_K = 10
"""Largest K of the AIC and BIC curves."""

FINER = 0.2
"""Conditional numbers are rounded like this part of the conditional standard deviation."""

Json = dict[str, Any]


def table_view(table: OpenedTable) -> Json:
    """The file, its axes, and all choices of the page."""
    n = len(table.X)
    return {
        "file": table.file_name,
        "rows": n,
        "incomplete": n - int(table.complete.sum()),
        "columns": table.columns(),
        "features": len(table.names),
        "families": [
            {"name": name, "words": FAMILIES[name].summary} for name in _different_families(table)
        ],
        "starts": [{"name": name, "words": words} for name, words in STARTS.items()],
        "levels": LEVELS,
        "regions": [share_name(level) for level in canvas.REGIONS],
        "colours": canvas.colours(SLIDER_K),
        "largest": min(SLIDER_K, n),
        "curve": min(CURVE_K, n),
    }


def _different_families(table: OpenedTable) -> list[str]:
    """The families that differ; with one column, only equal and varying variances do."""
    return [name for name in FAMILIES if not table.is_line or name.endswith("II")]


def run_view(run: RecordedRun) -> Json:
    """The result of a run; lower is better for both criteria."""
    fit = run.fit
    return {
        "components": run.settings.n_components,
        "family": run.settings.family,
        "start": run.settings.start,
        "seed": run.settings.seed,
        "frames": len(run.frames),
        "trace": list(run.trace),
        "log_likelihood": fit.log_likelihood,
        "parameters": fit.n_parameters,
        "aic": aic(fit),
        "bic": bic(fit),
        "seconds": run.seconds,
        "eligible": fit.is_valid,
        "sound": fit.is_sound,
        "sentence": _ending(run),
    }


def _ending(run: RecordedRun) -> str:
    """How a run ended, with findings about its components."""
    if run.settings.start and run.fit.stop is StopReason.MAX_ITER:
        ending = f"the first {MOST_ITERATIONS} iterations are shown; EM had not converged"
    else:
        ending = run.fit.stop.value
    findings = [
        f"{component_name(item.component)} ({item.kind}): {item.reason}"
        for item in run.fit.findings[:3]
    ]
    return "; ".join([ending, *findings])


def frame_view(mixture: Mixture, columns: tuple[int, int], *, regions: bool = False) -> Json:
    """Weights, the components in two columns, and the highest-density regions where asked for."""
    return {
        "weights": mixture.weights.tolist(),
        "centres": canvas.centres(mixture, columns).tolist(),
        "ellipses": [level.tolist() for level in canvas.frames(mixture, columns)],
        "regions": canvas.regions(mixture, columns) if regions else [],
    }


def conditional_view(
    table: OpenedTable, mixture: Mixture, given: int, other: int, value: float
) -> Json:
    """The other column, given a value of one: density, mean, quantiles and sentences."""
    found: Mixture = mixture.marginal([given, other]).condition([0], [value])
    low, middle, high = found.ppf([0.05, 0.5, 0.95]).tolist()
    mean, spread = float(found.mean()[0]), float(found.std()[0])
    places = curve_grid(found, *found.ppf([1e-4, 1.0 - 1e-4]).tolist())
    numbers = {
        "mean": mean,
        "standard deviation": spread,
        "5 %": low,
        "median": middle,
        "95 %": high,
    }
    rounded = {name: rounded_like(FINER * spread, number) for name, number in numbers.items()}
    head = f"{table.names[other]} given {table.names[given]} = {value:.6g}"
    return {
        "given": table.names[given],
        "other": table.names[other],
        "sentence": f"{head}: mean {rounded['mean']}, 90 % between {rounded['5 %']} and "
        f"{rounded['95 %']}.",
        "weights": f"{_shares(found)}.",
        "numbers": numbers,
        "rounded": rounded,
        "places": places.tolist(),
        "density": found.pdf(places[:, None]).tolist(),
    }


def _shares(mixture: Mixture) -> str:
    """``cluster 0 with 88.2 %, cluster 1 with 11.8 %``: the largest first, without tiny ones."""
    order = np.argsort(-mixture.weights, kind="stable")
    said = [
        f"{cluster_name(k)} with {100 * mixture.weights[k]:.1f} %"
        for k in order.tolist()
        if mixture.weights[k] >= 0.0005
    ]
    return ", ".join(said)


def memberships_bytes(table: OpenedTable, mixture: Mixture) -> bytes:
    """The largest membership of each row (n float32), then all memberships in 255ths (n x K bytes),
    for the colours.
    """
    shares = mixture.posterior(table.X)[:, : mixture.n_components]
    return canvas.certainty(shares) + canvas.hues(shares)


def column_bytes(table: OpenedTable, column: int) -> bytes:
    """A column for the scatter plot (n float32)."""
    return table.axis(column)[0]


def row_view(table: OpenedTable, mixture: Mixture, row: int) -> Json:
    """The memberships of a row and the reasons for them."""
    memberships = memberships_of(mixture, table.X[row])
    return {
        "row": row,
        "values": dict(zip(table.names, table.X[row].tolist(), strict=True)),
        "memberships": [asdict(share) for share in memberships],
        "sentence": membership_text(memberships),
        "why": membership_reasons(memberships),
    }


def comparison_view(table: OpenedTable, comparison: Comparison) -> Json:
    """The results of each method on the same rows, and which methods suit; labels go as bytes."""
    n_incomplete = len(table.X) - int(table.complete.sum())
    left_out = f"{n_incomplete} of {len(table.X)} rows have missing values and are left out here."
    return {
        "methods": [
            {
                "name": method.name,
                "soft": method.soft,
                "clusters": method.n_clusters,
                "suits": method.name in comparison.suits,
                "seconds": method.seconds,
                "words": method.interpretation,
                "agreement": next(
                    (
                        v
                        for pair, v in comparison.agreement.items()
                        if set(pair) == {method.name, MIXTURE}
                    ),
                    None,
                ),
            }
            for method in comparison.methods
            if not method.reason
        ],
        "suits": list(comparison.suits),
        "sentences": [*[left_out] * bool(n_incomplete), *comparison.sentences],
    }


MIXTURE = "Gaussian mixture"
"""The name of the mixture in the comparison."""


def labels_bytes(table: OpenedTable, comparison: Comparison, name: str, mixture: Mixture) -> bytes:
    """The cluster of each row (n int16), numbered like the mixture on the page; -1 for noise and
    for rows with missing values.
    """
    like = labels_of(mixture.log_joint(table.X[table.complete]), mixture)
    labels = np.full(len(table.X), -1)
    labels[table.complete] = relabelled(comparison.labels[name], like)
    return bytes(labels.astype("<i2").tobytes())
