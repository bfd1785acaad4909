"""
A million rows
==============

Above 10,000 rows points become an image. Each pixel has the mean colour of its rows, blended by
light intensity, and is stronger where there are more.
"""

from sklearn.datasets import load_iris

from mixtura import GaussianMixture, plots

iris = load_iris()
fit = GaussianMixture(3, covariance_type="VEV", random_state=0, component_order="weight")
many, _ = fit.fit(iris.data).sample(1_000_000)
plots.save(plots.plot_scatter(fit, many, columns=iris.feature_names), "million.png")
