"""The search for the optimum with the best score: many starts, a local search, and a sample where
rows are many.
"""

from mixtura.search.search import search

__all__ = ["search"]
