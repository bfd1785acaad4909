"""Soft clustering with Gaussian mixtures.

The public names are those of ``__init__.pyi``, and of :mod:`mixtura.plots` and
:mod:`mixtura.compare`; all others are private and may change. They are imported when they are first
used, so that the command line starts fast.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
__all__ += ["__version__"]
