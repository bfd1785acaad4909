"""The EM algorithm: iterations, acceleration, when it stops, and the certificate of what it ended
with.
"""
