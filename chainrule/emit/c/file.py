"""The whole file: head, sizes, arrays, helpers, one function for each kernel, and the call."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.emit.c.helpers import helpers
from chainrule.emit.c.loops import Loops
from chainrule.emit.c.text import INT, UNARY, Lines, Names, comment
from chainrule.emit.c.values import Place, Values
from chainrule.emit.llvm.lanes import FLOAT32, FLOAT64, Real, c_number
from chainrule.emit.plain import plain
from chainrule.emit.tex import Printer, label, orientations
from chainrule.errors import ResourceError
from chainrule.expr import Expr, describe, postorder
from chainrule.plan.kernels import Kernel
from chainrule.plan.phases import accesses
from chainrule.plan.steps import StepPlan
from chainrule.plan.storage import Buffer

LARGEST = 2**31 - 1  # a constant of an enum: C11, 6.7.2.2
COLUMNS = 96  # of a comment
LONGEST_EQUATION = 40  # operations; what is longer is shown without its depths
PER_LINE = 6  # numbers of an array


@dataclass(frozen=True)
class Call:
    """A function that runs a plan once.

    Attributes:
        network, what: its name is made of both: ``digits_predict``.
        plan: for one thread.
        examples: the axis whose sums are taken leaf by leaf.
        about: lines for the head of the file.
        titles: better names for buffers.
        notes: what arguments are, by buffer or number.
        constants: numbers of buffers that are baked in, in C order.
        numbers: buffers that are computed from numbers of the call, in double precision.
    """

    network: str
    what: str
    plan: StepPlan
    examples: str
    about: Sequence[str] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Sequence[float]] = field(default_factory=dict)
    numbers: Mapping[str, Expr] = field(default_factory=dict)


def source(called: Call) -> str:
    """The text of the C file.

    Raises:
        ResourceError: an axis has more positions than C can name.
    """
    return _File(called).text()


class _File:
    def __init__(self, called: Call) -> None:
        self.called, self.plan = called, called.plan
        self.real: Real = FLOAT32 if called.plan.itemsize == 4 else FLOAT64
        self.names = Names()
        self.function = self.names.fresh(f"{called.network[:24]}_{called.what}")
        uses = [accesses(k, "", self.plan.buffer_of) for k in self.plan.kernels]
        self.written = {a.buffer for found in uses for a in found if a.writes}
        self.read = {a.buffer for found in uses for a in found if not a.writes}
        used = self.written | self.read
        self.buffers = [b for b in self.plan.buffers.values() if b.name in used]
        titles = called.titles
        self.name_of = {b.name: self.names.fresh(titles.get(b.name, b.name)) for b in self.buffers}
        values = [x for k in self.plan.kernels for x in k.values]
        axes = dict.fromkeys(axis for node in postorder(*values) for axis in node.axes)
        self.shown = {a: self.names.fresh(f"{a}_size") for a in axes if self.plan.sizes[a] > 1}
        self.helpers: set[tuple[str, Real]] = set()
        shown = {node: label(self.name_of[name]) for node, name in self._named()}
        self.printer = Printer(shown, orientations(self.plan.buffer_of))

    def _named(self) -> Iterable[tuple[Expr, str]]:
        found = self.plan.buffer_of.items()
        return ((node, name) for node, name in found if name in self.name_of)

    def text(self) -> str:
        """All parts in order."""
        kernels: list[str] = []
        calls: list[str] = []
        touched: set[str] = set()
        for k in self.plan.kernels:
            name = self.names.fresh(f"compute_{self.name_of[self.plan.buffer_of[k.stores[-1]]]}")
            lines, arguments = self._kernel(name, k)
            kernels.append("\n".join(lines))
            calls.append(f"{name}({', '.join(self.name_of[b.name] for b in arguments)});")
            touched.update(b.name for b in arguments)
        self.buffers = [b for b in self.buffers if b.name in touched]  # some inputs only say a size
        call = self._call(calls)
        parts = [self._head(), self._sizes(), *self._arrays(), helpers(self.helpers)]
        return "\n".join(part for part in (*parts, *kernels, call) if part)

    def _head(self) -> str:
        about = [
            *self.called.about,
            "",
            "Arrays hold their entries in C order and must not overlap.",
        ]
        if self._arena_entries():
            about.append("Results on the way lie in static memory: one call at a time.")
        about += ["", "cc -O3 -std=c11 FILE.c -lm (never with -ffast-math; with -march=native"]
        about += ["-ffp-contract=off, where that means fused multiply-add, the bits are those of"]
        about += ["chainrule's own machine code)"]
        return _comment(about) + "\n#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"

    def _sizes(self) -> str:
        for axis in self.shown:
            if self.plan.sizes[axis] > LARGEST:
                what = f"axis {axis!r} has {self.plan.sizes[axis]:,} positions, C takes {LARGEST:,}"
                raise ResourceError(what, hint="Export it with a smaller batch size")
        lines = [f"  {name} = {self.plan.sizes[a]}," for a, name in self.shown.items()]
        return "\n".join(["enum {", *lines, "};\n"]) if lines else ""

    def _arrays(self) -> Iterable[str]:
        for b in self.buffers:
            if b.name in self.called.constants:
                yield self._constant(b, self.called.constants[b.name])
        if self._arena_entries():
            note = "Results on the way; those that are not needed at the same time share places."
            yield f"/* {note} */\nstatic {self.real.c} {self.arena}[{self._arena_entries()}];\n"
        for b in self._own():
            if b.kind == INT:
                name = self.name_of[b.name]
                yield f"static int64_t {name}[{_count(b)}]; /* {self._shape(b)} */\n"

    def _constant(self, b: Buffer, numbers: Sequence[float]) -> str:
        kind = "int64_t" if b.kind == INT else self.real.c
        spelled = [str(int(x)) if b.kind == INT else c_number(x, self.real) for x in numbers]
        rows = (spelled[i : i + PER_LINE] for i in range(0, len(spelled), PER_LINE))
        lines = "".join(f"  {', '.join(row)},\n" for row in rows)
        head = f"static const {kind} {self.name_of[b.name]}[{len(spelled)}] = {{"
        return f"/* {self._note(b)} */\n{head}\n{lines}}};\n"

    @property
    def arena(self) -> str:
        """What the array for results on the way is called."""
        return "arena_of_" + self.function

    def _own(self) -> list[Buffer]:
        return [b for b in self.buffers if b.offset is not None]

    def _arena_entries(self) -> int:
        ends = [(b.offset or 0) + b.bytes for b in self._own() if b.kind != INT]
        return -(-max(ends, default=0) // self.plan.itemsize)

    def _shape(self, b: Buffer) -> str:
        """``m=32 n=784``, harmless in a comment."""
        sizes = self.plan.sizes
        return comment(" ".join(f"{a}={sizes[a]}" for a in b.axes if a != "1") or "one number")

    def _note(self, b: Buffer) -> str:
        """A label that is no C name stands beside the name that it got; then shape and meaning."""
        called = self.called
        shown = called.titles.get(b.name, b.name)
        parts = [] if shown == self.name_of[b.name] else [comment(shown)]
        parts.append(self._shape(b))
        parts += [comment(called.notes[b.name])] if b.name in called.notes else []
        if b.name in self.written and b.offset is None:
            parts.append("changed" if b.name in self.read else "result")
        return ", ".join(parts)

    def _is_number(self, b: Buffer) -> bool:
        """Whether it is passed as a number, not as an array."""
        fixed = b.name not in self.written and b.name not in self.called.constants
        return not b.axes and fixed

    def _parameter(self, b: Buffer, written: bool) -> str:
        kind = "int64_t" if b.kind == INT else self.real.c
        name = self.name_of[b.name]
        if self._is_number(b):
            return f"const {kind} {name}"
        return f"{'' if written else 'const '}{kind} *restrict {name}"

    def _kernel(self, name: str, k: Kernel) -> tuple[list[str], list[Buffer]]:
        """The text of a kernel, and the buffers that it takes."""
        buffer_of = self.plan.buffer_of
        values = Values(
            self.real,
            {node: self._place(name) for node, name in self._named()},
            self.plan.sizes,
            self.shown,
            _readers(k, buffer_of),
            self.names.inside(),
            self.helpers,
        )
        Loops(k, values, lambda x: self.name_of[buffer_of[x]], self.called.examples).write()
        body, words = values.lines.needed()
        taken = [b for b in self.buffers if self.name_of[b.name] in words]
        out = {buffer_of[x] for x in k.stores}
        parameters = [self._parameter(b, b.name in out) for b in taken]
        head = _filled(f"static void {name}(", parameters, ") {")
        return [_comment(self._equations(k)), *head, *body, "}\n"], taken

    def _place(self, name: str) -> Place:
        b = self.plan.buffers[name]
        return Place(self.name_of[name], b.axes, b.kind, self._is_number(b))

    def _equations(self, k: Kernel) -> list[str]:
        """The kernel in mathematics, and its loops."""
        buffer_of, lines = self.plan.buffer_of, []
        inside = Printer(dict(self.printer.names), self.printer.orientation)
        for node in k.values:
            own = inside.names.pop(node, None)
            if own is None:
                continue
            sign = "←" if buffer_of[node] in self.read_by_caller else "="
            short = _operations(node, inside.names) <= LONGEST_EQUATION
            right = plain(inside.definition(node).text) if short else describe(node, 3)
            lines.append(f"{plain(own)} {sign} {right}")
            inside.names[node] = own
        over = tuple(k.root["over"]) if k.root is not None and k.root.op != "scatter_add" else ()
        shape = f"for every {' '.join(k.axes)}" if k.axes else "one number"
        return [*lines, f"({shape}{', over ' + ' '.join(over) if over else ''})"]

    @property
    def read_by_caller(self) -> set[str]:
        """Buffers that come in and are overwritten."""
        return {b.name for b in self.buffers if b.offset is None and b.name in self.read}

    def _call(self, calls: Sequence[str]) -> str:
        lines, names = Lines(), self.names.inside()
        given = [
            b
            for b in self.buffers
            if b.offset is None and b.name not in {*self.called.constants, *self.called.numbers}
        ]
        given.sort(key=lambda b: b.name in self.written and b.name not in self.read)
        parameters = [(self._parameter(b, b.name in self.written), self._note(b)) for b in given]
        used = {b.name for b in self.buffers}
        inputs: dict[Expr, Place] = {}
        for name, value in self.called.numbers.items():
            if name in used:
                for x in postorder(value):
                    if x.op == "input" and x not in inputs:
                        inputs[x] = Place(names.fresh(x.name), (), "f", number=True)
                        note = comment(self.called.notes.get(x.name, "a number"))
                        parameters.append((f"const double {inputs[x].name}", note))
        values = Values(FLOAT64, inputs, {}, {}, {}, names, self.helpers)
        values.lines = lines
        for name, value in self.called.numbers.items():
            if name in used:
                text = values.value(value, {})
                cast = f"({self.real.c}){text.at(UNARY)}"
                lines.add(f"const {self.real.c} {self.name_of[name]} = {cast};")
        for b in self._own():
            if b.kind != INT:
                at = f"{self.arena} + {(b.offset or 0) // self.plan.itemsize}"
                lines.add(f"{self.real.c} *const {self.name_of[b.name]} = {at};")
                lines.lines[-1] += f" /* {self._shape(b)} */"
        for call in calls:
            lines.add(call)
        return "\n".join(
            [f"void {self.function}(", *_parameters(parameters), "{", *lines.lines, "}\n"]
        )


def _parameters(listed: Sequence[tuple[str, str]]) -> list[str]:
    """One a line, what each is behind it."""
    ends = [","] * (len(listed) - 1) + [")"]
    return [f"    {p}{end} /* {note} */" for (p, note), end in zip(listed, ends, strict=True)]


def _comment(lines: Iterable[str]) -> str:
    wrapped = [part for line in lines for part in textwrap.wrap(comment(line), COLUMNS) or [""]]
    return "/* " + "\n".join([wrapped[0], *(f" * {line}".rstrip() for line in wrapped[1:])]) + " */"


def _count(b: Buffer) -> int:
    count = 1
    for n in b.shape:
        count *= n
    return count


def _operations(root: Expr, names: Mapping[Expr, str]) -> int:
    """How many operations an equation of `root` shows, those that stand in it twice twice."""
    count: dict[Expr, int] = {}
    todo = [(root, False)]
    while todo:
        node, ready = todo.pop()
        if ready:
            count[node] = 1 + sum(count[x] for x in node.inputs)
        elif node is not root and node in names:
            count[node] = 0
        elif node not in count:
            todo += [(node, True), *((x, False) for x in node.inputs)]
    return count[root]


def _readers(k: Kernel, buffer_of: Mapping[Expr, str]) -> dict[Expr, int]:
    """What is computed or read in a kernel, and how many others there read it."""
    own = set(k.values)
    readers: dict[Expr, int] = {}
    todo = list(k.values)
    while todo:
        for x in todo.pop().inputs:
            readers[x] = readers.get(x, 0) + 1
            if readers[x] == 1 and x not in own and x not in buffer_of:
                todo.append(x)
    return readers


def _filled(head: str, parts: Sequence[str], end: str) -> list[str]:
    """``head part, part, … end`` in lines that are not too long."""
    lines = [head]
    for i, part in enumerate(parts):
        part += end if i == len(parts) - 1 else ","
        if len(lines[-1]) + len(part) > COLUMNS and lines[-1] != head:
            lines.append(f"    {part}")
        else:
            lines[-1] += part if lines[-1] == head else f" {part}"
    return lines
