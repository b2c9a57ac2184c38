r"""Reads the mathematics of neural networks and evaluates it, independently of what prints it.

It understands LaTeX, the plain characters of a terminal and what is typed on a keyboard:

>>> from chainrule.texmath import evaluate, name, parse
>>> name(r"\hat{y}"), name("W1"), name(r"\mathbf{W}^{[1]}"), name(r"\frac{\partial L}{\partial w}")
('y_hat', 'W_1', 'W^(1)', 'dL/dw')
>>> import numpy as np
>>> at = {"W": np.ones((2, 3)), "x": np.ones(3), "b": np.ones(2)}
>>> [evaluate(parse(text), at).ravel().tolist() for text in (r"W\mathbf{x} + b", "W @ x + b")]
[[4.0, 4.0], [4.0, 4.0]]
"""

from __future__ import annotations

from chainrule.texmath.evaluate import evaluate, evaluate_open
from chainrule.texmath.lines import statements
from chainrule.texmath.reading import name, parse, parse_align, parse_chain, parse_equation
from chainrule.texmath.spell import spell
from chainrule.texmath.tree import (
    Add,
    Call,
    Condition,
    Entry,
    Equation,
    Fraction,
    Hadamard,
    Negative,
    Node,
    Norm,
    Number,
    Ones,
    Power,
    Product,
    Stack,
    Summation,
    Symbol,
    Transpose,
    symbols,
    walk,
)

__all__ = [
    "Add",
    "Call",
    "Condition",
    "Entry",
    "Equation",
    "Fraction",
    "Hadamard",
    "Negative",
    "Node",
    "Norm",
    "Number",
    "Ones",
    "Power",
    "Product",
    "Stack",
    "Summation",
    "Symbol",
    "Transpose",
    "evaluate",
    "evaluate_open",
    "name",
    "parse",
    "parse_align",
    "parse_chain",
    "parse_equation",
    "spell",
    "statements",
    "symbols",
    "walk",
]
