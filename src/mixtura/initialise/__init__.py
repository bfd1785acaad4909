"""Starts, the hierarchical tree, and what few rows need."""
