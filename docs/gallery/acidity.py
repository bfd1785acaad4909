"""
Acidity of lakes: one column
============================

155 lakes in Wisconsin. A curve for each component, and their sum. What lies under another curve
than the highest is shaded: the share of rows whose most probable component is the wrong one, if
the mixture is true.
"""

import numpy as np

from mixtura import GaussianMixture, plots

X = np.loadtxt("../../examples/acidity.csv", skiprows=1, ndmin=2)
fit = GaussianMixture(2, random_state=0, component_order="weight").fit(X)
plots.save(plots.plot_curves(fit, X, columns=["acidity"]), "curves.png")
