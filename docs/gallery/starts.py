"""
Local optima: where thirty starts ended
=======================================

EM ends in the optimum that its start leads to. Each bar is an optimum: the number of random starts
that ended there, how far its score is below the best, and how far its clusters agree with those of
the best. By default, with ``n_init=None``, a local search follows the starts.
"""

from sklearn.datasets import load_iris

from mixtura import GaussianMixture, plots

X = load_iris().data
fit = GaussianMixture(3, n_init=30, init_params="random_from_data", random_state=0).fit(X)
plots.save(plots.plot_starts(fit), "starts.png")

# %%
# The log-likelihood along the iterations of the run that won:

plots.save(plots.plot_trace(fit), "trace.png")
