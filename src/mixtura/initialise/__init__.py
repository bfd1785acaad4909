"""Starts of EM, hierarchical clustering, and the shrinkage of few rows."""
