"""Expr to Program: simplify, name, put into lines."""
