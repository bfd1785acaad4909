"""Comparison of mixtures with other clustering methods."""
