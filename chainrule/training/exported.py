"""Networks as C: a prediction with its weights, a training step, or loss and gradients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from chainrule.emit.c.file import Call
from chainrule.expr import EXAMPLES, Expr, input_
from chainrule.plan.lower import lower, without_scalars
from chainrule.plan.program import Program
from chainrule.plan.sizes import known_sizes
from chainrule.plan.steps import StepPlan, plan_step
from chainrule.plan.tiles import Processor
from chainrule.training.optimizers import Optimizer
from chainrule.training.result import Run
from chainrule.training.step import Limits, prediction_program, training_step
from chainrule.training.task import Task

ANY = Processor(register_bytes=16, registers=16, cores=1)  # scalar loops do not depend on it
LOSS, OUT = "loss (result)", "out (result)"  # never the name of an input, which would be changed


def gradients_as_c(found: Program, sizes: Mapping[str, int], itemsize: int) -> Call:
    """Loss and gradients: a function of all inputs at these sizes.

    Raises:
        ParameterError: the size of an axis is missing.
    """
    outputs = {f"{key or 'loss'} (result)": value for key, value in found.outputs}
    titles = {f"{key or 'loss'} (result)": f"d{key}" if key else "loss" for key, _ in found.outputs}
    plan = _planned(found.inputs, outputs, sizes, itemsize, EXAMPLES)
    notes = {f"{key} (result)": f"the gradient of {key}" for key, _ in found.outputs[1:]}
    about = (f"{found.name}: the loss and its gradients at these sizes.",)
    titles |= _titles(found, plan)
    return Call(found.name, "gradients", plan, EXAMPLES, about, titles, notes)


def step_as_c(
    task: Task, optimizer: Optimizer, limits: Limits, sizes: Mapping[str, int], itemsize: int
) -> Call:
    """One training step: parameters and the state of the rule are changed in place.

    Args:
        sizes: of every axis of the inputs, that of the examples among them.

    Raises:
        ParameterError: the size of an axis is missing.
    """
    step = training_step(task, optimizer, limits)
    inputs = {x.name: x for x in step.program.inputs}
    kept = {key: value for key, value in step.program.outputs if key in inputs}
    of_step = (inputs[step.t], inputs[step.eta])
    loss = step.program.outputs[0][1]
    outputs, numbers = without_scalars({LOSS: loss, **kept}, of_step)
    supplied = [x for x in step.program.inputs if x not in of_step]
    supplied += [input_(name, "") for name in numbers]
    plan = _planned(supplied, outputs, sizes, itemsize, task.examples)
    notes = {
        step.t: "the number of this step, from 1",
        step.eta: f"the learning rate, {optimizer.lr:g} at the start",
        "key": "a number of this step, for dropout",
        LOSS: "of this batch, before the step",
    }
    notes |= {
        name: f"{name.removesuffix(f'_{w}')} of {w}, 0 at the start"
        for name, w in step.state.items()
    }
    titles = {LOSS: "loss", **_titles(step.program, plan)}
    name = task.definition.name
    about = (f"{name}: one training step with {optimizer}, on {plan.sizes[task.examples]} rows.",)
    return Call(name, "step", plan, task.examples, about, titles, notes, numbers=numbers)


def prediction_as_c(run: Run, batch: int = 1, about: Sequence[str] = ()) -> Call:
    """What a trained network puts out for `batch` rows; its weights are in the file.

    Args:
        about: more lines for the head of the file.

    Raises:
        ParameterError: the definition does not say what it predicts.
    """
    task = run.task
    found = prediction_program(task)
    scores = found.outputs[0][1]
    sizes = {**run.sizes, task.examples: batch}
    plan = _planned(found.inputs, {OUT: scores}, sizes, run.dtype.itemsize, task.examples)
    X = task.X.name
    held = [x.name for x in found.inputs if x.name != X]
    constants = {name: run.values[name].ravel().tolist() for name in held}
    meaning = {
        "classes": "scores; the largest names the class",
        "binary": "scores of yes",
        "numbers": "what the network predicts",
    }[task.kind]
    notes = {OUT: meaning, X: "inputs"}
    titles = {OUT: "out", **_titles(found, plan)}
    rows = "one row" if batch == 1 else f"{batch} rows"
    name = task.definition.name
    head = (f"{name}: what the trained network puts out for {rows} of inputs.", *about)
    return Call(name, "predict", plan, task.examples, head, titles, notes, constants)


def _planned(
    inputs: Iterable[Expr],
    outputs: Mapping[str, Expr],
    sizes: Mapping[str, int],
    itemsize: int,
    examples: str,
) -> StepPlan:
    supplied = {x.name: x for x in inputs}
    known = known_sizes([*outputs.values(), *supplied.values()], sizes)
    return plan_step(supplied, outputs, known, itemsize, ANY, 1, examples)


def _titles(found: Program, plan: StepPlan) -> dict[str, str]:
    """The names of values for the buffers that hold them."""
    names = {x.value: x.name for x in found.lines if not re.fullmatch(r"t\d+", x.name)}
    low = lower(names, plan.sizes)
    held = {x: plan.buffer_of[low[x]] for x in names if low[x] in plan.buffer_of}
    return {b: names[x] for x, b in held.items() if plan.buffers[b].offset is not None}
