"""The mixture and all that is known of one: covariances, moments, constraints, results, what a
sound fit is.
"""
