"""Pictures of results: a mixture over its data, criteria over K, merging, starts, the path of EM.

No function uses pyplot or its backends, so pictures can be made in a thread, on a server and in a
notebook. Every function takes a result and an optional ``ax`` and returns Axes; functions with
several panels make their own figure. The number of a component is its label in ``predict``.
"""

from mixtura.base.palette import PALETTE
from mixtura.plots.animation import EMSteps, animate, draw_step, em_steps
from mixtura.plots.colours import blended_colours, component_colours
from mixtura.plots.conditional import plot_conditional
from mixtura.plots.criteria import plot_choices, plot_criteria, plot_families
from mixtura.plots.curves import plot_curves
from mixtura.plots.density import plot_density
from mixtura.plots.files import DOTS_PER_INCH, FORMATS, save
from mixtura.plots.merging import plot_merge_entropy, plot_merge_tree, plot_merging
from mixtura.plots.overview import plot_mixture
from mixtura.plots.pairs import plot_pairs
from mixtura.plots.scatter import LEVELS, covariance_ellipse, plot_scatter
from mixtura.plots.starts import plot_starts
from mixtura.plots.style import GREY, INK, PALE
from mixtura.plots.trace import plot_trace
from mixtura.plots.uncertainty import plot_uncertainty
from mixtura.plots.view import MOST_COLUMNS, MOST_POINTS

__all__ = [
    "DOTS_PER_INCH",
    "FORMATS",
    "GREY",
    "INK",
    "LEVELS",
    "MOST_COLUMNS",
    "MOST_POINTS",
    "PALE",
    "PALETTE",
    "EMSteps",
    "animate",
    "blended_colours",
    "component_colours",
    "covariance_ellipse",
    "draw_step",
    "em_steps",
    "plot_choices",
    "plot_conditional",
    "plot_criteria",
    "plot_curves",
    "plot_density",
    "plot_families",
    "plot_merge_entropy",
    "plot_merge_tree",
    "plot_merging",
    "plot_mixture",
    "plot_pairs",
    "plot_scatter",
    "plot_starts",
    "plot_trace",
    "plot_uncertainty",
    "save",
]
