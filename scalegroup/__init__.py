"""Scale-equivariant neural-network layers for three-dimensional data."""
