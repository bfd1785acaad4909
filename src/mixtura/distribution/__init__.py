"""The mixture as a distribution: densities, conditions, quantiles, regions, distances."""
