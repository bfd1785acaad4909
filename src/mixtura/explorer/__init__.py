"""``mixtura explore``: a page on one's own table, served to this computer alone. Words, pixels and
sockets; no algebra.

- :mod:`mixtura.explorer.opened`: the table that is looked at, and its columns as a canvas wants
  them.
- :mod:`mixtura.explorer.runs`: models, and EM recorded iteration by iteration.
- :mod:`mixtura.explorer.views`: runs, frames and rows as the page reads them.
- :mod:`mixtura.explorer.exports`: memberships, model file, and the Python that makes the view
  again.
- :mod:`mixtura.explorer.questions`: what the page may ask, checked.
- :mod:`mixtura.explorer.app`: the routes.

Nothing here runs code that comes from the page, and nothing reads a file but the one that was
opened when it started.
"""
