"""The network of a problem at random points: what an answer may name, and what is right."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from chainrule.derivation import Derivation, derive
from chainrule.diagnose.recognise import values_at
from chainrule.differentiate import reverse, substitute
from chainrule.expr import Definition, Expr, Spec, input_
from chainrule.netfile import parse_net
from chainrule.run.bind import Array
from chainrule.run.keyed import normal

POINTS = 3
SIZES = {"m": 5, "n": 3, "k": 4, "c": 2}
"""All different, so that a missing transpose cannot fit by accident."""
SQUARE = 4  # what all sizes are where a formula whose shapes do not fit is to have a value
OWN = "own"
LEAST, MOST = 1e-5, 1e4  # of derivatives whose digits can be compared

Names = dict[str, Array]
"""Arrays by canonical name, numbers without axes and matrices with two."""


class Network:
    """A network with points to compare at.

    Args:
        source: the ``.net`` text, or the definition.
        rows: whether matrices have the examples in rows.
        one_hot: a target whose columns (rows) are one-hot.
        labels: targets that are 0 or 1.
        shown: the ``.net`` text that is printed, if the loss reads better in other words.
        points: values of the inputs; drawn if not given.
        sizes: of the axes.
        loss: what the result is called.
    """

    def __init__(
        self,
        source: str | Definition,
        *,
        rows: bool = False,
        one_hot: str = "",
        labels: str = "",
        shown: str = "",
        points: Sequence[dict[str, Array]] | None = None,
        sizes: Mapping[str, int] = SIZES,
        loss: str = "L",
    ) -> None:
        self.definition = source if isinstance(source, Definition) else parse_net(source)
        self.rows, self._one_hot, self._labels = rows, one_hot, labels
        self.shown = parse_net(shown) if shown else self.definition
        self._points, self.sizes, self.loss = points, sizes, loss
        self.named: dict[str, Expr] = {
            **self.definition.input,
            **{n: e for n, e in self.definition.values if e is not self.definition.root},
        }

    @functools.cached_property
    def printed(self) -> Derivation:
        """Both passes, as they are printed."""
        return derive(self.shown)

    @functools.cached_property
    def points(self) -> list[dict[str, Array]]:
        """Values of the inputs, drawn once and for all."""
        if self._points is not None:
            return list(self._points)
        return [
            {x.name: self._drawn(x, i, number) for i, x in enumerate(self.definition.inputs)}
            for number in range(POINTS)
        ]

    def size(self, axis: str) -> int:
        """How long an axis is at the points."""
        return self.sizes.get(axis, 1)

    def _drawn(self, x: Expr, stream: int, number: int) -> Array:
        shape = tuple(self.size(a) for a in x.axes)
        drawn = normal(7, "check", number, shape, stream=stream)
        if x.name == self._labels:
            return np.asarray(drawn > 0, np.float64)
        if x.name == self._one_hot:
            axis = 1 if self.rows else 0
            return np.asarray(drawn == drawn.max(axis=axis, keepdims=True), np.float64)
        return np.asarray(drawn)

    def presented(self, of: str) -> tuple[int, ...]:
        """The shape that a value has in the problem: a row or column has two sides."""
        return tuple(self.size(a) for a in self.letters(of))

    def letters(self, of: str) -> tuple[str, ...]:
        """The shape in letters: ("k", "1"); () for a number."""
        axes = self.named[of].axes
        if len(axes) != 1:
            return tuple(axes)
        lies = (axes[0] == "m") != self.rows
        return ("1", axes[0]) if lies else (axes[0], "1")

    def names(self, arrays: Mapping[str, Array], own: Mapping[str, Array] | None = None) -> Names:
        """What an answer may name at a point: inputs, values, sizes, and derivatives.

        Args:
            arrays: of the inputs.
            own: derivatives that parts before ask for, by the name of the value.
        """
        given = list(self.named)
        [values] = values_at(list(self.named.values()), self.definition.inputs, [arrays])
        found = {
            n: np.asarray(v).reshape(self.presented(n)) for n, v in zip(given, values, strict=True)
        }
        found |= {a: np.asarray(float(n)) for a, n in self._sizes().items() if a not in found}
        for of, value in (own or {}).items():
            for name in self.derivatives(of):
                found[name] = value
        return found

    def derivatives(self, of: str) -> tuple[str, ...]:
        """The names of the derivative by a value: dZ, dL/dZ."""
        return tuple(dict.fromkeys((f"d{of}", f"d{self.loss}/d{of}", f"dL/d{of}")))

    def called(self, of: str) -> str:
        """What messages call it."""
        return f"d{of}" if self.loss == "L" else f"d{self.loss}/d{of}"

    def _sizes(self) -> dict[str, int]:
        axes = {a for x in self.definition.inputs for a in x.axes if a in self.sizes}
        return {a: self.sizes[a] for a in sorted(axes)}

    def _derivative(self, of: str, follows: str) -> Expr:
        """The derivative of the loss by a value; from that by a later one if one is given.

        The later one's derivative is then the input `OWN`.
        """
        key = (of, follows)
        if key not in self._derivatives:
            root, seed = self.definition.root, None
            if follows:
                root = self.named[follows]
                seed = input_(OWN, Spec(root.axes, root.sizes))
            leaves = [x for x in self.definition.inputs if x.kind == "float"]
            found = reverse(root, leaves, seed=seed)
            target = self.named[of]
            by_input = target in found.wrt
            self._derivatives[key] = (found.wrt if by_input else found.cotangents)[target]
        return self._derivatives[key]

    def true(self, of: str) -> list[Array]:
        """The derivative by a value at each of the points."""
        if of not in self._true:
            self._true[of] = [self.truth(of, p) for p in self.points]
        return self._true[of]

    def moderate(self, names: Iterable[str]) -> bool:
        """Whether derivatives are neither huge nor, at most of the points, next to nothing."""
        sizes = [[float(np.max(np.abs(t))) for t in self.true(of)] for of in names]
        return all(max(s) <= MOST and sorted(s)[1] >= LEAST for s in sizes)

    def names_at(self, number: int, earlier: Sequence[str]) -> Names:
        """What an answer may name at one of the points."""
        key = (number, *earlier)
        if key not in self._names:
            own = {o: self.true(o)[number] for o in earlier}
            self._names[key] = self.names(self.points[number], own)
        return self._names[key]

    def truth(
        self, of: str, arrays: Mapping[str, Array], follows: str = "", own: Array | None = None
    ) -> Array:
        """The derivative by a value, in the shape that it has in the problem.

        Args:
            of: the value.
            arrays: of the inputs.
            follows: a later value whose derivative is taken to be `own`.
            own: in the shape that it has in the problem.
        """
        derivative = self._derivative(of, follows if own is not None else "")
        inputs = list(self.definition.inputs)
        point = dict(arrays)
        if own is not None and follows:
            later = self.named[follows]
            inputs.append(input_(OWN, Spec(later.axes, later.sizes)))
            point[OWN] = own.reshape([self.size(a) for a in later.axes])
        [[value]] = values_at([derivative], inputs, [point])
        shape = tuple(self.size(a) for a in self.named[of].axes)
        return np.broadcast_to(np.asarray(value), shape).reshape(self.presented(of))

    @functools.cached_property
    def _true(self) -> dict[str, list[Array]]:
        return {}

    @functools.cached_property
    def _names(self) -> dict[tuple[object, ...], Names]:
        return {}

    @functools.cached_property
    def _derivatives(self) -> dict[tuple[str, str], Expr]:
        return {}

    def cut(self, of: str) -> Network:
        """The network from a value on: what was computed for it before is an input now."""
        if of in self.definition.input:
            return self
        target = self.named[of]
        fresh = input_(of, Spec(target.axes, target.sizes))
        values = [(n, e) for n, e in self.definition.values if e is not target]
        new = substitute([self.definition.root, *(e for _, e in values)], {target: fresh})
        definition = Definition(
            self.definition.name,
            new[self.definition.root],
            (*self.definition.inputs, fresh),
            tuple((n, new[e]) for n, e in values),
            (of,),
        )
        points = self.values_at_points(of)
        return Network(definition, rows=self.rows, points=points, sizes=self.sizes, loss=self.loss)

    def square(self) -> Network:
        """The same network with all sizes equal, where all products of matrices fit."""
        return Network(
            self.definition,
            rows=self.rows,
            one_hot=self._one_hot,
            labels=self._labels,
            sizes=dict.fromkeys(self.sizes, SQUARE),
            loss=self.loss,
        )

    def values_at_points(self, of: str) -> list[dict[str, Array]]:
        """The points, each with a value of the forward pass beside the inputs."""
        found = []
        for point in self.points:
            [[value]] = values_at([self.named[of]], self.definition.inputs, [point])
            shape = tuple(self.size(a) for a in self.named[of].axes)
            found.append({**point, of: np.broadcast_to(value, shape).copy()})
        return found
