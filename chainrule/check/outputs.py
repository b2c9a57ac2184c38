"""Whether parts of a gradient add up to it, at random values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from chainrule.check.draw import draw
from chainrule.check.evaluate import Graph
from chainrule.expr import EXAMPLES, Definition
from chainrule.plan.derived import derived
from chainrule.plan.outputs import POSITIONS, per_output
from chainrule.run.reference import Reference

ROUNDINGS = 1000  # terms of a sum here are results of some hundred operations each


@dataclass(frozen=True)
class Sum:
    """How well parts add up.

    Attributes:
        worst: the largest difference from the gradient, in any entry, for 1 that is added up.
        bound: what rounding may cause; seed: of the values.
    """

    worst: float
    bound: float
    seed: int

    @property
    def ok(self) -> bool:
        """Whether they add up."""
        return self.worst <= self.bound

    def __str__(self) -> str:
        verdict = "add up to the gradient" if self.ok else "DO NOT ADD UP TO THE GRADIENT"
        return (
            f"Checked at random values (seed {self.seed}): the parts {verdict} "
            f"(difference {self.worst:.0e} of what is added up)."
        )


def adds_up(
    definition: Definition,
    wrt: Iterable[str] | None = None,
    examples: str = EXAMPLES,
    outputs: str | None = None,
    seed: int = 0,
) -> Sum:
    """Compare the gradient with the sum of its parts per example and output, at random values.

    Raises:
        GraphError, ParameterError: as `chainrule.plan.outputs.per_output`.
    """
    whole = derived(definition, wrt)
    names = list(whole.grads)
    parted, how = per_output(definition, names, examples, outputs)
    graph = Graph([whole.value], definition.inputs)
    arrays = draw(graph, definition.inputs, {}, seed, (0.1, 0.9))
    count = graph.sizes(arrays)[how.outputs]
    gradients = Reference(whole.program)(**arrays)[1]
    parts = Reference(parted.program)(**arrays, **{POSITIONS: np.arange(count)})[1]
    worst = 0.0
    for name, gradient in gradients.items():
        scale = len(parts[name]) if how.mean else 1
        size = np.abs(parts[name]).sum(axis=(0, 1)).max(initial=0.0) / scale
        off = np.abs(parts[name].sum(axis=(0, 1)) / scale - gradient).max(initial=0.0)
        worst = max(worst, float(off / size) if size else float(off))
    return Sum(worst, float(ROUNDINGS * np.finfo(float).eps), seed)
