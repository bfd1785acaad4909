"""The colours of components, the same in pictures, pages and reports."""

PALETTE = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#92dadd",
    "#b9ac70",
    "#717581",
    "#94a4a2",
)
"""Ten colours that people with any kind of colour vision can tell apart (Petroff 2021,
arXiv:2107.02270), greys last.
"""

NOISE = "#c9ccd1"
"""The colour of rows that belong to no component: a grey that is lighter than those above."""
