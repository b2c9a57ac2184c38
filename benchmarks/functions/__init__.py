"""Errors and speed of the vector functions: every float32 input, samples of float64."""
