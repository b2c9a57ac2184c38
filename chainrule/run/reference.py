"""The reference executor: runs the very text that is shown. The only place with `exec`.

The text comes from `chainrule.emit.python`, which builds it from operation records and checked
identifiers; no text from a user or a file reaches it.
"""

from __future__ import annotations

import functools
import itertools
import linecache
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from chainrule.emit.python import identifier, source
from chainrule.plan.program import Program
from chainrule.run.bind import Array, bind, sizes_of
from chainrule.run.demands import Demands, demands, refuse

_serial = itertools.count(1)
AT_ONCE = 4096  # rows at a time: bounds the memory that they take
VALUE = "value"  # what the first output is called where outputs are found by name


class Reference:
    """A Program as a function of arrays.

    Args:
        program: what to run.

    Attributes:
        text: the Python that runs.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.text = source(program)
        self._outputs = [value for _, value in program.outputs]
        self._function = _load(self.text, identifier(program.name))

    def __call__(self, **given: object) -> tuple[Array, dict[str, Array]]:
        """Run on checked arrays.

        Returns:
            The first output, and the others by name; float type as given, shapes as declared by
            the axes.

        Raises:
            ParameterError, ShapeError, DTypeError: the arrays do not fit the inputs (see `bind`)
                or each other.
            DataError: a mean or a largest entry is taken over no entries, or a label names no
                position.
        """
        arrays = bind(self.program.inputs, given, where=self.program.name)
        refuse(self._demands, arrays, sizes_of(self.program.inputs, arrays))
        return self.run(arrays)

    @functools.cached_property
    def _demands(self) -> Demands:
        return demands(self._outputs)

    def run(self, arrays: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Run on arrays that fit; nothing is checked. Infinities and NaN flow as in IEEE 754."""
        with np.errstate(all="ignore"):
            result = self._function(*(arrays[x.name] for x in self.program.inputs))
            return self._sorted(result, arrays)

    def _sorted(self, result: Any, arrays: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """What the function returned, as arrays of their own."""
        first, rest = result if isinstance(result, tuple) else (result, {})
        dtype = next((arrays[x.name].dtype for x in self.program.inputs if x.kind == "float"), None)
        keys = [key for key, _ in self.program.outputs[1:]]
        exprs = self._outputs
        taken = {id(array) for array in arrays.values()}
        values = []
        for value, expr in zip((first, *rest.values()), exprs, strict=True):
            values.append(_settled(value, None if expr.kind == "int" else dtype, taken))
            taken.add(id(values[-1]))
        return values[0], dict(zip(keys, values[1:], strict=True))


class ReferenceByRow:
    """The same on any number of rows, some at a time; see `chainrule.run.byrow`.

    Args:
        at_once: how many rows it takes at a time; None: all, for rows that depend on each other.
    """

    def __init__(
        self,
        program: Program,
        by_row: Collection[str],
        examples: str,
        at_once: int | None = AT_ONCE,
    ) -> None:
        self.examples, self.at_once = examples, at_once
        self.axes = {x.name: x.axes for x in program.inputs if x.name in by_row}
        self.reference = Reference(program)

    def __call__(self, values: Mapping[str, Array], rows: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for some rows."""
        count = len(next(iter(rows.values())))
        size = self.at_once or count
        parts = [self._part(values, rows, at, at + size) for at in range(0, count, size)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _part(
        self, values: Mapping[str, Array], rows: Mapping[str, Array], start: int, stop: int
    ) -> dict[str, Array]:
        here = {
            name: np.moveaxis(rows[name][start:stop], 0, axes.index(self.examples))
            for name, axes in self.axes.items()
        }
        first, others = self.reference.run({**values, **here})
        return {VALUE: first, **others}


def _settled(value: Any, dtype: np.dtype[Any] | None, taken: set[int]) -> Array:
    """An array of its own: inputs, views and what was handed out before are copied."""
    array = np.asarray(value, dtype)
    own = array.flags.owndata and array.flags.writeable and id(array) not in taken
    return array if own else array.copy()


def _load(text: str, name: str) -> Callable[..., Any]:
    file = f"<chainrule {name} {next(_serial)}>"
    namespace: dict[str, Any] = {}
    exec(compile(text, file, "exec"), namespace)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    function: Callable[..., Any] = namespace[name]
    return function
