"""
Old Faithful: two columns
=========================

Eruptions of a geyser and the waiting times to the next ones. The selection over all families and
numbers of components takes three ellipses of one size and shape by BIC. A row between two
components has a blend of their colours.
"""

import numpy as np

from mixtura import GaussianMixtureSelector, plots

X = np.loadtxt("../../examples/old_faithful.csv", delimiter=",", skiprows=1)
fit = GaussianMixtureSelector(random_state=0, component_order="weight").fit(X)
picture = plots.plot_scatter(fit, X, columns=["eruptions", "waiting"])
plots.save(picture, "old_faithful.png")

# %%
# The density: the smallest regions that hold 20, 50, 80 and 95 % of it.

picture = plots.plot_density(fit, X, columns=["eruptions", "waiting"])
plots.save(picture, "density.png")

# %%
# Waiting times given the length of the eruption: the mean, bands between quantiles, and the
# conditional density after eruptions of 2, 3 and 4 minutes.

names = ["eruptions", "waiting"]
picture = plots.plot_conditional(fit, X, columns=names, shown=names, at=[2, 3, 4])
plots.save(picture, "conditional.png")
