"""Soft clustering with Gaussian mixtures."""
