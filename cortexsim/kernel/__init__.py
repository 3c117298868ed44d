"""The compiled layer: it knows floats and integers only, no labels, and is the only place where Numba is imported."""
