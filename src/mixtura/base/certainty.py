"""When a row counts as unsure, the same in tables, pictures, pages and reports."""

SURE = 0.9
"""A row whose largest membership is below this is called unsure: a convention, not tuned."""
