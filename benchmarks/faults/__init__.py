"""Everything that can go wrong, tried: one line for each row of the matrix."""
