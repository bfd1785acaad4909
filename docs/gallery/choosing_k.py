"""
How many components: AIC and BIC
================================

The plain loop: fit each number of components, and read the criteria. Lower is better. AIC takes
more components than BIC, whose price for a parameter grows with the number of rows.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixtura import GaussianMixture, GaussianMixtureSelector, plots

X = np.loadtxt("../../examples/old_faithful.csv", delimiter=",", skiprows=1)
numbers = range(1, 11)
models = [GaussianMixture(k, random_state=0).fit(X) for k in numbers]
figure, ax = plt.subplots(figsize=(7.6, 4.2), layout="constrained")
for name in ("aic", "bic"):
    values = [getattr(model, name)(X) for model in models]
    best = int(np.argmin(values))
    (line,) = ax.plot(numbers, values, "o-", label=f"{name.upper()}: lowest at K = {best + 1}")
    ax.plot(best + 1, values[best], "o", markersize=12, fillstyle="none", color=line.get_color())
ax.set(xlabel="components K", ylabel="criterion (lower is better)", xticks=numbers)
ax.legend(frameon=False)

# %%
# All families at once: the selector.

selector = GaussianMixtureSelector(random_state=0).fit(X)
plots.save(plots.plot_criteria(selector), "criteria.png")
