"""A plan as one readable C11 file that needs nothing but a compiler and its mathematics library."""
