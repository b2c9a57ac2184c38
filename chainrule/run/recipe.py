"""What a piece of machine code is made of, before anything is planned."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.expr import Expr
from chainrule.plan.steps import StepPlan, plan_step
from chainrule.plan.tiles import Processor
from chainrule.run.identity import identity


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that a plan and its code are functions of; small, where a plan is large.

    Attributes:
        inputs, outputs, sizes, itemsize, cpu, threads, examples, padded: see
            `chainrule.plan.steps.plan_step`.
        per_step, loss: see `chainrule.emit.llvm.module.write_module`.
    """

    inputs: Mapping[str, Expr]
    outputs: Mapping[str, Expr]
    sizes: Mapping[str, int]
    itemsize: int
    cpu: Processor
    threads: int | None
    examples: str
    padded: tuple[str, ...]
    per_step: tuple[str, ...]
    loss: str

    @functools.cached_property
    def plan(self) -> StepPlan:
        """How the work is divided: made when somebody asks, for code from the cache needs none."""
        sizes = (self.sizes, self.itemsize, self.cpu, self.threads)
        return plan_step(self.inputs, self.outputs, *sizes, self.examples, self.padded)

    def key(self, effort: int) -> str | None:
        """Names the code that is compiled with this effort; None where no name is safe."""
        made = self._identity
        return made and hashlib.sha256(f"{made} {effort}".encode()).hexdigest()

    @functools.cached_property
    def _identity(self) -> str | None:
        return identity(self, [*self.inputs.values(), *self.outputs.values()])

    @property
    def supplied(self) -> dict[str, Expr]:
        """What the caller has a buffer for, in the order of the plan's buffers: inputs first."""
        made = {name: x for name, x in self.outputs.items() if name not in self.inputs}
        return {**self.inputs, **made}
