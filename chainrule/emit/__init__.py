"""Expr or Program to text: equations, NumPy."""
