"""What `cr.derive` returns: a derivation that can be read, called and checked."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chainrule.expr import EXAMPLES, Definition, Expr
from chainrule.netfile import Definable, define
from chainrule.plan.derived import Derived, derived
from chainrule.plan.derived import per_example as _per_example
from chainrule.plan.layers import examples_axis
from chainrule.plan.outputs import has_outputs

if TYPE_CHECKING:
    from chainrule.check.gradient import Report
    from chainrule.check.printed import RoundTrip
    from chainrule.emit.dictionary import Dictionary
    from chainrule.emit.equations import Equations
    from chainrule.explain.steps import Steps
    from chainrule.run.bind import Array
    from chainrule.run.machine import Machine
    from chainrule.run.reference import Reference


class Derivation:
    """Both passes of a network: call it for numbers, print it for equations and code, check it.

    Made by `derive`. It holds no arrays and no state: calling it twice gives the same answer twice.
    """

    def __init__(self, found: Derived) -> None:
        self._derived = found

    @property
    def definition(self) -> Definition:
        """The network that was derived."""
        return self._derived.definition

    @property
    def wrt(self) -> tuple[str, ...]:
        """The names with respect to which the loss was derived."""
        return tuple(self._derived.grads)

    @property
    def gradients(self) -> dict[str, Expr]:
        """The derivatives as expressions, by name."""
        return dict(self._derived.grads)

    def __call__(self, **arrays: object) -> tuple[Array, dict[str, Array]]:
        """The loss and its gradients at these arrays.

        Args:
            arrays: one for each input of the definition, shaped as its axes say; all float64 or
                all float32.

        Returns:
            The loss (a scalar array) and a dict of gradients, each with the shape of its parameter.

        Raises:
            ParameterError, ShapeError, DTypeError, DataError: the arrays do not fit (see
                `chainrule.run.bind`).
        """
        return self._reference(**arrays)

    @functools.cached_property
    def _reference(self) -> Reference:
        from chainrule.run.reference import Reference

        return Reference(self._derived.program)

    def compile(self, threads: int | None = None) -> Machine:
        """The same function as machine code, made for the sizes it is first called with.

        Args:
            threads: how many threads work on it; None: as many as pay.

        Returns:
            A function of arrays, called as the derivation is.

        Raises:
            ParameterError: `threads` is no whole number from 1 to 1024.
        """
        from chainrule.run.machine import Machine
        from chainrule.run.waiting import thread_count

        return Machine(self._derived.program, thread_count(threads))

    def python(self, examples: str | None = None) -> str:
        """NumPy source of a function (inputs) → loss, gradients: what calling this runs.

        Args:
            examples: as for `latex`.
        """
        from chainrule.emit.python import source

        return source(self._laid_out(examples).program)

    def latex(
        self, only: str | None = None, notation: str = "matrix", examples: str | None = None
    ) -> str:
        r"""The equations of both passes.

        Args:
            only: the name of one input: just the line of its derivative.
            notation: "matrix" as in CS230; "index": a_j^{(l)} and w_{jk}^{(l)} with sums written
                out; "chain": scalar networks as two recurrences; "outputs": parts for each example
                and each output.
            examples: "columns" or "rows": the same network with its examples laid out so; None for
                the layout of the definition.

        Raises:
            ParameterError: `only` was not derived, a choice is unknown, or the network cannot be
                written in this notation.
            GraphError: "outputs" where the cost is not a sum over examples and outputs.

        >>> from chainrule.netfile import parse_net
        >>> net = "net line\nparam w:\ninput x: m\ninput y: m\nreturn mse(w * x, y)"
        >>> d = derive(parse_net(net))
        >>> print(d.latex(only="w"))
        \frac{\partial\mathcal{L}}{\partial w} &= \frac{2}{m}(wx - y)x^\intercal
        >>> print(d.latex(only="w", notation="index"))
        \frac{\partial C}{\partial w} &= \sum_{i} \frac{2}{m}(wx_{i} - y_{i})x_{i}
        """
        from chainrule.emit import equations

        if only is not None:
            return equations.only(self._laid_out(examples), only, notation)
        return self._equations(notation, examples).latex()

    def text(self, notation: str = "matrix", examples: str | None = None) -> str:
        """The equations in plain characters, for a terminal; arguments as for `latex`."""
        return self._equations(notation, examples).text()

    def dictionary(self, notation: str = "index", examples: str | None = None) -> Dictionary:
        r"""What each symbol of a notation is in the others, and which array it is in the code.

        Args:
            notation, examples: as for `latex`.

        Returns:
            A table: `.rows`, `.notes` (normalisation, which index leads where, what f is),
            `.text()`, `.latex()`, `.json()`.

        Raises:
            ParameterError, GraphError: the network cannot be written in this notation.

        >>> from chainrule.nn import mlp
        >>> from chainrule.definition import with_loss
        >>> d = derive(with_loss(mlp([2, 1]), "mse"))
        >>> row = d.dictionary().rows[1]
        >>> print(row.symbols["index"], row.entry, row.axes)
        w^{(1)}_{jk} W_1[k, j] ('n', 'c')
        """
        from chainrule.emit.dictionary import dictionary

        found = self._laid_out(examples)
        original = None if found is self._derived else self.definition
        return dictionary(found, notation, original)

    def json(self, notation: str = "matrix", examples: str | None = None) -> dict[str, Any]:
        """Names, axes, equations, code, and the dictionary of the notation, as plain values."""
        lines = self._equations(notation, examples)
        found = self._laid_out(examples)
        return {
            "name": self.definition.name,
            "inputs": {x.name: list(x.axes) for x in found.definition.inputs},
            "wrt": list(self.wrt),
            "notation": notation,
            "forward": list(lines.forward),
            "backward": list(lines.backward),
            "notes": list(lines.notes),
            "dictionary": self.dictionary(notation, examples).json(),
            "python": self.python(examples),
        }

    def turns(self, examples: str | None) -> bool:
        """Whether the layout "columns" or "rows" is another one than that of the definition."""
        return self._laid_out(examples) is not self._derived

    def _laid_out(self, examples: str | None) -> Derived:
        if examples is None:
            return self._derived
        from chainrule.explain.examples import with_examples

        turned = with_examples(self.definition, examples)
        return self._derived if turned is self.definition else derived(turned, self.wrt)

    def _equations(self, notation: str, examples: str | None) -> Equations:
        from dataclasses import replace

        from chainrule.emit.equations import equations

        found = self._laid_out(examples)
        lines = equations(found, notation)
        if notation != "outputs" or not has_outputs(found.definition, self.wrt):
            return lines
        from chainrule.check.outputs import adds_up

        axis = examples_axis(found.definition)
        return replace(lines, notes=(*lines.notes, str(adds_up(found.definition, self.wrt, axis))))

    def steps(self, only: str | Iterable[str] | None = None, spelling: str = "both") -> Steps:
        r"""The derivation line by line, each line with its rule and a shape under every factor.

        Args:
            only: names of inputs or values: just these, and what leads to them.
            spelling: of the chain rule: "leibniz" (dz/dx = dz/dy · dy/dx), "function"
                (h′(x) = g′(f(x)) f′(x)) or "both".

        Returns:
            Lines to iterate over, with `.text()`, `.latex()`, `.json()`; `.check()` evaluates
            every one and compares it with the one before.

        Raises:
            ParameterError: `only` was not derived or `spelling` is unknown.

        >>> from chainrule.netfile import parse_net
        >>> net = "net line\nparam w:\ninput x: m\ninput y: m\nreturn mse(w * x, y)"
        >>> for step in derive(parse_net(net)).steps(spelling="leibniz"):
        ...     print(step.written.text, "|", step.rule)
        ∂/∂w (1/m)‖wx - y‖² | definition of the loss
        (2/m)(wx - y) · ∂(wx)/∂w | derivative of mse
        (((2/m)(wx - y)) ⊙ x) · ∂(w1⃗ᵀ)/∂w | product rule
        (((2/m)(wx - y)) ⊙ x)1⃗ | broadcast → sum
        (2/m)(wx - y)xᵀ | simplification
        """
        from chainrule.explain.steps import Steps

        return Steps(self._derived, only, spelling)

    def check(
        self, seed: int = 0, dtype: str = "float64", arrays: Mapping[str, object] | None = None
    ) -> Report:
        """Compare every derivative with an independent one.

        Args:
            seed: fixes the random sizes and values at which it is checked.
            dtype: the float type of the derivatives under test, "float64" or "float32".
            arrays: values to check at instead of random ones.

        Returns:
            A report: `.ok`, `.worst`, `str()`.
        """
        from chainrule.check.gradient import check_gradients

        return check_gradients(self._derived, seed=seed, dtype=dtype, arrays=arrays)

    def round_trip(self, seed: int = 0) -> RoundTrip:
        r"""Read the printed equations back and compare what they say with what the code computes.

        They are parsed from LaTeX and from plain characters by `chainrule.texmath`, which shares
        nothing with the printers, and evaluated at random arrays.

        Args:
            seed: fixes the random sizes and values.

        Returns:
            A report: `.ok`, `.worst`, `str()`.

        Raises:
            GraphError: an operation has no notation between matrices.

        >>> from chainrule.netfile import parse_net
        >>> net = "net line\nparam w:\ninput x: m\ninput y: m\nreturn mse(w * x, y)"
        >>> derive(parse_net(net)).round_trip().ok
        True
        """
        from chainrule.check.printed import round_trip

        return round_trip(self._derived, seed)

    def _repr_latex_(self) -> str:
        return self._equations("matrix", None).notebook()

    def _repr_html_(self) -> str:
        return self._equations("matrix", None).html()

    def __repr__(self) -> str:
        return f"<Derivation of {self.definition.name} with respect to {', '.join(self.wrt)}>"


def derive(source: Definable, wrt: Iterable[str] | None = None) -> Derivation:
    """Work out every derivative of a network.

    Args:
        source: an annotated function, a Definition, or the path of a .net file.
        wrt: names of inputs; None for the parameters, or every real input if none is marked as a
            parameter.

    Raises:
        GraphError, FormulaError, ShapeError: the definition is not valid.
        ParameterError: `wrt` names something that is no real input.
    """
    return Derivation(derived(define(source), wrt))


class PerExample:
    """Loss and gradients of each example by itself, example axis first. See `per_example`."""

    def __init__(self, found: Derived) -> None:
        self._derived = found

    def __call__(self, **arrays: object) -> tuple[Array, dict[str, Array]]:
        """Losses (examples,) and, by name, gradients (examples, *axes of the parameter).

        Raises:
            ParameterError, ShapeError, DTypeError, DataError: the arrays do not fit (see
                `chainrule.run.bind`).
        """
        return self._reference(**arrays)

    @functools.cached_property
    def _reference(self) -> Reference:
        from chainrule.run.reference import Reference

        return Reference(self._derived.program)

    def python(self) -> str:
        """The NumPy source that runs."""
        return self._reference.text


def per_example(
    source: Definable, wrt: Iterable[str] | None = None, examples: str = EXAMPLES
) -> PerExample:
    """The derivatives of each example's own loss, kept apart instead of summed.

    Args:
        source: as for `derive`.
        wrt: as for `derive`.
        examples: the axis that counts the examples.

    Returns:
        A function of arrays; its gradients have the example axis first. Where the loss is a mean
        over examples their mean is the gradient of the whole, where it is a sum their sum is.

    Raises:
        GraphError: nothing has the axis, or an operation mixes examples (a softmax over them, say).
    """
    return PerExample(_per_example(define(source), wrt, examples))
