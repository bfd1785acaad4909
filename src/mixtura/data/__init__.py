"""Datasets and problems of fits: scales, recorded steps, transforms and micro-clusters."""
