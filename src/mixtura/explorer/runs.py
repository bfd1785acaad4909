"""Models of the opened table, and EM recorded iteration by iteration; each is made once and
kept.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import TypeVar

from mixtura.compare.comparison import Comparison, compare
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.explorer.opened import Opened
from mixtura.model.fit_result import FitResult, Iteration
from mixtura.model.mixture import Mixture

MOST_ITERATIONS = 300
"""Iterations of EM that are recorded; the page says where it was not finished."""

MOST_KEPT = 100
"""Runs that are kept; beyond them the one that was asked for longest ago is forgotten."""

STARTS = {
    "random_from_data": "random: K rows as centres",
    "random": "random: memberships drawn for each row",
    "k-means++": "k-means++",
    "kmeans": "k-means",
    "hierarchical": "hierarchical",
}
"""Where EM may be watched from, by the names of ``init_params``."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Settings:
    """What decides a run; equal settings give equal runs.

    Attributes
    ----------
    n_components : int
    family : str
    seed : int
    start : str
        One of ``STARTS``: EM from this one start, as in the textbooks. Empty: the best of several
        starts, which is a model.
    """

    n_components: int
    family: str
    seed: int
    start: str = ""

    def arguments(self, frame: int | None = None) -> dict[str, object]:
        """What :class:`mixtura.GaussianMixture` is called with, up to a frame of the recording."""
        common: dict[str, object] = {"covariance_type": self.family, "random_state": self.seed}
        if not self.start:
            return {**common, "component_order": "weight"}
        most = MOST_ITERATIONS if frame is None else frame
        return {
            **common,
            "init_params": self.start,
            "n_init": 1,
            "acceleration": None,
            "max_iter": most,
        }


@dataclass(frozen=True, eq=False)
class Run:
    """A model, or a recording of EM.

    Attributes
    ----------
    settings : Settings
    frames : tuple of Mixture
        The start and each iteration, or the model alone.
    trace : tuple of float
        The log-likelihood of each frame.
    fit : FitResult
        The end.
    seconds : float
        Measured.
    """

    settings: Settings
    frames: tuple[Mixture, ...]
    trace: tuple[float, ...]
    fit: FitResult
    seconds: float


class Runs:
    """All runs on one table.

    One thing is computed at a time for the person who waits, and one more in the background (the
    curve over K), so that a page in a hurry does not fill the machine, and nobody waits for the
    curve.
    """

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self._kept: OrderedDict[Settings, Run] = OrderedDict()
        self._comparisons: dict[Settings, Comparison] = {}
        self._keeping, self._foreground, self._background = Lock(), Lock(), Lock()
        self._ended = False

    def run(self, settings: Settings, *, in_background: bool = False) -> Run:
        """The run with these settings, made now if it was not yet."""
        known = self._recall(settings)
        if known is not None:
            return known
        with self._background if in_background else self._foreground:
            return self._recall(settings) or self._keep(self._made(settings))

    def comparison(self, settings: Settings) -> Comparison:
        """Other methods beside the mixture with this K, family and seed; see
        :func:`mixtura.compare.compare`.
        """
        with self._foreground:
            if settings not in self._comparisons:
                self._comparisons[settings] = _quietly(
                    lambda: compare(
                        self.opened.X,
                        n_components=settings.n_components,
                        mixture_family=settings.family,
                        random_state=settings.seed,
                    )
                )
            return self._comparisons[settings]

    def end(self) -> None:
        """Call off what is being computed, and return when it has stopped: a process must not end
        in the middle of it.
        """
        self._ended = True
        with self._foreground, self._background:
            pass

    def _recall(self, settings: Settings) -> Run | None:
        with self._keeping:
            if settings in self._kept:
                self._kept.move_to_end(settings)
            return self._kept.get(settings)

    def _keep(self, run: Run) -> Run:
        with self._keeping:
            self._kept[run.settings] = run
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return run

    def _made(self, settings: Settings) -> Run:
        seen: list[Iteration] = []
        begun = perf_counter()
        fit = self._fitted(settings.n_components, seen.append, settings.arguments())
        seconds = perf_counter() - begun
        if not settings.start:
            return Run(settings, (fit.mixture,), (fit.log_likelihood,), fit, seconds)
        first = self._fitted(settings.n_components, seen.append, settings.arguments(0))
        frames = (first.mixture, *(step.mixture for step in seen))
        return Run(
            settings,
            frames,
            (first.log_likelihood, *(step.log_likelihood for step in seen)),
            fit,
            seconds,
        )

    def _fitted(
        self, K: int, watch: Callable[[Iteration], None], arguments: dict[str, object]
    ) -> FitResult:
        """A fit that is watched, and called off once the program ends."""

        def callback(iteration: Iteration) -> None:
            if self._ended:
                raise KeyboardInterrupt
            watch(iteration)

        model = GaussianMixture(K, callback=callback, **arguments)  # type: ignore[arg-type]
        fit = _quietly(lambda: model.fit(self.opened.X)).result_
        if self._ended:
            raise ValueError("the program is ending, so nothing more is computed. Start it again.")
        return fit


class _Silence:
    """Warnings that are told elsewhere, ignored while any thread is inside; Python's own filter is
    one for all threads.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_SILENCE = _Silence()


def _quietly(work: Callable[[], Made]) -> Made:
    """What a fit warns of is in its result, and the page says it."""
    with _SILENCE:
        return work()
