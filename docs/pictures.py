"""Makes the pictures of pictures.md and of the README anew: python docs/pictures.py, from the root
of the repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

from mixtura import GaussianMixture, GaussianMixtureSelector, plots
from mixtura.inputs.reading import read_table
from mixtura.plots.files import figure_of

IMAGES = Path("docs/images")


def save(picture, name: str) -> None:
    """A picture of the documentation: small enough for a page."""
    figure_of(picture).savefig(
        IMAGES / name, dpi=80, bbox_inches="tight", pad_inches=0.1, facecolor="white"
    )


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
    save(plots.plot_starts(GaussianMixture(4, random_state=0).fit(X)), "starts.png")
    plots.animate(
        plots.em_steps(X, 3, family="EEE", random_state=1, max_iter=24),
        X,
        IMAGES / "em.gif",
        **seen,
    )
    acidity, acid_names, _ = read_table("examples/acidity.csv").numeric()
    one = GaussianMixture(2, random_state=0, component_order="weight").fit(acidity)
    save(plots.plot_curves(one, acidity, columns=acid_names), "curves.png")
    iris = load_iris(as_frame=True).data
    three = GaussianMixture(3, covariance_type="VEV", random_state=0, component_order="weight").fit(
        iris
    )
    save(plots.plot_pairs(three, iris)[0, 0], "pairs.png")
    many, _ = three.mixture_.sample(1_000_000, np.random.default_rng(0))
    save(plots.plot_scatter(three, many, columns=list(iris.columns)), "million.png")


if __name__ == "__main__":
    main()
