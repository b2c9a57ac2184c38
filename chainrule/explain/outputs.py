"""`cr.per_output`: what each output contributes to the gradient of each example."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from chainrule.expr import EXAMPLES, Expr
from chainrule.netfile import Definable, define
from chainrule.plan.derived import Derived
from chainrule.plan.outputs import POSITIONS, Split
from chainrule.plan.outputs import per_output as _per_output
from chainrule.run.bind import Array
from chainrule.run.positions import counted
from chainrule.run.reference import Reference


class PerOutput:
    """The gradient in parts, one for each example and each output. See `per_output`."""

    def __init__(self, found: Derived, how: Split) -> None:
        self._derived, self._split = found, how

    @property
    def split(self) -> str:
        """How: "costs", by terms of the cost, or "logits", by what each logit receives."""
        return self._split.by

    @property
    def outputs(self) -> str:
        """The axis that counts the outputs."""
        return self._split.outputs

    @property
    def gradients(self) -> dict[str, Expr]:
        """The parts as expressions, by name: axes (examples, outputs, those of the value)."""
        return dict(self._derived.grads)

    def __call__(self, **arrays: object) -> tuple[Array, dict[str, Array]]:
        """Terms of the cost (examples, outputs) and parts (examples, outputs, *axes of the value).

        Raises:
            ParameterError, ShapeError, DTypeError, DataError: the arrays do not fit (see
                `chainrule.run.bind`).
        """
        inputs = self._derived.definition.inputs
        positions = counted(self.outputs, self._split.value, inputs[:-1], arrays)
        return self._reference(**arrays, **{POSITIONS: positions})

    @functools.cached_property
    def _reference(self) -> Reference:
        return Reference(self._derived.program)

    def python(self) -> str:
        """The NumPy source that runs; its last argument counts the outputs from 0."""
        return self._reference.text


def per_output(
    source: Definable,
    wrt: Iterable[str] | None = None,
    examples: str = EXAMPLES,
    outputs: str | None = None,
) -> PerOutput:
    """The gradient of each example, split into what each output contributes.

    c_k, the cost of example k, is a sum over outputs of c_kj, so its gradient is a sum of theirs.
    With softmax and cross-entropy every term but that of the right class is 0; there the parts are
    ∂c_k/∂z_kj · ∂z_kj/∂w, what passes through each logit (`PerOutput.split` says which it is).

    Args:
        source: as for `derive`.
        wrt: names of inputs, or of values of the forward pass: how much each output wants which
            prior activation changed; None for the parameters.
        examples: the axis that counts the examples.
        outputs: the axis that counts the outputs; None for the one beside the examples in what the
            loss compares.

    Returns:
        A function of arrays; what it returns has axes (examples, outputs) first. Summed over both
        axes, and divided by the number of examples if the loss is a mean, the parts are the
        gradient.

    Raises:
        GraphError: the cost is not a sum over examples and outputs.
        ParameterError: a name or an axis that does not exist.

    >>> import numpy as np
    >>> def net(W: "o n", X: "n m", Y: "o m"):
    ...     return OPS["mse"](W @ X, Y)
    >>> from chainrule.ops import OPS
    >>> f = per_output(net, wrt=["W"])
    >>> terms, parts = f(W=np.eye(2), X=np.ones((2, 3)), Y=np.zeros((2, 3)))
    >>> terms.shape, parts["W"].shape
    ((3, 2), (3, 2, 2, 2))
    """
    return PerOutput(*_per_output(define(source), wrt, examples, outputs))
