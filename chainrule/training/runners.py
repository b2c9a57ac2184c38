"""Which runner takes the steps: machine code where LLVM is there, else the reference executor."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from chainrule.errors import ChainruleWarning
from chainrule.training.step import Step
from chainrule.training.stretch import ReferenceRunner, Runner

if TYPE_CHECKING:
    from chainrule.training.loop import Plan

ENGINES = ("compiled", "reference")
_measuring: ContextVar[bool] = ContextVar("measuring", default=False)


@contextmanager
def fast_at_once() -> Iterator[None]:
    """Within the block training waits for the fastest code: for measuring what its steps take."""
    token = _measuring.set(True)
    try:
        yield
    finally:
        _measuring.reset(token)


def runner_for(plan: Plan, step: Step, batch: int) -> Runner:
    """A runner for batches of one size."""
    rows, task = plan.rows, plan.task
    data = {task.X.name: rows.X, task.y.name: rows.y}
    if rows.weights is not None and task.weights is not None:
        data[task.weights.name] = rows.weights
    if plan.engine == "reference" or not llvm_is_here():
        axes = {x.name: x.axes.index(task.examples) for x in step.program.inputs if x.name in data}
        return ReferenceRunner(step, {name: (data[name], axes[name]) for name in data}, batch)
    from chainrule.training.compiled import Compiled

    about = (batch, rows.X.dtype, task.examples, plan.threads)
    return Compiled(step, data, plan.sizes, *about, soon=plan.soon and not _measuring.get())


@functools.cache
def llvm_is_here() -> bool:
    """Whether machine code can be made; where it cannot, that is said once."""
    try:
        import llvmlite.binding  # noqa: F401
    except (ImportError, OSError) as error:
        what = f"no machine code ({error}): networks run with NumPy, which is slower"
        warnings.warn(what, ChainruleWarning, stacklevel=2)
        return False
    return True
