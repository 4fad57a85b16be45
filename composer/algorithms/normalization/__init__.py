"""Running statistics of observations and rewards."""
