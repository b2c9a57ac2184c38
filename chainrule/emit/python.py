"""Readable NumPy from a Program. What is printed here is also what the reference executor runs."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Container, Iterable, Mapping
from typing import Any

from chainrule.emit.numpy_table import ATOM, COMPARE, SPELLINGS, SUM, Code
from chainrule.expr import Axes, Expr, Spec, input_
from chainrule.ops import OPS
from chainrule.plan.program import Program, Source, axis_sources, program

# names that the text itself uses
_USED = ("np", "math", "dtype", "erf", "scatter_add", "uniform_like")


def identifier(label: str, taken: Container[str] = ()) -> str:
    """A Python name for any label: letters, digits and _ stay, everything else becomes _.

    >>> identifier("W_1"), identifier("lambda"), identifier("a b")
    ('W_1', 'lambda_', 'a_b')
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", label)[:80] or "_"
    if name[0].isdigit() or keyword.iskeyword(name) or name in _USED:
        name = f"_{name}" if name[0].isdigit() else f"{name}_"
    unique, n = name, 1
    while unique in taken:
        n += 1
        unique = f"{name}_{n}"
    return unique


class Writer:
    """Writes one function; knows the names of what was written before."""

    def __init__(
        self, names: Mapping[Expr, str], sources: Mapping[str, Source], module: Module
    ) -> None:
        self.names = dict(names)
        self.arguments = dict(names)
        self.taken = set(self.names.values())
        self.sources = sources
        self.module = module
        self.sizes: dict[str, str] = {}
        self.size_lines: list[str] = []
        self.uses_dtype = False

    def fresh(self, label: str) -> str:
        """A name like `label` that nothing in the function has yet."""
        unique = identifier(label, self.taken)
        self.taken.add(unique)
        return unique

    def code(self, node: Expr, level: int = COMPARE) -> str:
        """The text of `node`, in parentheses where it binds looser than `level`."""
        if node in self.names:
            return self.names[node]
        text, binds = self._spell(node)
        return f"({text})" if binds < level else text

    def _spell(self, node: Expr) -> Code:
        if node.op == "const":
            return number(node["value"])
        if node.op == "size":
            return self.size(node["axis"]), ATOM
        names = self.names
        for x, kind in zip(node.inputs, operand_kinds(node), strict=True):
            if kind != x.kind:
                self.names = {**self.names, x: f"{self.code(x, ATOM)}.astype({self.dtype()})"}
        try:
            if OPS[node.op].body is None:
                return SPELLINGS[node.op](self, node)
            arguments = ", ".join(self.code(x) for x in node.inputs)
            return f"{self.module.helper(node)}({arguments})", ATOM
        finally:
            self.names = names

    def aligned(self, x: Expr, node: Expr, level: int) -> str:
        """The text of `x` shaped so that NumPy broadcasts it along the axes of `node`."""
        present = tuple(axis for axis in node.axes if axis in x.axes)
        if not x.axes or (
            present == x.axes and node.axes[len(node.axes) - len(present) :] == present
        ):
            return self.code(x, level)
        ordered = self.ordered(x, present)
        if node.axes[len(node.axes) - len(present) :] == present:
            return ordered
        first = next(i for i, axis in enumerate(node.axes) if axis in present)
        index = ", ".join(":" if axis in present else "None" for axis in node.axes[first:])
        return f"{ordered}[{index}]"

    def ordered(self, x: Expr, axes: Axes) -> str:
        """The text of `x` with its axes in the order of `axes`."""
        if x.axes == axes:
            return self.code(x, ATOM)
        if x.axes == axes[::-1]:
            return f"{self.code(x, ATOM)}.T"
        return f"np.transpose({self.code(x)}, {tuple(x.axes.index(axis) for axis in axes)})"

    def size(self, axis: str) -> str:
        """The variable with the size of `axis`; its line is written when first asked for."""
        if axis not in self.sizes:
            how, what = self.sources[axis]
            text = self._size_text(how, what)
            if how == "known":
                self.sizes[axis] = text
            else:
                self.sizes[axis] = self.fresh(axis)
                self.size_lines.append(f"{self.sizes[axis]} = {text}")
        return self.sizes[axis]

    def _size_text(self, how: str, what: Any) -> str:
        if how == "known":
            return str(what)
        if how == "input":
            x, position = what
            return f"{self.arguments[x]}.shape[{position}]"
        sizes = [self.size(axis) for axis in what]
        return {"sum": " + ", "product": " * ", "quotient": " // ", "same": ""}[how].join(sizes)

    def shape(self, axes: Axes) -> str:
        """The shape of a value with `axes`, as a tuple."""
        sizes = [self.size(axis) for axis in axes]
        return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"

    def dtype(self) -> str:
        """The variable that holds the float type of the inputs."""
        self.uses_dtype = True
        return "dtype"

    def letters(self, axes: Axes) -> dict[str, str]:
        """One letter for each axis, its own first letter where that is free."""
        letter: dict[str, str] = {}
        for axis in axes:
            if axis not in letter:
                pool = (c for c in axis.lower() + "abcdefghijklmnopqrstuvwxyz" if c.isalpha())
                letter[axis] = next(c for c in pool if c not in letter.values())
        return letter

    def need(self, name: str, source: str, import_line: str = "") -> None:
        """Ask for a helper that is not generated from a record."""
        self.module.add(name, source, import_line)


class Module:
    """The text around the functions: imports and helpers, whose names are none of `taken`."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = frozenset(taken)
        self.imports = ["import numpy as np"]
        self.helpers: dict[str, str] = {}
        self._variants: dict[tuple[object, ...], str] = {}

    def add(self, name: str, source: str, import_line: str = "") -> None:
        """A helper function and the import it needs."""
        if import_line and import_line not in self.imports:
            self.imports.append(import_line)
        if source:
            self.helpers.setdefault(name, source)

    def helper(self, node: Expr) -> str:
        """The name of the function for an operation that its record defines by simpler ones."""
        same = all(x.axes == node.inputs[0].axes for x in node.inputs)
        elementwise = same and node.axes == node.inputs[0].axes and "over" not in dict(node.attrs)
        axes = tuple(() if elementwise else x.axes for x in node.inputs)
        sizes = tuple(() if elementwise else tuple(sorted(x.sizes.items())) for x in node.inputs)
        variant = (node.op, node.attrs, axes, operand_kinds(node), sizes)
        if variant not in self._variants:
            name = identifier(node.op, {*self._variants.values(), *self._taken})
            self._variants[variant] = name
            self.helpers[name] = (
                ""  # keeps the place: helpers of helpers come after and are moved before it
            )
            source = self._body_source(name, node, axes)
            del self.helpers[name]
            self.helpers[name] = source
        return self._variants[variant]

    def _body_source(self, name: str, node: Expr, axes: tuple[Axes, ...]) -> str:
        body = OPS[node.op].body
        assert body is not None
        labels = operand_names(node.op, len(node.inputs))
        operands = [
            input_(label, Spec(a, {k: x.sizes[k] for k in a if k in x.sizes}, kind))
            for label, a, x, kind in zip(
                labels, axes, node.inputs, operand_kinds(node), strict=True
            )
        ]
        result = body(*operands, **dict(node.attrs))
        small = program(name, operands, {"": result}, {})
        return function(small, self, OPS[node.op].summary)


def operand_kinds(node: Expr) -> tuple[str, ...]:
    """The kinds of the operands as NumPy must see them.

    Truth values become numbers where a number is wanted and no other operand makes NumPy convert
    them: it refuses −True, computes e^True in half precision, and adds True to True by "or".
    """
    kinds = tuple(x.kind for x in node.inputs)
    chosen = kinds[1:] if node.op == "where" else kinds
    numbers = any(x.kind == "float" and x.op != "const" for x in node.inputs)
    if node.kind != "float" or numbers or "bool" not in chosen or node.op == "uniform":
        return kinds
    cast = tuple("float" if kind == "bool" else kind for kind in chosen)
    return (kinds[0], *cast) if node.op == "where" else cast


def operand_names(op: str, count: int) -> list[str]:
    """What the record itself calls its operands."""
    body = OPS[op].body
    assert body is not None
    parameters = inspect.signature(body).parameters.values()
    plain = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][:count]
    rest = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
    return plain + [rest[0] if i == 0 else f"{rest[0]}_{i}" for i in range(count - len(plain))]


def number(value: float) -> Code:
    """A constant as Python writes it: whole numbers without a point."""
    if value != value or value in (float("inf"), -float("inf")):
        return ("np.inf", ATOM) if value > 0 else ("-np.inf", SUM)
    text = str(int(value)) if value == int(value) and abs(value) < 1e16 else repr(value)
    if value == 0 and str(value).startswith("-"):
        text = "-0.0"
    return text, SUM if text.startswith("-") else ATOM


def function(p: Program, module: Module, doc: str = "") -> str:
    """The text of one function for a Program."""
    names: dict[Expr, str] = {}
    for x in p.inputs:
        names[x] = identifier(x.name, names.values())
    arguments = list(names.values())
    roots = [value for _, value in p.outputs]
    writer = Writer(names, axis_sources([*roots, *p.inputs]), module)
    body = []
    for line in p.lines:
        text = writer.code(line.value)
        writer.names[line.value] = writer.fresh(line.name)
        body.append(f"{writer.names[line.value]} = {text}")
    returned = _returned(p, writer)
    if writer.uses_dtype:
        floats = [names[x] for x in p.inputs if x.kind == "float"]
        body.insert(0, f"dtype = np.result_type({', '.join(floats[:1]) or 'float'})")
    head = [f"def {identifier(p.name)}({', '.join(arguments)}):"]
    head += [f'    """{doc}"""'] if doc else []
    return (
        "\n".join([*head, *(f"    {line}" for line in (*writer.size_lines, *body, returned))])
        + "\n"
    )


def _returned(p: Program, writer: Writer) -> str:
    (first_key, first), *rest = p.outputs
    if not rest and not first_key:
        return f"return {writer.code(first)}"
    parts = [f"{key!r}: {writer.code(value)}" for key, value in rest]
    return f"return {writer.code(first)}, {{{', '.join(parts)}}}"


def source(p: Program, doc: str = "") -> str:
    """The whole module: imports, helpers, and the function of the Program.

    Returns:
        Text that defines a function called as the Program; it returns the first output and a dict
        of the others.
    """
    axes = axis_sources([*(value for _, value in p.outputs), *p.inputs])
    labels = (p.name, *(x.name for x in p.inputs), *(line.name for line in p.lines), *axes)
    module = Module(identifier(label) for label in labels)
    main = function(p, module, doc)
    return "\n\n".join(["\n".join(module.imports) + "\n", *module.helpers.values(), main])
