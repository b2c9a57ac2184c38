"""Recipes of code: what differs has another key, and storage that does not fit is not taken."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from chainrule.expr import input_
from chainrule.nn import mlp
from chainrule.ops import OPS, replaced
from chainrule.plan.program import program
from chainrule.plan.spelled import spelled
from chainrule.run import built, jit
from chainrule.run.machine import Machine
from tests.run.engines import compiled_step, data

ROOT = Path(__file__).parents[2]
NET = mlp([9, 8, 3])


def recipe_of(net=NET, dtype=np.float32, **options):
    """What the code of a training step is made of."""
    X, y = data(64, 9, 3, dtype)
    options = {"loss": "cross_entropy", "batch_size": 32, "optimizer": "adam", **options}
    return compiled_step(net, X, y, **options).recipe


OTHER_TRAININGS = {
    "activation": {"net": mlp([9, 8, 3], activation="tanh")},
    "width": {"net": mlp([9, 7, 3])},
    "fewer rows": {"batch_size": 16},
    "more rows": {"batch_size": 64},
    "threads": {"threads": 2},
    "as many threads as pay": {"threads": None},
    "rule": {"optimizer": "sgd"},
    "constant of the rule": {"optimizer": "adam:beta1=0.8"},
    "type": {"dtype": np.float64},
    "penalty": {"l2": 0.1},
    "another penalty": {"l2": 0.2},
}


def test_trainings_that_differ_have_different_keys():
    recipes = [recipe_of(), *(recipe_of(**options) for options in OTHER_TRAININGS.values())]
    keys = [recipe.key(effort) for recipe in recipes for effort in (jit.FULL, jit.QUICK)]
    assert None not in keys
    assert len(set(keys)) == len(keys) == 24
    # the learning rate is given to each step, so one code serves all rates
    assert recipe_of(optimizer="adam:lr=1").key(jit.FULL) == keys[0]


def swapped(values):
    """The same mapping with its last two entries in the other order."""
    *rest, a, b = values.items()
    return dict([*rest, b, a])


def renamed(values, old, new):
    """The same mapping with one name replaced."""
    return {new if name == old else name: value for name, value in values.items()}


OTHER_RECIPES = {
    "order of inputs": lambda r: {"inputs": swapped(r.inputs)},
    "name of an input": lambda r: {"inputs": renamed(r.inputs, "s1", "s9")},
    "order of outputs": lambda r: {"outputs": swapped(r.outputs)},
    "name of an output": lambda r: {"outputs": renamed(r.outputs, "W_2", "W_3")},
    "an output less": lambda r: {"outputs": dict(list(r.outputs.items())[:-1])},
    "a constant": lambda r: {"outputs": {**r.outputs, "loss": r.outputs["loss"] + 1.5}},
    "another constant": lambda r: {"outputs": {**r.outputs, "loss": r.outputs["loss"] + 1.25}},
    "a size": lambda r: {"sizes": {**r.sizes, "m": 31}},
    "float type": lambda r: {"itemsize": 8},
    "width of registers": lambda r: {"cpu": replace(r.cpu, register_bytes=16)},
    "number of registers": lambda r: {"cpu": replace(r.cpu, registers=17)},
    "cores": lambda r: {"cpu": replace(r.cpu, cores=17)},
    "threads": lambda r: {"threads": 3},
    "axis of examples": lambda r: {"examples": "n"},
    "padding": lambda r: {"padded": r.padded[1:]},
    "parts of steps": lambda r: {"per_step": r.per_step[1:]},
    "order of parts": lambda r: {"per_step": r.per_step[::-1]},
    "what ends a run": lambda r: {"loss": "W_1"},
}


def test_every_argument_of_a_plan_is_in_the_key():
    first = recipe_of()
    others = [replace(first, **change(first)) for change in OTHER_RECIPES.values()]
    keys = [recipe.key(jit.FULL) for recipe in (first, *others)]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert replace(first).key(jit.FULL) == keys[0], "a copy is the same"
    changed = set().union(*(change(first) for change in OTHER_RECIPES.values()))
    assert changed == {field.name for field in fields(first)}, "nothing is left out above"


def test_an_operation_that_is_not_in_the_sources_has_no_key():
    """Its name says nothing: another process may call another operation the same."""
    x = input_("x", "m=4")
    machine = Machine(program("square", (x,), {"": OPS["square"](x)}, {}), 1)
    sizes = {"m": 4}
    known = machine.recipe(sizes, 4).key(jit.FULL)
    for name in ("square", "mul"):  # it is written with the other one
        wrong = replace(OPS[name], body=lambda *xs: xs[0] + 1)
        with replaced(wrong):
            assert machine.recipe(sizes, 4).key(jit.FULL) is None
    assert machine.recipe(sizes, 4).key(jit.FULL) == known is not None
    own = replace(OPS["square"], name="my_square")
    with mock.patch.dict(OPS, {"my_square": own}):
        mine = Machine(program("own", (x,), {"": own(x)}, {}), 1)
        assert mine.recipe(sizes, 4).key(jit.FULL) is None
        assert machine.recipe(sizes, 4).key(jit.FULL) == known, "it is not used there"


LATE = """
from dataclasses import replace
from chainrule.ops import OPS
OPS["square"] = replace(OPS["square"], body=lambda x: x + 1)
from chainrule.expr import input_
from chainrule.plan.program import program
from chainrule.run.machine import Machine
x = input_("x", "m=4")
print(Machine(program("f", (x,), {"": OPS["square"](x)}, {}), 1).recipe({"m": 4}, 4).key(2))
"""


def test_an_operation_that_is_replaced_before_anything_runs_has_no_key_either():
    command = [sys.executable, "-c", LATE]
    found = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout == "None\n"


@pytest.mark.parametrize("effort", [jit.FULL, jit.QUICK])
@pytest.mark.parametrize("threads", [1, 2])
def test_header_and_code_are_read_as_they_were_written(effort, threads):
    made_of = recipe_of(threads=threads)
    made = built.built(made_of, effort)
    found = built.unpacked(built.packed(made), made_of)
    assert found == made
    assert list(found.storage.buffers) == list(made.storage.buffers)
    plan = made_of.plan if effort == jit.FULL else made_of.plan.small
    assert found.storage == plan.storage


def with_buffer(name, /, **changes):
    """A change of one buffer of a storage."""

    def change(storage):
        buffer = replace(storage.buffers[name], **changes)
        return replace(storage, buffers={**storage.buffers, name: buffer})

    return change


OTHER_STORAGES = {
    "float type": lambda s: replace(s, itemsize=8),
    "threads": lambda s: replace(s, threads=2),
    "no threads": lambda s: replace(s, threads=0),
    "a smaller arena": lambda s: replace(s, arena_bytes=s.arena_bytes - 64),
    "a huge arena": lambda s: replace(s, arena_bytes=1 << 62),
    "a negative arena": lambda s: replace(s, arena_bytes=-64),
    "huge panels": lambda s: replace(
        s, arena_bytes=s.arena_bytes + (1 << 50), panel_bytes=s.panel_bytes + (1 << 50)
    ),
    "negative panels": lambda s: replace(s, arena_bytes=s.arena_bytes - 64, panel_bytes=-64),
    "an input less": lambda s: replace(s, buffers=dict(list(s.buffers.items())[1:])),
    "no buffers": lambda s: replace(s, buffers={}),
    "order of buffers": lambda s: replace(s, buffers=dict(list(s.buffers.items())[::-1])),
    "another name": lambda s: replace(s, buffers=renamed(s.buffers, "W_1", "W_9")),
    "name within": with_buffer("W_1", name="W_9"),
    "axes": with_buffer("W_1", axes=("n",), shape=(9,), pitch=9, bytes=36),
    "unknown axes": with_buffer("t1", axes=("q", "r")),
    "shape": with_buffer("W_1", shape=(9, 9), pitch=9, bytes=324),
    "kind": with_buffer("t1", kind="i"),
    "unknown kind": with_buffer("t1", kind="x"),
    "bytes": with_buffer("t1", bytes=64),
    "short rows": with_buffer("W_1", pitch=7, bytes=252),
    "long rows": with_buffer("W_1", pitch=8192, bytes=9 * 8192 * 4),
    "in the arena": with_buffer("W_1", offset=0),
    "not in the arena": with_buffer("t1", offset=None),
    "before the arena": with_buffer("t1", offset=-64),
    "after the arena": with_buffer("t1", offset=1 << 40),
    "between lines": with_buffer("t1", offset=32),
}


@pytest.mark.parametrize("how", OTHER_STORAGES)
def test_a_storage_that_the_recipe_does_not_have_is_not_taken(how):
    made_of = recipe_of()
    made = built.built(made_of)
    other = OTHER_STORAGES[how](made.storage)
    assert other != made.storage or list(other.buffers) != list(made.storage.buffers)
    assert built.unpacked(built.packed(replace(made, storage=other)), made_of) is None


def test_recipes_are_spelled_with_every_part_of_every_type():
    x = input_("x", "m")
    values = [1, 1.0, True, "1", None, (1,), {1: 1}, {1}, x, x + 1, x + 1.5, x * 1.5, -0.0, 0.0]
    values += [("a,b",), ("a", "b"), "('a','b')", {"a": 1, "b": 2}, {"b": 2, "a": 1}, ("", x)]
    values += [input_("x", "m=2"), input_("x", "m=3"), input_("x", "m int")]
    assert len({spelled(value) for value in values}) == len(values)
    with pytest.raises(TypeError, match="cannot be spelled"):
        spelled((np.float32(1),))
