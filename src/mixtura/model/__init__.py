"""The mixture model: covariances, moments, constraints, criteria and results."""
