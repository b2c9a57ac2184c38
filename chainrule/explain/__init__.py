"""Derivations explained: line by line, each with its rule, its shapes and what it reads."""
