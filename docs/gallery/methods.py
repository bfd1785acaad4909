"""
Beside K-Means and DBSCAN
=========================

Four methods on the same rows. Stretched clusters of different sizes suit the mixture; K-Means cuts
the large one, since it expects round clusters of about one size.
"""

import numpy as np
from sklearn.datasets import make_moons

from mixtura.compare import compare
from mixtura.compare.side_by_side import plot_comparison
from mixtura.plots import save

rng = np.random.default_rng(0)
X = np.concatenate(
    [
        rng.multivariate_normal([0, 0], [[6.0, 5.0], [5.0, 5.0]], 400),
        rng.multivariate_normal([3, -2], [[0.3, 0.0], [0.0, 0.3]], 100),
        rng.multivariate_normal([-3, 3], [[1.0, -0.7], [-0.7, 0.8]], 150),
    ]
)
found = compare(X)
print(*found.sentences, sep="\n")
save(plot_comparison(found, X), "stretched.png")

# %%
# On two moons DBSCAN and HDBSCAN are right: the clusters are bent.

X, _ = make_moons(500, noise=0.06, random_state=0)
found = compare(X)
print(*found.sentences, sep="\n")
save(plot_comparison(found, X), "moons.png")
