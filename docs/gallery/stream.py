"""
A group that moves
==================

One group stays, the other moves to the right while batches of 200 rows come in. With
``forgetting`` the mixture remembers about 500 rows and follows; without it all rows weigh nearly
the same, and the ellipse lies over the whole way.
"""

import numpy as np
from matplotlib.figure import Figure

from mixtura import GaussianMixture, plots

rng = np.random.default_rng(0)
batches = [
    np.repeat([[0.0, 0.0], [t, 7.0]], 100, axis=0) + rng.standard_normal((200, 2))
    for t in np.linspace(0.0, 12.0, 100)
]
followed, averaged = (GaussianMixture(2, random_state=0) for _ in range(2))
for batch in batches:
    followed.partial_fit(batch, forgetting=0.998)
    averaged.partial_fit(batch, step_power=1.0)

figure = Figure(figsize=(9, 3.6), layout="constrained")
axes = figure.subplots(1, 2, sharey=True)
for ax, model, title in zip(
    axes, (followed, averaged), ("forgetting=0.998", "step_power=1.0"), strict=True
):
    ax.scatter(*np.concatenate(batches[::10]).T, s=3, color="0.8")
    plots.plot_scatter(model, batches[-1], ax=ax)
    ax.set_title(title)
plots.save(figure, "stream.png")
