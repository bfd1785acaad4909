"""Where rows come from: arrays and memory maps here; Parquet and Dask have their place beside ``array.py``."""

from mixtura.sources.array import ArraySource

__all__ = ["ArraySource"]
