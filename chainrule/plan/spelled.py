"""A recipe as text with nothing left out: recipes with the same text give the same plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from chainrule.expr import Expr, postorder


def spelled(*values: object) -> str:
    """All that `values` hold, in an order of its own; expressions by number, each written once.

    Args:
        values: recipes, or whatever they are made of.

    Raises:
        TypeError: something of a type that is not known here.

    >>> from chainrule.expr import input_
    >>> from chainrule.ops import OPS
    >>> x = input_("x", "m=2")
    >>> print(spelled({"a": OPS["add"](x, x), "b": x}))
    #0 input () (('name','x')) ('m') {'m':2} 'float'
    #1 add (#0,#0) () ('m') {'m':2} 'float'
    {'a':#1,'b':#0}
    """
    writer = _Writer()
    last = [writer.text(value) for value in values]
    return "\n".join([*writer.lines, *last])


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.numbers: dict[Expr, str] = {}

    def text(self, value: object) -> str:
        """One value; expressions in it that are new are written before."""
        if isinstance(value, Expr):
            return self._number(value)
        if value is None or type(value) in (bool, int, float, str):
            return repr(value)  # exact for floats, and different for 1, 1.0 and True
        if isinstance(value, tuple | list):
            return f"({','.join(map(self.text, value))})"
        if isinstance(value, set | frozenset):
            return f"<{','.join(sorted(map(self.text, value)))}>"
        if isinstance(value, Mapping):  # the order of entries counts: it is that of tables
            return f"{{{','.join(f'{self.text(k)}:{self.text(v)}' for k, v in value.items())}}}"
        if is_dataclass(value):
            held = (getattr(value, field.name) for field in fields(value))
            return f"{type(value).__name__}({','.join(map(self.text, held))})"
        raise TypeError(f"{value!r} ({type(value).__name__}) cannot be spelled")

    def _number(self, x: Expr) -> str:
        if x not in self.numbers:
            for node in postorder(x):
                if node not in self.numbers:
                    parts = (node.inputs, node.attrs, node.axes, node.sizes, node.kind)
                    line = f"{node.op} {' '.join(map(self.text, parts))}"
                    self.numbers[node] = f"#{len(self.numbers)}"
                    self.lines.append(f"{self.numbers[node]} {line}")
        return self.numbers[x]
