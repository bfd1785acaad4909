"""Mixtures beside other methods of clustering."""
