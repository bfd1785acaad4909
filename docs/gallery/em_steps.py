"""
EM, step by step
================

The E-step gives each row to the components in shares, and the M-step moves the components to their
shares. The log-likelihood never falls.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixtura import plots

X = np.loadtxt("../../examples/old_faithful.csv", delimiter=",", skiprows=1)
names = ["eruptions", "waiting"]
steps = plots.em_steps(X, 2, random_state=0)
figure, axes = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
for number, ax in zip((0, 1, 3, 8, 10, steps.n_iter), axes.flat, strict=True):
    plots.draw_step(steps, number, X, ax, columns=names)
    value = steps.log_likelihoods[number]
    ax.set_title(f"iteration {number}: log-likelihood {value:.1f}", loc="left", fontsize=11)
    ax.label_outer()

# %%
# The same as an animation; ``em.html`` would be a page with a player.

plots.animate(steps, X, "em.gif", columns=names)
