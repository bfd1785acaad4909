"""
Iris: four columns
==================

Three components of one shape (VEV), fitted without the species. Every pair of columns is a panel.
"""

from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from mixtura import GaussianMixture, plots

iris = load_iris()
fit = GaussianMixture(3, covariance_type="VEV", random_state=0, component_order="weight")
labels = fit.fit_predict(iris.data)
picture = plots.plot_pairs(fit, iris.data, columns=iris.feature_names)[0, 0]
plots.save(picture, "pairs.png")

# %%
# Beside the species, which the fit has not seen:

print("adjusted Rand index", round(adjusted_rand_score(iris.target, labels), 2))
