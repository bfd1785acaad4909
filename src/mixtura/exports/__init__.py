"""A fitted mixture in the formats of other programs, and mixtures read from them.

One module for each format. A writer is a function of a
:class:`~mixtura.exports.described.DescribedMixture`; a reader returns one. The methods of the
estimators are in :mod:`mixtura.estimators.exports`.
"""
