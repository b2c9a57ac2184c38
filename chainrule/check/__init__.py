"""Derivatives against independent ones."""
