"""Figures. The only room that imports matplotlib.

Every ``plot_x(data, *, ax=None)`` draws on the axes it is given, or on new ones, and returns
what it drew; nothing is shown.
"""

from stnref.viz.checks import WARNING_COLOUR as WARNING_COLOUR
from stnref.viz.checks import plot_gradient_error as plot_gradient_error
from stnref.viz.checks import plot_gradient_report as plot_gradient_report
from stnref.viz.checks import plot_taylor_test as plot_taylor_test
from stnref.viz.figure import new_figure as new_figure
from stnref.viz.figure import save_animation as save_animation
from stnref.viz.figure import save_figure as save_figure
from stnref.viz.mathematics import plot_cell as plot_cell
from stnref.viz.mathematics import plot_contributions as plot_contributions
from stnref.viz.mathematics import plot_corner_rules as plot_corner_rules
from stnref.viz.mathematics import plot_gradient_field as plot_gradient_field
from stnref.viz.mathematics import plot_kernels as plot_kernels
from stnref.viz.mathematics import plot_kinks as plot_kinks
from stnref.viz.mathematics import plot_landscape as plot_landscape
from stnref.viz.mathematics import plot_paddings as plot_paddings
from stnref.viz.module import plot_data_flow as plot_data_flow
from stnref.viz.pictures import plot_families as plot_families
from stnref.viz.pictures import plot_grid as plot_grid
from stnref.viz.pictures import plot_image as plot_image
from stnref.viz.pictures import plot_sheet as plot_sheet
from stnref.viz.training import plot_learning_curves as plot_learning_curves
from stnref.viz.training import plot_theta as plot_theta
from stnref.viz.training import plot_transformer as plot_transformer
