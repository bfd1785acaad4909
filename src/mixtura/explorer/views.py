"""Runs, frames and rows as the page reads them: plain values for words, bytes for points."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from mixtura.arrays import Array
from mixtura.compare import Comparison
from mixtura.criteria import aic, bic
from mixtura.explanation import explain, in_words, why
from mixtura.explorer.opened import Opened
from mixtura.explorer.runs import MOST_ITERATIONS, STARTS, Run
from mixtura.families import FAMILIES
from mixtura.mixture import Mixture
from mixtura.numbering import component_name
from mixtura.outlines import intervals, outlines
from mixtura.plots import component_colours
from mixtura.relabelling import relabelled
from mixtura.results import StopReason

LEVELS = (0.5, 0.95)
"""The share of a component that each of its ellipses holds."""

LARGEST_K = 20
"""What the slider goes to; the curve goes to ten."""

CURVE_K = 10

Json = dict[str, Any]


def table_view(opened: Opened) -> Json:
    """The file, its axes, and everything there is to choose from."""
    n = len(opened.X)
    return {
        "file": opened.file_name,
        "rows": n,
        "columns": opened.columns(),
        "features": len(opened.names),
        "families": [{"name": name, "words": FAMILIES[name].summary} for name in _told_apart(opened)],
        "starts": [{"name": name, "words": words} for name, words in STARTS.items()],
        "levels": LEVELS,
        "colours": colours(LARGEST_K),
        "largest": min(LARGEST_K, n),
        "curve": min(CURVE_K, n),
    }


def _told_apart(opened: Opened) -> list[str]:
    """Families that differ: with one column, E and V are all there is."""
    return [name for name in FAMILIES if not opened.is_line or name.endswith("II")]


def colours(n_components: int) -> list[list[int]]:
    """The same colours as in every other picture, 0 to 255."""
    return [[int(value) for value in row] for row in np.rint(255.0 * component_colours(n_components))]


def run_view(run: Run) -> Json:
    """What a run came to. Lower is better for both criteria."""
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
        "eligible": not fit.degenerate,
        "sentence": _ending(run),
    }


def _ending(run: Run) -> str:
    """How it ended, and what is wrong with it."""
    if run.settings.start and run.fit.stop is StopReason.MAX_ITER:
        ending = f"the first {MOST_ITERATIONS} iterations are shown, and it had not converged"
    else:
        ending = run.fit.stop.value
    degenerate = [f"{component_name(item.component)} is degenerate: {item.reason}" for item in run.fit.degenerate[:3]]
    return "; ".join([ending, *degenerate])


def frame_view(opened: Opened, mixture: Mixture, columns: tuple[int, int]) -> Json:
    """Weights, and the components in two columns."""
    return {
        "weights": mixture.weights.tolist(),
        "centres": _centres(opened, mixture, columns).tolist(),
        "ellipses": [_outlines(opened, mixture, columns, level).tolist() for level in LEVELS],
    }


def _centres(opened: Opened, mixture: Mixture, columns: tuple[int, int]) -> Array:
    if opened.is_line:
        return np.stack([mixture.means[:, 0], np.full(mixture.n_components, 0.5)], axis=1)
    return mixture.means[:, list(columns)]


def _outlines(opened: Opened, mixture: Mixture, columns: tuple[int, int], level: float) -> Array:
    """Ellipses; with one column a frame about the interval."""
    if not opened.is_line:
        return outlines(mixture, columns, level)
    frame = [[[a, 0.05], [b, 0.05], [b, 0.95], [a, 0.95], [a, 0.05]] for a, b in intervals(mixture, 0, level)]
    return np.array(frame)


def memberships_bytes(opened: Opened, mixture: Mixture) -> bytes:
    """The largest membership of each row (n float32), then all of them in 255ths (n x K bytes), for colours."""
    shares = mixture.posterior(opened.X)
    return bytes(shares.max(axis=1).astype("<f4").tobytes() + np.rint(255.0 * shares).astype(np.uint8).tobytes())


def column_bytes(opened: Opened, column: int) -> bytes:
    """A column for the canvas (n float32)."""
    return bytes(opened.shares(column).astype("<f4").tobytes())


def row_view(opened: Opened, mixture: Mixture, row: int) -> Json:
    """One row's memberships and the reason for them."""
    memberships = explain(mixture, opened.X[row])
    return {
        "row": row,
        "values": dict(zip(opened.names, opened.X[row].tolist(), strict=True)),
        "memberships": [asdict(share) for share in memberships],
        "sentence": in_words(memberships),
        "why": why(memberships),
    }


def comparison_view(comparison: Comparison) -> Json:
    """What each method made of the same rows, in its own words; the labels go as bytes."""
    return {
        "methods": [
            {
                "name": method.name,
                "soft": method.soft,
                "clusters": method.n_clusters,
                "seconds": method.seconds,
                "words": method.interpretation,
                "agreement": next((v for pair, v in comparison.agreement.items() if set(pair) == {method.name, MIXTURE}), None),
            }
            for method in comparison.methods
            if not method.reason
        ]
    }


MIXTURE = "Gaussian mixture"
"""How the comparison calls what this page is about."""


def labels_bytes(opened: Opened, comparison: Comparison, name: str, mixture: Mixture) -> bytes:
    """The cluster of each row (n int16) in the numbers of the mixture that is shown, -1 for noise."""
    like = mixture.log_joint(opened.X).argmax(axis=1)
    return bytes(relabelled(comparison.labels[name], like).astype("<i2").tobytes())
