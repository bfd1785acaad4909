"""``mixtura explore``: an interactive page about a table, served to this computer only.

- :mod:`mixtura.explorer.table`: the table, and its columns for the scatter plot.
- :mod:`mixtura.explorer.runs`: models, and EM recorded iteration by iteration.
- :mod:`mixtura.explorer.views`: runs, frames and rows in the form that the page reads.
- :mod:`mixtura.explorer.exports`: memberships, model file, and Python code for the view.
- :mod:`mixtura.explorer.questions`: the requests of the page, checked.
- :mod:`mixtura.explorer.app`: the routes.

No code that comes from the page is run, and no file is read except the one that was opened at the
start.
"""
