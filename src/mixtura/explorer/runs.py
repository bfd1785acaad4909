"""Models of the table, and EM recorded iteration by iteration; each is computed once and kept."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import TypeVar

from mixtura.compare.comparison import Comparison, compare
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.explorer.table import OpenedTable
from mixtura.model.fit_result import FitResult, Iteration

MOST_ITERATIONS = 300
"""Iterations of EM that are recorded; the page says where EM had not converged by then."""

MOST_KEPT = 100
"""Runs that are kept; above this number the least recently used one is dropped."""

STARTS = {
    "random_from_data": "random: K rows as centres",
    "random": "random: memberships drawn for each row",
    "k-means++": "k-means++",
    "kmeans": "k-means",
    "hierarchical": "hierarchical",
}
"""The starts of recorded EM, by the names of ``init_params``."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run; equal settings give equal runs.

    Attributes
    ----------
    n_components : int
    family : str
    seed : int
    start : str
        One of ``STARTS``: plain EM from this start. Empty: the model of the usual search.
    """

    n_components: int
    family: str
    seed: int
    start: str = ""

    def arguments(self, frame: int | None = None) -> dict[str, object]:
        """The arguments of :class:`mixtura.GaussianMixture`, up to a frame of the recording."""
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
class RecordedRun:
    """A model, or a recording of EM.

    Attributes
    ----------
    settings : RunSettings
    frames : tuple of Mixture
        The start and each iteration, or only the model.
    trace : tuple of float
        The log-likelihood of each frame.
    fit : FitResult
        The result of the last frame.
    seconds : float
        Measured time of the fit.
    """

    settings: RunSettings
    frames: tuple[Mixture, ...]
    trace: tuple[float, ...]
    fit: FitResult
    seconds: float


class RunCache:
    """All runs on one table.

    One run at a time is computed in the foreground and one in the background (the curve over K), so
    that many requests do not overload the computer, and the user does not wait for the curve.
    """

    def __init__(self, table: OpenedTable) -> None:
        self.opened_table = table
        self._kept: OrderedDict[RunSettings, RecordedRun] = OrderedDict()
        self._comparisons: dict[RunSettings, Comparison] = {}
        self._keeping, self._foreground, self._background = Lock(), Lock(), Lock()
        self._ended = False

    def run(self, settings: RunSettings, *, in_background: bool = False) -> RecordedRun:
        """The run with these settings, computed now if it is not known."""
        known = self._recall(settings)
        if known is not None:
            return known
        with self._background if in_background else self._foreground:
            return self._recall(settings) or self._keep(self._made(settings))

    def comparison(self, settings: RunSettings) -> Comparison:
        """Other methods and the mixture with this K, family and seed; see
        :func:`mixtura.compare.compare.compare`.
        """
        with self._foreground:
            if settings not in self._comparisons:
                self._comparisons[settings] = _quietly(
                    lambda: compare(
                        self.opened_table.X[self.opened_table.complete],
                        n_components=settings.n_components,
                        mixture_family=settings.family,
                        random_state=settings.seed,
                    )
                )
            return self._comparisons[settings]

    def end(self) -> None:
        """Cancel the running computations and wait for their end, before the process ends."""
        self._ended = True
        with self._foreground, self._background:
            pass

    def _recall(self, settings: RunSettings) -> RecordedRun | None:
        with self._keeping:
            if settings in self._kept:
                self._kept.move_to_end(settings)
            return self._kept.get(settings)

    def _keep(self, run: RecordedRun) -> RecordedRun:
        with self._keeping:
            self._kept[run.settings] = run
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return run

    def _made(self, settings: RunSettings) -> RecordedRun:
        seen: list[Iteration] = []
        begun = perf_counter()
        fit = self._fitted(settings.n_components, seen.append, settings.arguments())
        seconds = perf_counter() - begun
        if not settings.start:
            return RecordedRun(settings, (fit.mixture,), (fit.log_likelihood,), fit, seconds)
        first = self._fitted(settings.n_components, seen.append, settings.arguments(0))
        frames = (first.mixture, *(step.mixture for step in seen))
        return RecordedRun(
            settings,
            frames,
            (first.log_likelihood, *(step.log_likelihood for step in seen)),
            fit,
            seconds,
        )

    def _fitted(
        self, K: int, watch: Callable[[Iteration], None], arguments: dict[str, object]
    ) -> FitResult:
        """A fit that records its iterations, and is cancelled when the program ends."""

        def callback(iteration: Iteration) -> None:
            if self._ended:
                raise KeyboardInterrupt
            watch(iteration)

        model = GaussianMixture(K, callback=callback, **arguments)  # type: ignore[arg-type]
        fit = _quietly(lambda: model.fit(self.opened_table.X)).result_
        if self._ended:
            raise ValueError("the program is ending and computes nothing more. Start it again.")
        return fit


class _Silence:
    """A context that ignores warnings while any thread is inside, since Python's filters are shared
    by all threads.
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


def _quietly(work: Callable[[], Result]) -> Result:
    """Run a fit without warnings; the page shows its findings from the result."""
    with _SILENCE:
        return work()
