"""How sure the estimates are: information, resampling, standard errors."""
