"""The right form of a gradient that no single change mends: chainrule derives the model itself.

The forward equations are written as a network in the ``.net`` format, as far as it can say them,
derived, printed, and what is printed is read back and checked like any other equation before it is
offered.
"""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.auditing.numbers import Numbers
from chainrule.auditing.scope import Definition, mentioned
from chainrule.auditing.sizes import ONE, Shape
from chainrule.errors import ChainruleError
from chainrule.texmath.tree import (
    Add,
    Call,
    Fraction,
    Hadamard,
    Negative,
    Node,
    Norm,
    Number,
    Power,
    Product,
    Summation,
    Symbol,
    Transpose,
)

CALLS = {
    "sigma": "sigmoid", "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "exp": "exp",
    "log": "log", "softplus": "softplus", "sqrt": "sqrt", "abs": "abs",
}  # fmt: skip


class _Beyond(Exception):
    """Something that the format has no words for, or that is not worth translating."""


def derived(numbers: Numbers, upper: str, lower: str) -> str:
    r"""The LaTeX of ∂upper/∂lower as chainrule derives it; "" if the model is beyond it."""
    from chainrule.derivation import derive
    from chainrule.netfile import parse_net

    try:
        text = network(numbers, upper, lower)
        line = derive(parse_net(text), wrt=[lower]).latex(only=lower)
    except (ChainruleError, _Beyond):
        return ""
    return line.partition("&=")[2].strip()


def network(numbers: Numbers, upper: str, lower: str) -> str:
    """The part of a model between two symbols as a text in the ``.net`` format.

    Raises:
        _Beyond: it uses what cannot be written down there.
    """
    shapes, sizes = numbers.assignment.shapes, numbers.assignment.sizes
    wanted = _path(numbers.model.definitions, upper, lower)
    leaves = dict.fromkeys(k for d in wanted for k in mentioned(d.node))
    known = {d.key for d in wanted}
    names = {
        sizes.names[r] for s in shapes.values() for x in s if (r := sizes.root(x)) in sizes.names
    }
    lines = ["net model"]
    for key in leaves:
        if key in known or key in names:
            continue
        if not key.isidentifier() or key not in shapes:
            raise _Beyond
        word = "param" if key == lower else "input"
        lines.append(f"{word} {key}: {' '.join(_axes(numbers, key, shapes[key]))}")
    write = _Writer(numbers, names)
    lines += [f"{d.key} = {write(d.node)}" for d in wanted[:-1]]
    return "\n".join([*lines, f"return {write(wanted[-1].node)}"])


def _path(definitions: Mapping[str, Definition], upper: str, lower: str) -> list[Definition]:
    """What `upper` is computed from, `lower` taken as given; `upper` last."""
    needed, todo = set(), [upper]
    while todo:
        key = todo.pop()
        if key in definitions and key != lower and key not in needed:
            needed.add(key)
            todo += mentioned(definitions[key].node)
    if upper not in needed or any(not key.isidentifier() for key in needed):
        raise _Beyond
    return [d for d in definitions.values() if d.key in needed and d.key != upper] + [
        definitions[upper]
    ]


def _axes(numbers: Numbers, key: str, shape: Shape) -> list[str]:
    """Names of axes: columns and biases lose their axis of length 1."""
    sizes = numbers.assignment.sizes
    rows, columns = (sizes.root(s) for s in shape)
    names = [sizes.name(rows) or "1", sizes.name(columns) or "1"]
    if rows == ONE == columns:
        return []
    if columns == ONE:
        return names[:1]
    return names[1:] if rows == ONE and key.startswith("b") else names


class _Writer:
    """Formulas in the syntax of the ``.net`` format."""

    def __init__(self, numbers: Numbers, sizes: set[str]) -> None:
        self._numbers = numbers
        self._sizes = sizes

    def __call__(self, node: Node) -> str:
        match node:
            case Number():
                return f"{node.value:g}"
            case Symbol():
                return f'size(axis="{node.key}")' if node.key in self._sizes else node.key
            case Negative():
                return f"-({self(node.of)})"
            case Add():
                first, *others = node.terms
                return f"({self(first)}{''.join(self._added(x) for x in others)})"
            case Hadamard():
                return "(" + " * ".join(self(x) for x in node.factors) + ")"
            case Fraction():
                return f"({self(node.upper)} / {self(node.lower)})"
            case Transpose():
                return f"{self(node.of)}.T"
            case Product():
                return self._product(node)
            case Power(base=Norm(), exponent=Number(value=2.0)):
                assert isinstance(node.base, Norm)
                return f"sum(square({self(node.base.of)}))"
            case Power(exponent=Number(value=2.0)):
                return f"square({self(node.base)})"
            case Summation(index=()):
                return f"sum({self(node.body)})"
            case Call(primes=0, below=()) if node.function in CALLS and len(node.args) == 1:
                return f"{CALLS[node.function]}({self(node.args[0])})"
        raise _Beyond

    def _added(self, term: Node) -> str:
        return f" - {self(term.of)}" if isinstance(term, Negative) else f" + {self(term)}"

    def _mean(self, node: Product) -> str:
        """(1/m)‖ŷ − y‖², which has a name of its own; "" for other products."""
        match node.factors:
            case (
                Fraction(upper=Number(value=1.0), lower=Symbol()),
                Power(base=Norm(of=Add(terms=(first, Negative() as second)))),
            ) if self._is_size(node.factors[0]):
                return f"mse({self(first)}, {self(second.of)})"
        return ""

    def _is_size(self, node: Node) -> bool:
        lower = node.lower if isinstance(node, Fraction) else None
        return isinstance(lower, Symbol) and lower.key in self._sizes

    def _product(self, node: Product) -> str:
        if named := self._mean(node):
            return named
        assignment = self._numbers.assignment
        infer = self._numbers.shapes.inference(assignment.shapes, assignment.sizes.copy())
        text, single = "", True
        for sign, factor in zip(("", *node.signs), node.factors, strict=True):
            number = infer.sizes.is_number(infer(factor).shape)
            between = "/" if sign == "/" else "*" if single or number or sign == "*" else "@"
            text = f"{text} {between} {self(factor)}" if text else self(factor)
            single = single and number
        return f"({text})"
