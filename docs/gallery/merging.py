"""
Merging: a bent cluster of several components
=============================================

A bent cluster takes several Gaussians. Merging the components that overlap most makes clusters of
any shape, and the density stays as it is.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixtura import GaussianMixtureSelector, plots

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 400)
bow = 3 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.25, (400, 2))
X = np.concatenate([bow, rng.normal([0, -0.3], [0.5, 0.4], (200, 2))])
fit = GaussianMixtureSelector(random_state=0).fit(X)
merged = fit.best_estimator_.merged(X)
print(merged.sentence)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
for ax, name, shares in (
    (left, "components", fit.predict_proba(X)),
    (right, "clusters", merged.predict_proba(X)),
):
    K = shares.shape[1]
    colours = plots.blended_colours(shares, plots.component_colours(K))
    ax.scatter(*X.T, s=12, c=colours, linewidths=0)
    ax.set_title(f"{K} {name}", loc="left")

# %%
# The tree of merges, and the entropy of the memberships, whose elbow says where to cut:

plots.save(plots.plot_merging(merged), "merging.png")
