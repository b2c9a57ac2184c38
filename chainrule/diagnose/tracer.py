"""Arrays that write down what NumPy does to them.

A `Tracer` follows NumPy's own protocols (`__array_ufunc__`, `__array_function__`), so a function
that knows nothing of chainrule can be written down as it is. What each function of NumPy means
stands in `chainrule.diagnose.calls`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.check.named import Array
from chainrule.diagnose.tape import Dim, Node, Tape, Untraceable


class Size(int):
    """The size of an axis that remembers which: 1/m stays 1/m."""

    dim: Dim
    tape: Tape

    def __new__(cls, dim: Dim, tape: Tape) -> Size:
        """The size of `dim`, which is a number like any other."""
        size = super().__new__(cls, dim.size)
        size.dim, size.tape = dim, tape
        return size

    def traced(self) -> Tracer:
        """The size as a value."""
        dim = self.dim
        return Tracer(self.tape.add("size", (), float(int(self)), (), dim=dim), self.tape)

    def __mul__(self, other: Any) -> Any:
        return self._with(np.multiply, self.traced, other, int.__mul__)

    def __rmul__(self, other: Any) -> Any:
        return self.__mul__(other)

    def __truediv__(self, other: Any) -> Any:
        return self._with(np.divide, self.traced, other, int.__truediv__)

    def __rtruediv__(self, other: Any) -> Any:
        if isinstance(other, int | float | np.number):
            return np.divide(float(other), self.traced())
        return NotImplemented

    def _with(self, function: Any, traced: Any, other: Any, plain: Any) -> Any:
        if isinstance(other, Size):
            return function(traced(), other.traced())
        if isinstance(other, int | float | np.number):
            return function(traced(), float(other))
        return NotImplemented if not isinstance(other, int) else plain(self, other)

    __hash__ = int.__hash__


class Tracer(np.lib.mixins.NDArrayOperatorsMixin):
    """One value of the function that is written down."""

    __array_priority__ = 1000.0

    def __init__(self, node: Node, tape: Tape) -> None:
        self.node, self.tape = node, tape

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from chainrule.diagnose.calls import ufunc_call

        out = options.pop("out", None)
        result = ufunc_call(self.tape, ufunc, method, inputs, options)
        if out is None:
            return result
        target = out[0]
        if not isinstance(target, Tracer) or target.shape != result.shape:
            raise Untraceable(f"np.{ufunc.__name__} writes into an array of the function's own")
        target.node = result.node
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        from chainrule.diagnose.calls import function_call

        return function_call(self.tape, function, args, options)

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise Untraceable("it makes a new array of its values (np.array, np.asarray, x[…] = …)")

    def __getattr__(self, name: str) -> Any:
        from chainrule.diagnose.calls import METHODS

        if name in METHODS:
            return lambda *args, **options: METHODS[name](self, *args, **options)
        if name.startswith("__"):
            raise AttributeError(name)
        raise Untraceable(f"it uses .{name} of an array")

    def __getitem__(self, index: Any) -> Tracer:
        from chainrule.diagnose.indexing import getitem

        return Tracer(getitem(self.tape, self.node, index), self.tape)

    def __setitem__(self, index: Any, value: Any) -> None:
        """x[mask] = number is written down; after anything else, x is an array of plain numbers.

        That is as good where the result does not depend on it: a gradient that is kept for later,
        ``probs[rows, y] -= 1``. Where it does, what was written down is not used.
        """
        number = np.asarray(value) if isinstance(value, int | float | np.number) else None
        mask = index.node if isinstance(index, Tracer) else None
        whole = mask is not None and mask.value.dtype.kind == "b" and mask.value.shape == self.shape
        if number is not None and whole:
            chosen: Any = np.where(index, float(number), self)
            self.node = chosen.node
            return
        array = self.node.value.copy()
        array[value_of(index)] = value_of(value)
        self.tape.escaped.append(self.node)
        self.node = self.tape.own(array)

    def __iter__(self) -> Iterator[Tracer]:
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        if not self.node.dims:
            raise TypeError("len() of a number")
        return int(self.node.value.shape[0])

    def __bool__(self) -> bool:
        return bool(self.node.value)

    def __float__(self) -> float:
        self.tape.escaped.append(self.node)
        return float(self.node.value.reshape(()))

    def __index__(self) -> int:
        value = float(self.node.value.reshape(()))
        if value != int(value):
            raise TypeError("no whole number")
        return int(value)

    def __repr__(self) -> str:
        return repr(self.node.value)

    def __format__(self, spec: str) -> str:
        return format(self.node.value[()], spec)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, each of which remembers its axis."""
        return tuple(1 if d is None else Size(d, self.tape) for d in self.node.dims)

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.node.dims)

    @property
    def size(self) -> int:
        """How many entries there are."""
        return int(self.node.value.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.node.value.dtype

    @property
    def T(self) -> Tracer:
        """The axes in reverse order."""
        return Tracer(self.tape.view(self.node, range(self.ndim)[::-1]), self.tape)


def node_of(tape: Tape, x: Any) -> Node:
    """The node of any operand."""
    if isinstance(x, Tracer):
        return x.node
    if isinstance(x, Size):
        return x.traced().node
    return tape.own(x)


def value_of(x: Any) -> Any:
    """What NumPy would have computed with."""
    if isinstance(x, Tracer):
        return x.node.value
    if isinstance(x, tuple | list):
        return type(x)(value_of(part) for part in x)
    return x
