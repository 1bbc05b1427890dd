"""`scalegroup compare`: all methods side by side, by their equivariance error, their cost and what they learn."""
