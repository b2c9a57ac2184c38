"""What a node can be: one record per operation."""

from types import MappingProxyType

from chainrule.expr import OPERATORS
from chainrule.ops import (
    activations,
    arithmetic,
    indexing,
    losses,
    random,
    structure,
)
from chainrule.ops.cross_entropy import cross_entropy
from chainrule.ops.record import OPS, Op, body_of, replaced
from chainrule.ops.structure import contraction, expand, matmul, onto, size, sum_, transpose

__all__ = [
    "OPS",
    "RECORDS",
    "Op",
    "activations",
    "arithmetic",
    "body_of",
    "contraction",
    "cross_entropy",
    "expand",
    "indexing",
    "losses",
    "matmul",
    "onto",
    "random",
    "replaced",
    "size",
    "structure",
    "sum_",
    "transpose",
]

# As the sources have them, taken before anybody can replace or add one.
RECORDS = MappingProxyType(dict(OPS))

_SIGNS = ("add", "sub", "mul", "div", "neg", "pow", "gt", "ge", "lt", "le")
OPERATORS.update({name: OPS[name] for name in _SIGNS})
OPERATORS.update(matmul=matmul, transpose=transpose)
