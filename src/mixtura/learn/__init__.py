"""The lesson: a page with live pictures and code cells, and the sandbox in which the cells run."""
