"""The lesson: a page with interactive pictures and code cells, and the sandbox of the cells."""
