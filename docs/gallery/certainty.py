"""
How sure is a row
=================

Unsure rows are larger, darker and on top. Uncertainty is one minus the largest probability.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixtura import GaussianMixture, plots

X = np.loadtxt("../../examples/old_faithful.csv", delimiter=",", skiprows=1)
fit = GaussianMixture(3, covariance_type="EEE", random_state=0, component_order="weight").fit(X)
plots.save(plots.plot_uncertainty(fit, X, columns=["eruptions", "waiting"]), "uncertainty.png")

# %%
# The fit is uncertain, too. Intervals of 95 % on the probability of component 0, for 40 rows
# between the components:

probability = fit.predict_proba(X)[:, 0]
between = np.argsort(np.abs(probability - 0.5))[:40]
between = between[np.argsort(probability[between])]
intervals = fit.membership_intervals(X[between], fit.standard_errors(X))
middle, low, high = (part[:, 0] for part in (intervals.probability, intervals.low, intervals.high))
figure, ax = plt.subplots(figsize=(7.6, 4.2), layout="constrained")
ax.errorbar(range(40), middle, [middle - low, high - middle], fmt="o", ms=4, lw=1)
ax.set(xlabel="rows, by probability", ylabel="probability of component 0", ylim=(0, 1))
