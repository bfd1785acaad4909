"""Runs, frames and rows as the page reads them: plain values for words, bytes for points."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mixtura.base.numbering import component_name
from mixtura.compare.comparison import Comparison
from mixtura.explorer.opened import Opened
from mixtura.explorer.runs import MOST_ITERATIONS, STARTS, Run
from mixtura.families import FAMILIES
from mixtura.model.criteria import aic, bic
from mixtura.model.explanation import membership_reasons, membership_text, memberships_of
from mixtura.model.fit_result import StopReason
from mixtura.model.mixture import Mixture
from mixtura.model.relabelling import relabelled
from mixtura.plots import canvas

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
        "families": [
            {"name": name, "words": FAMILIES[name].summary} for name in _told_apart(opened)
        ],
        "starts": [{"name": name, "words": words} for name, words in STARTS.items()],
        "levels": canvas.LEVELS,
        "colours": canvas.colours(LARGEST_K),
        "largest": min(LARGEST_K, n),
        "curve": min(CURVE_K, n),
    }


def _told_apart(opened: Opened) -> list[str]:
    """Families that differ: with one column, E and V are all there is."""
    return [name for name in FAMILIES if not opened.is_line or name.endswith("II")]


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
        "eligible": fit.is_valid,
        "sound": fit.is_sound,
        "sentence": _ending(run),
    }


def _ending(run: Run) -> str:
    """How it ended, and what is to be said of its components."""
    if run.settings.start and run.fit.stop is StopReason.MAX_ITER:
        ending = f"the first {MOST_ITERATIONS} iterations are shown, and it had not converged"
    else:
        ending = run.fit.stop.value
    findings = [
        f"{component_name(item.component)} ({item.kind}): {item.reason}"
        for item in run.fit.findings[:3]
    ]
    return "; ".join([ending, *findings])


def frame_view(mixture: Mixture, columns: tuple[int, int]) -> Json:
    """Weights, and the components in two columns."""
    return {
        "weights": mixture.weights.tolist(),
        "centres": canvas.centres(mixture, columns).tolist(),
        "ellipses": [level.tolist() for level in canvas.frames(mixture, columns)],
    }


def memberships_bytes(opened: Opened, mixture: Mixture) -> bytes:
    """The largest membership of each row (n float32), then all of them in 255ths (n x K bytes), for
    colours.
    """
    shares = mixture.posterior(opened.X)
    return canvas.certainty(shares) + canvas.hues(shares)


def column_bytes(opened: Opened, column: int) -> bytes:
    """A column for the canvas (n float32)."""
    return opened.axis(column)[0]


def row_view(opened: Opened, mixture: Mixture, row: int) -> Json:
    """One row's memberships and the reason for them."""
    memberships = memberships_of(mixture, opened.X[row])
    return {
        "row": row,
        "values": dict(zip(opened.names, opened.X[row].tolist(), strict=True)),
        "memberships": [asdict(share) for share in memberships],
        "sentence": membership_text(memberships),
        "why": membership_reasons(memberships),
    }


def comparison_view(comparison: Comparison) -> Json:
    """What each method made of the same rows, in its own words, and which of them suit; the labels
    go as bytes.
    """
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
        "sentences": list(comparison.sentences),
    }


MIXTURE = "Gaussian mixture"
"""How the comparison calls what this page is about."""


def labels_bytes(opened: Opened, comparison: Comparison, name: str, mixture: Mixture) -> bytes:
    """The cluster of each row (n int16) in the numbers of the mixture that is shown, -1 for
    noise.
    """
    like = mixture.log_joint(opened.X).argmax(axis=1)
    return bytes(relabelled(comparison.labels[name], like).astype("<i2").tobytes())
