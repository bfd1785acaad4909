"""Standard errors of the parameters by information and resampling."""
