"""
Anomalies: rows of low density
==============================

A mixture is a density, so it tells which rows are unusual. Here ten rows were added to 500 normal
ones; a new row of the mixture lies outside of the dashed line with probability 0.02.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixtura import OutlierMixture

rng = np.random.default_rng(1)
usual = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal([6, 2], [2, 0.5], (200, 2))])
X = np.concatenate([usual, rng.uniform([-5, -6], [14, 8], (10, 2))])
detector = OutlierMixture(false_alarm_rate=0.02, random_state=0).fit(X)
unusual = detector.predict(X) == -1

figure, ax = plt.subplots(figsize=(7.6, 4.6), layout="constrained")
x, y = np.meshgrid(np.linspace(-6, 15, 200), np.linspace(-7, 9, 200))
density = detector.score_samples(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
ax.contour(x, y, density, [detector.offset_], colors="grey", linestyles="--")
ax.scatter(*X[~unusual].T, s=10, color="C0", label="usual")
ax.scatter(*X[unusual].T, s=30, color="C3", label=f"{unusual.sum()} rows below the threshold")
ax.legend(frameon=False, loc="upper left")
