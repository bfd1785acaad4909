"""The EM algorithm: iterations, acceleration, stopping rules, and the certificate."""
