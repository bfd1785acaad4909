"""
The fourteen families side by side
==================================

The same rows and K = 3 under each family. The letters say what components share (E), what each has
for itself (V) and what is fixed (I): volume, shape, orientation. The lowest BIC is in bold.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixtura import GaussianMixture, plots

families = ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE"]
families += ["VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]
rng = np.random.default_rng(0)
turned = np.array([[2.0, 1.2], [1.2, 1.0]])
X = np.concatenate(
    [
        rng.multivariate_normal([0, 0], turned, 150),
        rng.multivariate_normal([5, 0], 0.3 * turned, 100),
        rng.multivariate_normal([1, 5], [[2.0, -1.2], [-1.2, 1.0]], 150),
    ]
)
fits = {name: GaussianMixture(3, covariance_type=name, random_state=0).fit(X) for name in families}
lowest = min(families, key=lambda name: fits[name].bic(X))
colours = plots.component_colours(3)
figure, axes = plt.subplots(3, 5, figsize=(13, 8), sharex=True, sharey=True, layout="constrained")
for name, ax in zip(families, axes.flat, strict=False):
    fit = fits[name]
    ax.scatter(*X.T, s=6, c=plots.blended_colours(fit.predict_proba(X), colours), linewidths=0)
    covariance = fit.mixture_.covariance.dense()
    for mean, matrix, colour in zip(fit.means_, covariance, colours, strict=True):
        ax.add_patch(plots.covariance_ellipse(mean, matrix, 2.0, colour))
    weight = "bold" if name == lowest else "normal"
    ax.set_title(f"{name}: BIC {fit.bic(X):.0f}", fontsize=11, fontweight=weight)
axes[-1, -1].set_axis_off()
