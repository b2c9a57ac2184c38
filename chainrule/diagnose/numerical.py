"""Gradients of a function that could not be written down."""
