"""Where rows come from: arrays and memory maps, and the same rows under other weights.

Parquet and Dask have their place beside ``array.py``.
"""

from mixtura.sources.array import ArraySource
from mixtura.sources.reweighted import Reweighted
from mixtura.sources.unlabelled import Unlabelled

__all__ = ["ArraySource", "Reweighted", "Unlabelled"]
