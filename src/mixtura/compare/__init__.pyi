from .comparison import Comparison as Comparison
from .comparison import Method as Method
from .comparison import compare as compare
from .side_by_side import plot_comparison as plot_comparison
