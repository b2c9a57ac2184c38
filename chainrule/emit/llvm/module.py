"""All kernels of a step, and the loop over steps that threads run together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chainrule.emit.llvm.barrier import DONE, HALT, MOST, STOP, barrier
from chainrule.emit.llvm.builder import Builder
from chainrule.emit.llvm.clock import Clock
from chainrule.emit.llvm.loops import PANEL, write_kernel
from chainrule.emit.llvm.places import Place
from chainrule.expr import Expr
from chainrule.plan.kernels import Kernel
from chainrule.plan.steps import StepPlan
from chainrule.plan.tiles import Shape


def write_module(plan: StepPlan, per_step: Sequence[str], loss: str) -> str:
    """The text of the module: one function for each kernel, and ``steps``.

    ``void steps(i64* shared, ptr* table, i64 part, i64 count)`` runs `count` steps as thread
    `part`; `table` holds the address of every buffer, in the order of `plan.buffers`, and last that
    of the room for panels; it belongs to this thread.

    Args:
        per_step: buffers of which every step has its own part; their addresses move on.
        loss: the buffer that ends the steps when it is not finite.
    """
    slots = {name: i for i, name in enumerate(plan.buffers)}
    panels = len(slots)
    declares: set[str] = set()
    names: dict[str, str] = {}
    calls = []
    for number, k in enumerate(plan.kernels):
        body, used, buffers = _kernel(k, plan, plan.shapes[number])
        declares |= used
        # kernels that differ in their buffers only, as in equal layers, are one function
        name = names.setdefault(body, f"k{len(names)}")
        taken = [slots[buffer] for buffer in buffers]
        calls.append((name, taken + [panels] * plan.shapes[number].has_panel))
    parts = [f"define internal void @{name}{body}" for body, name in names.items()]
    moving = [(slots[name], plan.buffers[name].bytes) for name in per_step]
    if plan.threads > 1:
        parts.append(barrier(plan.threads))
    clock = Clock(plan)
    declares |= clock.declares
    parts.append(_steps(plan, calls, moving, slots[loss], clock))
    return "\n".join([*sorted(declares), *parts])


def _kernel(k: Kernel, plan: StepPlan, shape: Shape) -> tuple[str, set[str], list[str]]:
    """Arguments and body of a function, what it declares, and the buffers it is called with."""
    b = Builder(shape.lanes, plan.itemsize * 8)
    nodes = needed(k, plan.buffer_of)
    buffers = list(dict.fromkeys(plan.buffer_of[node] for node in nodes))
    places = {}
    for node in nodes:
        buffer = plan.buffers[plan.buffer_of[node]]
        base = f"%p{buffers.index(buffer.name)}"
        places[node] = Place(base, buffer.axes, buffer.strides, buffer.kind, buffer.padded)
    write_kernel(b, k, places, plan.sizes, shape)
    names = [f"%p{i}" for i in range(len(buffers))] + [PANEL] * shape.has_panel
    arguments = ", ".join(f"ptr noalias {name}" for name in names)
    text = f"({arguments}, i64 %part) nounwind {{\nentry:\n{b.text()}\n  ret void\n}}"
    return text, b.declares, buffers


def needed(k: Kernel, buffer_of: Mapping[Expr, str]) -> list[Expr]:
    """What a kernel reads or stores, in a fixed order."""
    own = set(k.values)
    found: dict[Expr, None] = dict.fromkeys(k.stores)
    todo = [x for n in k.values for x in n.inputs]
    seen: set[Expr] = set()
    while todo:
        node = todo.pop()
        if node in seen or node in own:
            continue
        seen.add(node)
        if node in buffer_of:
            found[node] = None
        else:
            todo.extend(node.inputs)
    return list(found)


def _steps(
    plan: StepPlan,
    calls: Sequence[tuple[str, Sequence[int]]],
    moving: Sequence[tuple[int, int]],
    loss: int,
    clock: Clock,
) -> str:
    shared = plan.threads > 1
    work = clock.begin()
    for number, (wait, (name, slots)) in enumerate(zip(plan.wait, calls, strict=True)):
        if wait and shared:
            work += ["  call void @wait(ptr %shared, ptr %patience)", *clock.lap(2 * number)]
        given = []
        for slot in slots:
            at, pointer = f"%a{number}.{slot}", f"%b{number}.{slot}"
            work.append(f"  {at} = getelementptr ptr, ptr %table, i64 {slot}")
            work.append(f"  {pointer} = load ptr, ptr {at}, align 8")
            given.append(f"ptr {pointer}")
        work += [f"  call void @{name}({', '.join(given)}, i64 %part)", *clock.lap(2 * number + 1)]
    together = ["  call void @wait(ptr %shared, ptr %patience)"] if shared else []
    together += clock.lap(2 * len(calls))
    advance = []
    for i, (slot, step) in enumerate(moving):
        advance += [
            f"  %slot{i} = getelementptr ptr, ptr %table, i64 {slot}",
            f"  %old{i} = load ptr, ptr %slot{i}, align 8",
            f"  %new{i} = getelementptr i8, ptr %old{i}, i64 {step}",
            f"  store ptr %new{i}, ptr %slot{i}, align 8",
        ]
    return STEPS.format(
        stop=STOP,
        done=DONE,
        halt=HALT,
        loss=loss,
        patience=PATIENCE.format(most=MOST) if shared else "",
        real="float" if plan.itemsize == 4 else "double",
        work="\n".join(work),
        together="\n".join(together),
        advance="\n".join(advance),
    )


# Thread 0 decides after each step whether it was the last: a loss that is not finite (x − x is 0
# only for finite x) or a request to stop. The others read its decision behind the barrier: the
# number of the last step or 0, because where a step has no other barrier thread 0 may by then have
# decided about the next one.
PATIENCE = """\
  %patience = alloca i64, align 8
  %patience.first.at = getelementptr i64, ptr %shared, i64 {most}
  %patience.first = load i64, ptr %patience.first.at, align 8
  store i64 %patience.first, ptr %patience, align 8
"""
STEPS = """\
define void @steps(ptr %shared, ptr noalias %table, i64 %part, i64 %count) nounwind {{
entry:
{patience}  %stop.at = getelementptr i64, ptr %shared, i64 {stop}
  %done.at = getelementptr i64, ptr %shared, i64 {done}
  %halt.at = getelementptr i64, ptr %shared, i64 {halt}
  %loss.at = getelementptr ptr, ptr %table, i64 {loss}
  %first = icmp eq i64 %part, 0
  br label %head
head:
  %step = phi i64 [ 0, %entry ], [ %next, %go ]
  %left = icmp slt i64 %step, %count
  br i1 %left, label %work, label %end
work:
{work}
  %next = add i64 %step, 1
  br i1 %first, label %report, label %together
report:
  %place = load ptr, ptr %loss.at, align 8
  %loss = load {real}, ptr %place
  %none = fsub {real} %loss, %loss
  %lost = fcmp une {real} %none, 0.0
  %asked = load atomic i64, ptr %stop.at acquire, align 8
  %wanted = icmp ne i64 %asked, 0
  %quit = or i1 %lost, %wanted
  %quit.i = select i1 %quit, i64 %next, i64 0
  store atomic i64 %quit.i, ptr %halt.at release, align 8
  store atomic i64 %next, ptr %done.at release, align 8
  br label %together
together:
{together}
{advance}
  %halt = load atomic i64, ptr %halt.at acquire, align 8
  %before = sub i64 %halt, 1
  %halted = icmp ult i64 %before, %next
  br i1 %halted, label %end, label %go
go:
  br label %head
end:
  ret void
}}
"""
