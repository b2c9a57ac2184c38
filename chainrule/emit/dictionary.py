"""What each symbol of one notation is called in the others, and which array it is in the code."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chainrule.emit.chain import refuse_arrays
from chainrule.emit.equations import refuse_unknown
from chainrule.emit.form import Entry, Indexed
from chainrule.emit.index import indexed
from chainrule.emit.outputs import by_output
from chainrule.emit.plain import plain, plain_indices, width
from chainrule.emit.symbols import Partial, Symbol, letter_of
from chainrule.emit.tex import label
from chainrule.errors import ParameterError
from chainrule.expr import Definition, Expr, postorder
from chainrule.ops import OPS
from chainrule.ops.record import is_elementwise
from chainrule.plan.derived import Derived
from chainrule.plan.layers import examples_axis

LOSS = r"\mathcal{L}"
COST = "the cost"  # what the entry of the loss means
WIDTH = 78
SLIMMEST = 18  # of the last column


@dataclass(frozen=True)
class Row:
    """One value in all notations.

    Attributes:
        symbols: LaTeX by notation: "matrix", "index", and "outputs" or "chain" where asked for.
        name: what the definition and the code call it; "" if it has no name there.
        axes: those of the array.
        entry: which entry of the array the symbol with indices is: W_1[j, k].
        meaning: in words.
    """

    symbols: Mapping[str, str]
    name: str
    axes: tuple[str, ...]
    entry: str
    meaning: str


@dataclass(frozen=True)
class Dictionary:
    """Symbols of one notation in the others and in the code, and what is easily mistaken.

    Attributes:
        notation: the one that is explained.
        rows: one for each value, in the order in which they are computed.
        notes: normalisation, which index leads where, what the functions are.
    """

    notation: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def notations(self) -> tuple[str, ...]:
        """The notations of the columns, the explained one first."""
        known = dict.fromkeys((self.notation, "matrix", "index"))
        return tuple(n for n in known if any(n in row.symbols for row in self.rows))

    def text(self) -> str:
        """A table and the notes, for a terminal."""
        head = [*self.notations, "array", "meaning"]
        body = [
            [*(_words(row.symbols.get(n, "")) for n in self.notations), _array(row), row.meaning]
            for row in self.rows
        ]
        notes = [
            textwrap.fill(note, WIDTH, initial_indent="- ", subsequent_indent="  ")
            for note in self.notes
        ]
        return "\n".join(["Dictionary", *_columns([head, *body]), "", *notes])

    def latex(self) -> str:
        """The table as an array of equations, the notes as comments."""
        rows = [
            " & ".join([*(row.symbols.get(n, "") for n in self.notations),
                        rf"\texttt{{{_typed(_array(row))}}}", rf"\text{{{row.meaning}}}"])
            for row in self.rows
        ]  # fmt: skip
        columns = "l" * (len(self.notations) + 2)
        head = " & ".join(rf"\text{{{x}}}" for x in [*self.notations, "array", "meaning"])
        body = "\\\\\n".join(f"\t{row}" for row in [head + r"\\ \hline", *rows])
        body = body.replace("\\hline\\\\", "\\hline")
        table = f"\\[\n\\begin{{array}}{{{columns}}}\n{body}\n\\end{{array}}\n\\]"
        return "\n".join(["% Dictionary", table, *(f"% {note}" for note in self.notes)])

    def json(self) -> dict[str, object]:
        """The same as plain values."""
        rows = [
            {"symbols": dict(row.symbols), "name": row.name, "axes": list(row.axes),
             "entry": row.entry, "meaning": row.meaning}
            for row in self.rows
        ]  # fmt: skip
        return {"notation": self.notation, "rows": rows, "notes": list(self.notes)}

    def __str__(self) -> str:
        return self.text()


def _words(tex: str) -> str:
    return plain_indices(tex) if tex else ""


def _typed(text: str) -> str:
    return text.replace("_", r"\_")


def _array(row: Row) -> str:
    if not row.name:
        return "the value returned" if row.meaning == COST else "without a name"
    if "(" in row.meaning[:1]:  # says its axes itself, where there is more room
        return row.entry
    return f"{row.entry}  ({', '.join(row.axes)})" if row.axes else f"{row.name}  (a number)"


def _columns(lines: list[list[str]]) -> Iterator[str]:
    """Columns side by side; the last one goes on below where the line would be too long."""
    widths = [max(width(line[i]) for line in lines) for i in range(len(lines[0]) - 1)]
    indent = 2 + sum(width + 2 for width in widths)
    for line in lines:
        cells = (x + " " * (n - width(x)) for x, n in zip(line, widths, strict=False))
        last = textwrap.wrap(line[-1], max(WIDTH - indent, SLIMMEST)) or [""]
        yield ("  " + "  ".join([*cells, last[0]])).rstrip()
        yield from (" " * indent + more for more in last[1:])


def dictionary(
    found: Derived, notation: str = "index", original: Definition | None = None
) -> Dictionary:
    """What the symbols of `notation` are in the others and in the code.

    Args:
        found: the derivation that is shown.
        notation: the one whose symbols come first.
        original: the definition as it was written, if the examples were laid out another way.

    Raises:
        ParameterError, GraphError: the network cannot be written in this notation.
    """
    refuse_unknown(notation)
    if notation == "chain":
        refuse_arrays(found)
    try:
        form = indexed(found)
    except ParameterError:
        if notation == "index":
            raise
        form = Indexed((), ())
    shown = by_output(found).entries if notation == "outputs" else ()
    rows = list(_rows(found, form, notation, shown))
    notes = tuple(_notes(found, form, notation, original))
    return Dictionary(notation, tuple(rows), notes)


def _rows(found: Derived, form: Indexed, notation: str, shown: tuple[Entry, ...]) -> Iterator[Row]:
    code = {**found.program.name_of}
    parts = {e.name or e.expr: e for e in shown}
    for entry in form.entries or tuple(_plain_entries(found)):
        derivative = isinstance(entry.shown, Partial)
        of = entry.name.removeprefix("d") if derivative else entry.name
        symbols = {"index": entry.tex} if form.entries else {}
        symbols["matrix"] = _matrix(entry, of, derivative)
        if notation == "chain":
            symbols["chain"] = (
                rf"\frac{{dL}}{{d{label(of)}}}" if derivative else label(of) if of else "L"
            )
        own = parts.get(entry.name or entry.expr)
        if own is not None:
            symbols["outputs"] = own.tex
        name = code.get(entry.expr, entry.name) if derivative else entry.name
        axes = entry.expr.axes
        letters = (own or entry).letters
        meaning = (own and entry.short) or entry.role  # letters of the other notation would mislead
        yield Row(symbols, name, axes, _entry(name, axes, letters), meaning)
    for entry in shown:
        if entry.name.startswith("parts[") and isinstance(entry.shown, Partial):
            axes = (*entry.shown.of.axes, *entry.expr.axes)
            meaning = f"({', '.join(axes)}): {entry.role}"
            yield Row({"outputs": entry.tex}, entry.name, axes, entry.name, meaning)


def _plain_entries(found: Derived) -> Iterator[Entry]:
    """The values of a network that has no index notation."""
    for e, name in ({x: x.name for x in found.definition.inputs} | dict(found.names)).items():
        if e is not found.value:
            yield Entry(Symbol(label(name)), {}, e, name, "")
    for name, e in found.grads.items():
        shown = Partial(Symbol(LOSS), Symbol(label(name)))
        yield Entry(shown, {}, e, f"d{name}", f"derivative with respect to {name}")


def _matrix(entry: Entry, of: str, derivative: bool) -> str:
    if derivative:
        return rf"\frac{{\partial {LOSS}}}{{\partial {label(of)}}}"
    return label(of) if of else "" if entry.role != COST else LOSS


def _entry(name: str, axes: tuple[str, ...], letters: Mapping[str, str]) -> str:
    if not axes or not letters:
        return name
    places = ("0" if axis == "1" else plain(letter_of(axis, letters)) for axis in axes)
    return f"{name}[{', '.join(places)}]"


def _notes(
    found: Derived, form: Indexed, notation: str, original: Definition | None
) -> Iterator[str]:
    root = found.definition.root
    yield _normalisation(root, examples_axis(found.definition))
    yield from _ways(form)
    functions = _functions(form, root)
    if functions:
        yield functions
    if any(x.op == "one_hot" or x.op == "cross_entropy" for x in postorder(root)):
        yield "Classes count from 0, as in the code; [y = j] is 1 where the class is j, else 0."
    if notation in ("index", "outputs"):
        yield "Letters count from 1 in the equations, from 0 in the arrays."
    if any(x.op in ("bce", "kl") for x in postorder(root)):
        yield "0 · log 0 counts as 0."
    if original is not None:
        yield from _turned(found.definition, original)


def _normalisation(root: Expr, examples: str) -> str:
    """Whether 1/m and ½ are there."""
    half = {"mse": "There is no factor ½ in it: the slope of a square is 2(ŷ − y).",
            "sum_squares": "There is no factor ½ in it: the slope of a square is 2(ŷ − y).",
            "half_mse": "It has the factor ½: the slope of half a square is ŷ − y."}  # fmt: skip
    reduction = dict(root.attrs).get("reduction")
    name = f"The cost is {root.op}" if reduction or root.op == "sum_squares" else "The cost"
    if reduction == "mean":
        said = (
            f"{name}, a mean over the {examples} examples: 1/{examples} comes into the backward "
            "pass with the derivative by the output, once."
        )
    elif reduction == "sum" or root.op == "sum_squares":
        said = f"{name}, a sum over the examples: no derivative has a factor 1/{examples}."
    else:
        divided = any(n.op == "size" and n["axis"] == examples for n in postorder(root))
        divided |= any(n.op == "mean" and examples in n["over"] for n in postorder(root))
        says = f"1/{examples} is part of it" if divided else f"no 1/{examples} is part of it"
        said = f"{name} is as the definition writes it: {says}."
    return f"{said} {half.get(root.op, '')}".strip()


def _ways(form: Indexed) -> Iterator[str]:
    """Which index leads where, and how the array is stored."""
    stored = {"to first": [], "from first": []}  # type: dict[str, list[str]]
    for layer in form.layers:
        if len(layer.weights.axes) == 2:
            way = "to first" if layer.weights.axes[0] == layer.to else "from first"
            stored[way].append(layer.weights.name)
    if not form.layers:
        return
    yield "In w_jk the first index is the neuron that the weight leads to, the second where from."
    if stored["to first"]:
        names = ", ".join(stored["to first"])
        yield f"Stored (to, from), as w_jk is written: {names}. Row j holds what neuron j reads."
    if stored["from first"]:
        names = ", ".join(stored["from first"])
        stored_so = f"Stored (from, to), so w_jk is [k, j] there: {names}."
        yield f"{stored_so} Column j holds what neuron j reads."


def _functions(form: Indexed, root: Expr) -> str:
    """What f and σ are."""
    if form.layers:
        names = [layer.function for layer in form.layers]
        said = [f"{name} in layer {n}" for n, name in enumerate(names, 1)]
        sigma = " σ is the logistic function 1/(1 + e^(−z))." if "sigmoid" in names else ""
        return f"The activation f: {', '.join(said)}.{sigma}{_kinks(names)}"
    used = dict.fromkeys(n.op for n in postorder(root) if n.op in OPS and is_elementwise(OPS[n.op]))
    sigma = "σ is the logistic function 1/(1 + e^(−z))." if "sigmoid" in used else ""
    return f"{sigma}{_kinks(list(used))}".strip()


def _kinks(names: list[str]) -> str:
    """What slope counts at a kink."""
    kinks = {"relu": "relu′(0) = 0", "leaky_relu": "lrelu′(0) is the slope", "abs": "|x|′ = 0 at 0"}
    said = [kinks[name] for name in dict.fromkeys(names) if name in kinks]
    return f" At the kink: {', '.join(said)}." if said else ""


def _turned(shown: Definition, original: Definition) -> Iterator[str]:
    """Which arrays are given as transposes."""
    for x in shown.inputs:
        before = original.input[x.name].axes
        if before != x.axes:
            yield (
                f"{x.name} is ({', '.join(x.axes)}) here and ({', '.join(before)}) in the "
                "definition: give its transpose."
            )
    yield "Parameters, and so their gradients, are the same arrays in both layouts."
