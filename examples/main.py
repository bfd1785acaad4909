"""Two overlapping bell curves: EM step by step, hard against soft labels, and the choice of K."""

import numpy as np

from mixtura import GaussianMixture
from mixtura.plots import plot_mixture, save

rng = np.random.default_rng(1)
x = np.concatenate([rng.normal(0, 1, 300), rng.normal(3, 1.2, 200)])
K = 2

print("EM by hand. Truth: 60 % around 0.0 +- 1.0, and 40 % around 3.0 +- 1.2")
weight, mean, spread = np.full(K, 1 / K), rng.choice(x, K), np.full(K, x.std())  # a random start
for step in range(201):
    # E-step: the responsibility of each curve for each point.
    z = (x[:, None] - mean) / spread
    bells = weight * np.exp(-0.5 * z**2) / (spread * np.sqrt(2 * np.pi))
    r = bells / bells.sum(axis=1, keepdims=True)
    if step in (0, 1, 2, 5, 10, 20, 50, 100, 200):
        curves = zip(weight, mean, spread, strict=True)
        now = " and ".join(f"{w:4.0%} at {m:5.2f} +- {s:.2f}" for w, m, s in curves)
        print(f"  step {step:3}   {now}   log-likelihood {np.log(bells.sum(axis=1)).sum():8.2f}")
    # M-step: each curve is refitted to the points, weighted by its responsibilities.
    count = r.sum(axis=0)
    weight, mean = count / len(x), (r * x[:, None]).sum(axis=0) / count
    spread = np.sqrt((r * (x[:, None] - mean) ** 2).sum(axis=0) / count)

print("\nHard against soft labels, for the least certain point and for two certain ones")
centres = np.array([x.min(), x.max()])  # k-means: the same two steps with whole points
for _ in range(100):
    nearest = np.abs(x[:, None] - centres).argmin(axis=1)
    centres = np.array([x[nearest == k].mean() for k in range(K)])
order = np.argsort(mean)  # the left curve first
for i in (np.abs(r[:, 0] - 0.5).argmin(), x.argmin(), x.argmax()):
    hard, (left, right) = nearest[i], r[i, order]
    print(
        f"  x = {x[i]:5.2f}   k-means: cluster {hard}   mixture: {left:.1%} left, {right:.1%} right"
    )

print("\nHow many components? Lower is better")
X = x[:, None]  # tol as in scikit-learn is precise enough for a comparison
models = [GaussianMixture(k, tol=1e-4, random_state=0).fit(X) for k in range(1, 11)]
for name, scores in (("AIC", [m.aic(X) for m in models]), ("BIC", [m.bic(X) for m in models])):
    marked = "  ".join(f"{value:.0f}{'*' * (value == min(scores))}" for value in scores)
    print(f"  {name}  {marked}   (K = 1 to 10, * lowest)")

picture = plot_mixture(models[1], X, columns=["x"], title="Two bell curves and their overlap")
print(f"\nThe picture is in {save(picture, 'main.png')}")
