"""From a graph at fixed sizes to kernels: loops over named axes with at most one reduction each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from chainrule.expr import Axes, Expr, describe, postorder
from chainrule.ops import OPS
from chainrule.plan.lower import COSTLY, ELSEWHERE, LEAVES, REDUCTIONS

VIEWS = ("transpose", "expand", "stop_gradient")
SCATTER = "scatter_add"  # the one reduction whose place depends on values
CHEAP = 4  # operations that are computed again rather than stored and read back


@dataclass(frozen=True)
class Kernel:
    """For every index of `axes`: the reduction, if there is one, then what is made of it.

    Attributes:
        axes: the loops, in the order of the stored values.
        root: the reduction, None where there is none.
        values: what is computed at each index, in order; the first may be `root`.
        stores: those of `values` that are kept in memory.
    """

    axes: Axes
    root: Expr | None
    values: tuple[Expr, ...]
    stores: tuple[Expr, ...]

    def __str__(self) -> str:
        root = self.root
        over = f" over {' '.join(root['over'])}" if root is not None and root.op != SCATTER else ""
        stores = ", ".join(describe(x, 3) for x in self.stores)
        return f"for {' '.join(self.axes) or '·'}{over}: {stores}"


def kernels(
    outputs: Mapping[str, Expr], in_place: Mapping[str, str]
) -> tuple[list[Kernel], dict[str, Expr]]:
    """Divide a lowered graph into kernels, in an order in which they can run.

    Args:
        outputs: roots by name; each is stored.
        in_place: for outputs that overwrite an input, the name of that input.

    Returns:
        The kernels, and what each output is now: one that cannot overwrite its input as it is
        computed, because old values are still needed, is computed aside and copied at the end.
    """
    aside = {o for o, name in in_place.items() if name in scattered(outputs[o])}
    while True:
        new = {o: OPS["stop_gradient"](x) if o in aside else x for o, x in outputs.items()}
        overwritten = {new[o]: name for o, name in in_place.items()}
        cut, stuck = _cut(new, {outputs[o] for o in aside}, overwritten)
        if stuck is None:
            return cut, new
        # with every output aside there is an order: copies come last and nothing needs them
        aside.add(next(o for o in in_place if o not in aside and new[o] in stuck))


def _cut(
    outputs: Mapping[str, Expr], aside: set[Expr], overwritten: Mapping[Expr, str]
) -> tuple[list[Kernel], set[Expr] | None]:
    """The kernels in order; and where there is no order, all that has no place in it."""
    keep = materialised(outputs.values(), aside, set(overwritten.values()))
    reads = {n: leaves(n, keep) for n in postorder(*outputs.values()) if n in keep}
    copies = {x for x in overwritten if x.op == "stop_gradient" and x.inputs[0] in aside}
    hosts = _hosts(reads, overwritten, copies)
    groups: dict[Expr, list[Expr]] = {}
    for node, host in hosts.items():
        groups.setdefault(host, []).append(node)
    order = _order(groups, reads, hosts, overwritten)
    if len(order) < len(groups):
        return [], {n for h, members in groups.items() if h not in order for n in members}
    return [_kernel(h, groups[h], outputs, reads, hosts) for h in order], None


def scattered(root: Expr) -> set[str]:
    """Names of the inputs that `root` reads at other places than its own, without a reduction."""
    found, seen = set(), set()
    todo = [(root, True)]
    while todo:
        node, straight = todo.pop()
        if (node, straight) in seen:
            continue
        seen.add((node, straight))
        if node.op == "input" and not straight:
            found.add(node.name)
        if node.op not in REDUCTIONS:
            todo.extend((x, straight and node.op not in ELSEWHERE) for x in node.inputs)
    return found


def _kernel(
    host: Expr,
    members: list[Expr],
    outputs: Mapping[str, Expr],
    reads: Mapping[Expr, set[Expr]],
    hosts: Mapping[Expr, Expr],
) -> Kernel:
    wanted = set(outputs.values())
    elsewhere = {x for n, seen in reads.items() if hosts[n] is not host for x in seen}
    summed_in_memory = host.op == SCATTER
    stores = tuple(
        n for n in members if n in wanted or n in elsewhere or (n is host and summed_in_memory)
    )
    root = host if host.op in REDUCTIONS else None
    return Kernel(stores[0].axes, root, tuple(members), stores)


def materialised(
    outputs: Iterable[Expr], aside: Iterable[Expr] = (), overwritten: Set[str] = frozenset()
) -> set[Expr]:
    """Nodes that are kept in memory between kernels.

    Those are the outputs, every reduction and the operands of products, and what several kernels
    need and would be dear to compute again, and what is asked for `aside`. Rows of an input that
    a product takes are read where they lie, unless the input is `overwritten`.
    """
    roots = tuple(outputs)
    keep = {x for x in (*roots, *aside) if x.op not in LEAVES}
    for node in postorder(*roots):
        if node.op in REDUCTIONS:
            keep.add(node)
        if node.op in ("contract", "scatter_add"):
            operands = (base(x) for x in node.inputs)
            keep.update(x for x in operands if not _lies_there(x, overwritten))
    while True:
        owners: dict[Expr, set[Expr]] = {}
        for root in keep:
            for node in inside(root, keep):
                owners.setdefault(node, set()).add(root)
        shared = {n for n, who in owners.items() if len(who) > 1 and costly(n, keep)}
        if not shared:
            return keep
        below = {x for n in shared for x in inside(n, keep)}
        keep |= shared - below  # what lies below may have one owner only once these are kept


def _lies_there(x: Expr, overwritten: Set[str]) -> bool:
    """Whether the entries of an operand are in memory as they are."""
    rows = x.inputs[0] if x.op == "gather" and x.inputs[1].op == "input" else x
    return rows.op in LEAVES and (rows is x or rows.name not in overwritten)


def base(x: Expr) -> Expr:
    """`x` without what only reorders or repeats its entries."""
    while x.op in VIEWS:
        x = x.inputs[0]
    return x


def inside(root: Expr, keep: Set[Expr]) -> list[Expr]:
    """What the kernel of `root` computes on the way: down to inputs and to what is kept."""
    return [n for n in _below(root, keep) if n not in keep and n.op not in LEAVES]


def leaves(root: Expr, keep: Set[Expr]) -> set[Expr]:
    """The kept nodes that computing `root` reads."""
    return {n for n in _below(root, keep) if n in keep}


def _below(root: Expr, keep: Set[Expr]) -> Iterable[Expr]:
    todo, seen = list(root.inputs), set()
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            if node not in keep:
                todo.extend(node.inputs)
    return seen


def costly(node: Expr, keep: set[Expr]) -> bool:
    """Whether storing a value beats computing it again."""
    work = [node, *inside(node, keep)]
    return len(work) > CHEAP or any(n.op in COSTLY for n in work)


def _hosts(
    reads: Mapping[Expr, set[Expr]], overwritten: Mapping[Expr, str], alone: Set[Expr]
) -> dict[Expr, Expr]:
    """For each kept node the one whose kernel computes it.

    An elementwise value joins the reduction that it is made of when both have the same axes, it
    reads that reduction at its own place, everything else it needs is there before that reduction,
    and the kernel overwrites nothing that it reads at other places. Those `alone` join nothing.
    """
    hosts: dict[Expr, Expr] = {}
    before: dict[Expr, set[Expr]] = {}
    writes: dict[Expr, set[str]] = {}
    afar: dict[Expr, set[str]] = {}
    keep, position = set(reads), {node: i for i, node in enumerate(reads)}
    for node, needed in reads.items():
        hosts[node] = node
        before[node] = {hosts[x] for x in needed}
        writes[node] = {overwritten[node]} if node in overwritten else set()
        away = elsewhere(node, keep)
        afar[node] = {x.name for x in away if x.op == "input"}
        if node.op in REDUCTIONS:
            afar[node] = inputs_read([node], keep)
        if node.op in REDUCTIONS or not needed or node in alone:
            continue
        last = hosts[max(needed, key=position.__getitem__)]
        if last.op not in REDUCTIONS or set(last.axes) != set(node.axes):
            continue
        others = before[node] - {last}
        if any(hosts.get(x) is last for x in away) or last in _all_before(others, before):
            continue
        if not (writes[last] | writes[node]) & (afar[last] | afar[node]):
            hosts[node] = last
            before[last] |= others
            writes[last] |= writes[node]
            afar[last] |= afar[node]
    return hosts


def _all_before(kernels: Iterable[Expr], before: Mapping[Expr, set[Expr]]) -> set[Expr]:
    """These kernels and all that must have run before them."""
    found: set[Expr] = set()
    todo = list(kernels)
    while todo:
        kernel = todo.pop()
        if kernel not in found:
            found.add(kernel)
            todo.extend(before[kernel])
    return found


def elsewhere(root: Expr, keep: Set[Expr]) -> set[Expr]:
    """The kept nodes and inputs that computing `root` reads at other places than its own."""
    found, seen = set(), set()
    todo = [(x, root.op not in ELSEWHERE) for x in root.inputs]
    while todo:
        node, straight = todo.pop()
        if (node, straight) in seen:
            continue
        seen.add((node, straight))
        if node in keep or node.op == "input":
            found |= set() if straight else {node}
        else:
            todo.extend((x, straight and node.op not in ELSEWHERE) for x in node.inputs)
    return found


def _order(
    groups: Mapping[Expr, list[Expr]],
    reads: Mapping[Expr, set[Expr]],
    hosts: Mapping[Expr, Expr],
    overwritten: Mapping[Expr, str],
) -> list[Expr]:
    """The kernels in an order in which they can run, as many as can."""
    before = {
        h: {hosts[x] for n in members for x in reads[n]} - {h} for h, members in groups.items()
    }
    keep = set(reads)
    inputs = {h: inputs_read(members, keep) for h, members in groups.items()}
    for node, name in overwritten.items():
        writer = hosts[node]
        # everyone else reads the old value before it is overwritten
        before[writer] |= {h for h in groups if h is not writer and name in inputs[h]}
    order: list[Expr] = []
    pending = list(groups)
    while pending:
        ready = next((h for h in pending if before[h] <= set(order)), None)
        if ready is None:
            break
        pending.remove(ready)
        order.append(ready)
    return order


def inputs_read(members: Iterable[Expr], keep: set[Expr]) -> set[str]:
    """Names of the inputs that computing `members` reads."""
    return {n.name for m in members for n in _below(m, keep) if n.op == "input"}
