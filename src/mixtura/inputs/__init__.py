"""Checks of the user's arrays, parameters and tables."""
