"""An animation of EM: from Gaussians at random rows to convergence, with the log-likelihood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from PIL import Image

from mixtura.base.arrays import Array, Labels
from mixtura.base.scatter import Scatter
from mixtura.base.underflow import ignore_underflow
from mixtura.data.dataset import Dataset
from mixtura.distribution.covariance import Covariance, Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.em.em import em
from mixtura.families import family_named
from mixtura.inputs.constraints import Constraints, problem_of
from mixtura.inputs.rows import dataset_of, with_nan
from mixtura.model.discriminating_columns import discriminating_columns
from mixtura.model.fit_result import Iteration, StopReason
from mixtura.model.protocols import Family
from mixtura.plots.colours import PALETTE, component_colours, to_light
from mixtura.plots.curves import draw_curves
from mixtura.plots.files import checked_path
from mixtura.plots.player import player
from mixtura.plots.raster import limits_of
from mixtura.plots.scatter import draw_plane
from mixtura.plots.style import GREY, headline, tidy
from mixtura.plots.unwrap import fit_of, names_of
from mixtura.plots.view import PlotView, checked_rows, numbered

ANIMATION_FORMATS = (".gif", ".html")
MOST_FRAMES = 60
"""Of more iterations only some are shown, with growing distances, as the first change most."""

FIRST_STEPS = 15
"""Iterations at the beginning of which each has a frame."""

POINTS_PER_FRAME = 2_000
"""Points that are drawn in a frame; EM itself uses all rows."""

SECONDS_PER_FRAME, SECONDS_LAST_FRAME = 0.35, 2.5
FRAME_DOTS_PER_INCH = 88


@dataclass(frozen=True, eq=False)
class EMSteps:
    """All iterations of plain EM from one start.

    Attributes
    ----------
    family : str
    mixtures : tuple of Mixture
        The start, and the mixture after each iteration.
    log_likelihoods : tuple of float
        One for each mixture; they never decrease.
    stop : StopReason
    """

    family: str
    mixtures: tuple[Mixture, ...]
    log_likelihoods: tuple[float, ...]
    stop: StopReason

    @property
    def n_iter(self) -> int:
        """Iterations of EM."""
        return len(self.mixtures) - 1

    def shown(self, most: int = MOST_FRAMES) -> Labels:
        """Numbers of the iterations that an animation of ``most`` frames shows: each of the first
        15, then fewer and fewer, and the last.
        """
        if self.n_iter < most:
            return np.arange(self.n_iter + 1)
        later = np.geomspace(FIRST_STEPS, self.n_iter, most - FIRST_STEPS)
        return np.unique(np.concatenate([np.arange(FIRST_STEPS), np.round(later).astype(np.intp)]))


@ignore_underflow
def em_steps(
    X: ArrayLike,
    n_components: int,
    *,
    family: str = "VVV",
    random_state: int | None = 0,
    max_iter: int = 500,
) -> EMSteps:
    """Plain EM from K Gaussians at random rows, with every iteration kept.

    Each Gaussian has 1/K of the variances of the columns and no correlations. This is the start of
    textbooks, not that of :class:`mixtura.GaussianMixture`: EM may end in a poor optimum.

    Parameters
    ----------
    X : (n,d)
    n_components : int
    family : str
        Three letters, or scikit-learn's name.
    random_state : int or None
    max_iter : int

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0], [2.0], [4.0], [11.0], [12.0], [14.0]])
    >>> steps = em_steps(X, 2)
    >>> bool(np.all(np.diff(steps.log_likelihoods) >= 0))
    True
    """
    rows = np.ascontiguousarray(with_nan(X), dtype=np.float64)
    kind = family_named(family)
    dataset = dataset_of(rows, None, "auto", None)
    expected = np.concatenate([block.rows for block in dataset.completed.source.blocks()])
    start = _random_gaussians(
        dataset, expected, n_components, kind, np.random.default_rng(random_state)
    )
    seen: list[Iteration] = []
    problem = problem_of(dataset, kind, n_components, Constraints())
    fit = em(problem, start, max_iter=max_iter, callback=seen.append)
    mixtures = (start, *(iteration.mixture for iteration in seen))
    return EMSteps(kind.name, mixtures, tuple(fit.trace[: len(mixtures)]), fit.stop)


def _random_gaussians(
    dataset: Dataset, rows: Array, K: int, family: Family, rng: np.random.Generator
) -> Mixture:
    """Equal weights, K different rows as means where there are as many, and axis-parallel Gaussians
    narrower than the data.
    """
    distinct = np.unique(rows, axis=0)
    means = distinct[rng.choice(len(distinct), K, replace=len(distinct) < K)]
    return Mixture(np.full(K, 1.0 / K), means, _narrow(dataset.scale / K, K, family))


def _narrow(variances: Array, K: int, family: Family) -> Covariance:
    """A covariance of the form of a family, with these variances (d,) for every component."""
    n = 1 if family.shares_all else K
    if family.needs is Scatter.TRACE:
        return Spherical(np.full(n, variances.mean()), K, len(variances))
    if family.needs is Scatter.DIAGONAL:
        return Diagonal(np.tile(variances, (n, 1)), K)
    return Dense(np.tile(np.diag(variances), (n, 1, 1)), K)


# ---- the animation -------------------------------------------------------------------------------


def animate(
    result: Any,
    X: ArrayLike,
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[str] | None = None,
    random_state: int | None = 0,
    max_iter: int = 500,
) -> Path:
    """An animation of EM on these rows, with the family and K of a result, as GIF or HTML page.

    Plain EM is run again, from Gaussians at random rows (:func:`em_steps`). The page contains all
    frames and a player with buttons, a slider and keys; it works offline and loads nothing.

    Parameters
    ----------
    result : fitted estimator or selector, FitResult, Selection or EMSteps
    X : (n,d)
    path : str or Path
        Ends in .gif or .html.
    columns : d names, optional
    shown : one or two of ``columns``, optional
        By default the columns that best separate the final components.
    random_state : int or None
        Seed of the starting rows.
    max_iter : int

    Returns
    -------
    Path
    """
    target = checked_path(path, ANIMATION_FORMATS)
    steps = (
        result if isinstance(result, EMSteps) else _steps_like(result, X, random_state, max_iter)
    )
    names = names_of(result, X, columns, steps.mixtures[-1].n_features)
    frames = _Frames(steps, checked_rows(steps.mixtures[-1], X, names), names, shown)
    (_write_gif if target.suffix.lower() == ".gif" else _write_page)(frames, target)
    return target


def _steps_like(result: Any, X: ArrayLike, random_state: int | None, max_iter: int) -> EMSteps:
    """EM with the family and K of a result."""
    fit = fit_of(result)
    return em_steps(
        X, fit.n_components, family=fit.family, random_state=random_state, max_iter=max_iter
    )


class _Frames:
    """The pictures of the iterations, all with the same points, limits and colours."""

    def __init__(
        self, steps: EMSteps, rows: Array, names: Sequence[str], shown: Sequence[str] | None
    ) -> None:
        self.steps = steps
        self.numbers = steps.shown()
        self.chosen = (
            discriminating_columns(steps.mixtures[-1], 2)
            if shown is None
            else numbered(names, shown)
        )
        if len(self.chosen) > 2:
            raise ValueError(
                f"`shown` names {len(self.chosen)} columns, but an animation shows one or two. "
                "Name one or two."
            )
        self.names = tuple(names[j] for j in self.chosen)
        self.n = len(rows)
        self.rows = rows[:: ceil(len(rows) / POINTS_PER_FRAME)]
        self.limits = limits_of(rows[:, self.chosen])

    def caption(self, number: int) -> str:
        """The caption of an iteration."""
        value = f"log-likelihood {self.steps.log_likelihoods[number]:.2f}"
        if number == 0:
            return f"start: {self.steps.mixtures[0].n_components} Gaussians at random; {value}"
        end = f"; {self.steps.stop.value.split(':')[0]}" if number == self.steps.n_iter else ""
        return f"iteration {number} of {self.steps.n_iter}; {value}{end}"

    def images(self) -> Iterator[Image.Image]:
        """The frames as images."""
        for number in self.numbers:
            canvas: Any = FigureCanvasAgg(self.figure(int(number)))
            canvas.draw()
            yield Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")

    def figure(self, number: int) -> Figure:
        """The mixture at an iteration, and the log-likelihood up to it."""
        figure = Figure(figsize=(9.6, 4.4), dpi=FRAME_DOTS_PER_INCH, facecolor="white")
        left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
        figure.subplots_adjust(left=0.07, right=0.985, top=0.88, bottom=0.13, wspace=0.26)
        self.draw_mixture(left, number)
        self.draw_path(right, number)
        return figure

    def draw_mixture(self, ax: Axes, number: int) -> None:
        """The rows in the colours of an iteration, with its curves or ellipses."""
        mixture = self.steps.mixtures[number]
        colours = component_colours(mixture.n_components)
        r = mixture.posterior(self.rows)
        view = PlotView(
            mixture.marginal(self.chosen),
            self.rows[:, self.chosen],
            r @ to_light(colours),
            1.0 - r.max(axis=1),
            colours,
            self.names,
        ).panel(*range(len(self.names)))
        (draw_curves if len(self.names) == 1 else draw_plane)(ax, view)
        margins = 0.05 * (self.limits[:, 1] - self.limits[:, 0])
        for axis, (low, high), margin in zip("xy", self.limits, margins, strict=False):
            ax.set(**{f"{axis}lim": (low - margin, high + margin)})
        headline(ax, self.caption(number), view.missing_words)

    def draw_path(self, ax: Axes, number: int) -> None:
        """The log-likelihood of all iterations in grey, and up to this one in colour."""
        values = self.steps.log_likelihoods
        ax.plot(values, color="#e3e6ea", linewidth=2)
        ax.plot(values[: number + 1], color=PALETTE[0], linewidth=2)
        ax.plot([number], [values[number]], color=PALETTE[0], marker="o", markersize=7)
        ax.set(
            xlabel="iteration",
            ylabel="log-likelihood (higher is better)",
            xlim=(-0.5, self.steps.n_iter + 0.5),
        )
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.yaxis.label.set_color(GREY)
        tidy(ax)


def draw_step(
    steps: EMSteps, number: int, X: ArrayLike, ax: Axes, *, columns: Sequence[str] | None = None
) -> Axes:
    """Draw one iteration: ``number`` 0 is the start, ``steps.n_iter`` the end."""
    names = names_of(steps, X, columns, steps.mixtures[0].n_features)
    _Frames(steps, checked_rows(steps.mixtures[0], X, names), names, None).draw_mixture(ax, number)
    return ax


def _write_gif(frames: _Frames, target: Path) -> None:
    """All frames in a loop, with a pause at the end."""
    images = [image.quantize(96, method=Image.Quantize.MEDIANCUT) for image in frames.images()]
    durations = [int(1000 * SECONDS_PER_FRAME)] * (len(images) - 1) + [
        int(1000 * SECONDS_LAST_FRAME)
    ]
    images[0].save(
        target, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0
    )


def _write_page(frames: _Frames, target: Path) -> None:
    """All frames with a player."""
    captions = [frames.caption(int(number)) for number in frames.numbers]
    title = (
        f"EM, {frames.steps.family} with {frames.steps.mixtures[0].n_components} components, "
        f"{frames.n:,} rows"
    )
    target.write_text(
        player(title, list(frames.images()), captions, SECONDS_PER_FRAME), encoding="utf-8"
    )
