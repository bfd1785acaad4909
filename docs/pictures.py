"""Makes the pictures of pictures.md and of the README anew: python docs/pictures.py, from the root of the repository."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from mixtura import GaussianMixture, GaussianMixtureSelector, plots
from mixtura.plots.files import figure_of
from mixtura.tables import read_table

IMAGES = Path("docs/images")
STARTS = 40


@dataclass(frozen=True)
class Optimum:
    """One place where starts of this script ended."""

    log_likelihood: float
    gap: float
    n_starts: int
    agreement: float
    sentence: str = ""


@dataclass(frozen=True)
class Starts:
    """All of them."""

    optima: tuple[Optimum, ...]
    n_starts: int


def save(picture, name: str) -> None:
    """A picture of the documentation: small enough for a page."""
    figure_of(picture).savefig(IMAGES / name, dpi=80, bbox_inches="tight", pad_inches=0.1, facecolor="white")


def single_starts(X, n_components: int) -> Starts:
    """What becomes of runs from random rows, each alone: optima that differ by more than 0.01 are distinct."""
    settings = {"covariance_type": "EEE", "n_init": 1, "init_params": "random_from_data", "max_iter": 10_000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some of these starts end badly is what the picture is about
        runs = [GaussianMixture(n_components, **settings, random_state=seed).fit(X) for seed in range(STARTS)]
    fits = [run for run in runs if run.converged_ and not run.result_.degenerate]
    fits.sort(key=lambda fit: -fit.result_.log_likelihood)
    best, groups = fits[0], [[fits[0]]]
    for fit in fits[1:]:
        if groups[-1][0].result_.log_likelihood - fit.result_.log_likelihood < 0.01:
            groups[-1].append(fit)
        else:
            groups.append([fit])
    labels = best.predict(X)
    top = best.result_.log_likelihood
    optima = [
        Optimum(
            g[0].result_.log_likelihood, top - g[0].result_.log_likelihood, len(g), adjusted_rand_score(labels, g[0].predict(X))
        )
        for g in groups
    ]
    return Starts(tuple(optima), STARTS)


def main() -> None:
    """All pictures."""
    X, names, _ = read_table("examples/old_faithful.csv").numeric()
    faithful = GaussianMixtureSelector(range(1, 7), random_state=0, component_order="weight").fit(X)
    seen = {"columns": names}
    save(plots.plot_scatter(faithful, X, **seen), "scatter.png")
    plots.save(plots.plot_mixture(faithful, X, **seen), IMAGES / "old_faithful.png")
    save(plots.plot_uncertainty(faithful, X, **seen), "uncertainty.png")
    save(plots.plot_density(faithful, X, **seen), "density.png")
    save(plots.plot_criteria(faithful), "criteria.png")
    save(plots.plot_merging(faithful.best_estimator_.merged(X)), "merging.png")
    save(plots.plot_trace(faithful), "trace.png")
    save(plots.plot_starts(single_starts(X, 4)), "starts.png")
    plots.animate(plots.em_steps(X, 3, family="EEE", random_state=1, max_iter=24), X, IMAGES / "em.gif", **seen)
    acidity, acid_names, _ = read_table("examples/acidity.csv").numeric()
    one = GaussianMixture(2, random_state=0, component_order="weight").fit(acidity)
    save(plots.plot_curves(one, acidity, columns=acid_names), "curves.png")
    iris = load_iris(as_frame=True).data
    three = GaussianMixture(3, covariance_type="VEV", random_state=0, component_order="weight").fit(iris)
    save(plots.plot_pairs(three, iris)[0, 0], "pairs.png")
    many, _ = three.mixture_.sample(1_000_000, np.random.default_rng(0))
    save(plots.plot_scatter(three, many, columns=list(iris.columns)), "million.png")


if __name__ == "__main__":
    main()
