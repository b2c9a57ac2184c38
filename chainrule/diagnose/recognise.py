"""Which known functions a written-down network contains.

Functions are recognised by what they do, not by how they are written: a value that equals σ(z) for
some z below it, at every point drawn, becomes the operation sigmoid, whether it was spelled
1/(1 + e^(−z)) or in two branches. So the equations read as in a textbook, and a mistake such as a
missing σ′ has a place where it can be found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from chainrule.check.evaluate import Graph
from chainrule.check.named import POINTS, Array, Named, Run
from chainrule.differentiate import depends_on
from chainrule.errors import ChainruleError
from chainrule.expr import Axes, Definition, Expr, const, input_, postorder
from chainrule.ops import OPS, cross_entropy
from chainrule.ops.structure import size

POINTWISE = (
    "relu", "sigmoid", "tanh", "silu", "softplus", "log_sigmoid", "elu", "selu", "gelu",
    "gelu_tanh",
)  # fmt: skip
ALONG = ("softmax", "log_softmax", "logsumexp")
CLOSE = 1e-10  # relative: rounding errors of another spelling are far smaller
MOST_NODES = 400  # in a graph that is searched; larger ones stay as they are written
Values = Sequence[Mapping[str, Array]]
"""Arrays by name at each point."""


def variants(definition: Definition, points: Values) -> list[Definition]:
    """The same network written with known functions, in up to three ways.

    The first names activations only; then the loss as a function of probabilities, then as one of
    logits, where it is one. All are equal at `points`.
    """
    nodes = tuple(postorder(definition.root))
    if len(nodes) > MOST_NODES:
        return [definition]
    found = _with_activations(definition, points)
    return [found, *_with_losses(found, points)]


def values_at(nodes: Sequence[Expr], inputs: Sequence[Expr], points: Values) -> list[list[Array]]:
    """For each point the values of all nodes, with their axes in order."""
    graph = Graph(nodes, inputs)
    found = []
    for arrays in points:
        wide = {x.name: Named(np.asarray(arrays[x.name]), x.axes) for x in inputs}
        run = Run(graph.sizes({n: v.array for n, v in wide.items()}))
        results = graph(wide, run)
        found.append([r.at(node.axes) for r, node in zip(results, nodes, strict=True)])
    return found


def stacked(nodes: Sequence[Expr], inputs: Sequence[Expr], points: Values) -> list[Array]:
    """The values of all nodes (points, *axes): all points in one go, where that is possible."""
    graph = Graph(nodes, inputs)
    sizes = graph.sizes({x.name: np.asarray(points[0][x.name]) for x in inputs})
    shapes = [(len(points), *(sizes.get(a, n.sizes.get(a, 1)) for a in n.axes)) for n in nodes]
    if any(n.op == "uniform" for n in graph.nodes):  # one key at a time
        each = values_at(nodes, inputs, points)
        return [
            np.stack([np.broadcast_to(row[i], shape[1:]) for row in each])
            for i, shape in enumerate(shapes)
        ]
    wide = {
        x.name: Named(np.stack([np.asarray(p[x.name]) for p in points]), (POINTS, *x.axes))
        for x in inputs
    }
    found = graph(wide, Run(sizes, points=len(points)))
    return [
        np.broadcast_to(np.asarray(v.at((POINTS, *n.axes)), np.float64), shape)
        for v, n, shape in zip(found, nodes, shapes, strict=True)
    ]


def close(a: Array, b: Array) -> bool:
    """Whether two arrays are equal up to rounding errors."""
    if a.shape != b.shape or not a.size:
        return False
    scale = np.max(np.abs(b))
    return bool(np.isfinite(scale) and np.max(np.abs(a - b)) <= CLOSE * scale)


def _with_activations(definition: Definition, points: Values) -> Definition:
    nodes = tuple(postorder(definition.root, *(e for _, e in definition.values)))
    moving = _moving(definition)
    float_nodes = [n for n in nodes if n.kind == "float" and n in moving]
    found = values_at(float_nodes, definition.inputs, points)
    values = dict(zip(float_nodes, zip(*found, strict=True), strict=True))
    tables = _tables(float_nodes, values)
    made: dict[Expr, Match] = {}
    for node in float_nodes:
        if node.op in ("input", "leaky_relu", *POINTWISE, *ALONG):
            continue
        match = _match(node, values, tables, moving)
        if match is not None:
            made[node] = match

    def step(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        return node if inputs == node.inputs else OPS[node.op](*inputs, **dict(node.attrs))

    new: dict[Expr, Expr] = {}
    for node in nodes:
        if node in made:
            op, z, option = made[node]
            new[node] = OPS[op](new[z], option) if option else OPS[op](new[z])
            if new[node].axes != node.axes:
                new[node] = OPS["transpose"](new[node], node.axes)
        else:
            new[node] = step(node, tuple(new[x] for x in node.inputs))
    return _renewed(definition, new)


def _renewed(definition: Definition, new: Mapping[Expr, Expr]) -> Definition:
    named = tuple((name, new.get(e, e)) for name, e in definition.values)
    return Definition(
        definition.name,
        new[definition.root],
        definition.inputs,
        named,
        definition.params,
        definition.init,
    )


def _moving(definition: Definition) -> set[Expr]:
    wrt = [x for x in definition.inputs if x.kind == "float"]
    return depends_on(definition.root, wrt)


Match = tuple[str, Expr, Axes | float]
Seen = Mapping[Expr, tuple[Array, ...]]


def _tables(nodes: Sequence[Expr], values: Seen) -> dict[str, dict[Expr, tuple[Array, ...]]]:
    """Every pointwise function at every node and point, each worked out in one go."""
    flat = np.concatenate([v.ravel() for node in nodes for v in values[node]] or [np.zeros(0)])
    x = input_("x", "")
    found: dict[str, dict[Expr, tuple[Array, ...]]] = {}
    for name in POINTWISE:
        graph = Graph([OPS[name](x)], [x])
        with np.errstate(all="ignore"):
            done = graph({"x": Named(flat, (POINTS,))}, Run({}, points=flat.size))[0].at((POINTS,))
        at = 0
        found[name] = {}
        for node in nodes:
            parts = []
            for v in values[node]:
                parts.append(done[at : at + v.size].reshape(v.shape))
                at += v.size
            found[name][node] = tuple(parts)
    return found


def _match(node: Expr, values: Seen, tables: Mapping[str, Seen], moving: set[Expr]) -> Match | None:
    """The function that this node equals, its argument and option; the deepest argument wins."""
    below = [z for z in postorder(*node.inputs) if z in values and z.op != "const"]
    target = values[node]
    if all(np.ptp(v) == 0 for v in target) and node.axes:
        return None
    for z in below:
        if z.axes == node.axes and node.op != "neg":
            for name in POINTWISE:
                if all(map(close, tables[name][z], target)) and (node.op, node.inputs) != (
                    name,
                    (z,),
                ):
                    return name, z, ()
            if (slope := _leaky(values[z], target)) is not None and node.op != "leaky_relu":
                return "leaky_relu", z, slope
    if not any(n.op == "exp" for n in postorder(node)):
        return None
    for z in below:
        for name, axis in itertools.product(ALONG, z.axes):
            kept = tuple(a for a in z.axes if a != axis) if name == "logsumexp" else z.axes
            fits = kept == node.axes and len(z.axes) <= 3
            if fits and _equals_along(name, z, axis, values[z], target):
                return name, z, (axis,)
    return None


def _leaky(z: tuple[Array, ...], value: tuple[Array, ...]) -> float | None:
    """The slope below 0 of a function that is x above; None if it is not so."""
    below = np.concatenate([v[a < 0] / a[a < 0] for a, v in zip(z, value, strict=True)])
    if below.size < 2 or not np.isfinite(below).all() or not 0 < below[0] < 1:
        return None
    slope = float(f"{below[0]:.9g}")
    same = all(close(np.where(a > 0, a, slope * a), v) for a, v in zip(z, value, strict=True))
    return slope if same and any((a > 0).any() for a in z) else None


def _equals_along(
    name: str, z: Expr, axis: str, at: tuple[Array, ...], target: tuple[Array, ...]
) -> bool:
    if not _plausible(name, at[0], z.axes.index(axis), target[0]):
        return False
    x = input_("x", " ".join(z.axes))
    found = values_at([OPS[name](x, (axis,))], [x], [{"x": v} for v in at])
    return all(close(row[0], t) for row, t in zip(found, target, strict=True))


def _plausible(name: str, z: Array, axis: int, value: Array) -> bool:
    """A first look: probabilities add up to 1, and a logarithm of a sum is near the largest."""
    with np.errstate(all="ignore"):
        if name == "logsumexp":
            largest = z.max(axis=axis)
            above = value >= largest - CLOSE * np.abs(largest)
            return bool((above & (value <= largest + np.log(z.shape[axis]) + 1)).all())
        total = (value if name == "softmax" else np.exp(value)).sum(axis=axis)
    return close(total, np.ones_like(total))


def _with_losses(definition: Definition, points: Values) -> Iterator[Definition]:
    """The loss by name, on the value nearest to it and on the one farthest from it."""
    moving = depends_on(
        definition.root, [definition.input[p] for p in definition.params] or _floats(definition)
    )
    nodes = tuple(postorder(definition.root))
    root = definition.root
    predictions = [n for n in nodes if n in moving and n.kind == "float" and n is not root]
    targets = [n for n in nodes if n not in moving and n.kind == "float" and n.op == "input"]
    truth = [row[0] for row in values_at([root], definition.inputs, points)]
    tried: list[tuple[str, Expr]] = []
    for p, t in itertools.product(predictions[-12:], targets[:6]):
        if set(p.axes) == set(t.axes):
            tried += [(name, e) for name, e in _losses(p, t) if not root.axes]
    if not tried:
        return
    sums = values_at([e for _, e in tried], definition.inputs, points)
    found: dict[str, tuple[Expr, float]] = {}
    for i, (name, expr) in enumerate(tried):
        ratios = [
            float(v) / float(row[i]) if row[i] else np.nan
            for v, row in zip(truth, sums, strict=True)
        ]
        if (
            len(ratios) > 1
            and np.isfinite(ratios).all()
            and np.ptp(ratios) <= CLOSE * abs(ratios[0])
        ):
            found.setdefault(name, (expr, ratios[0]))
    sizes = _sizes(definition, points[0])
    for name in ("mse", "bce", "bce_logits", "cross_entropy"):
        if name in found:
            expr, ratio = found[name]
            yield _renewed(definition, {root: _scaled(name, expr, ratio, sizes)})


def _floats(definition: Definition) -> list[Expr]:
    return [x for x in definition.inputs if x.kind == "float"]


def _losses(p: Expr, t: Expr) -> Iterator[tuple[str, Expr]]:
    for name in ("mse", "bce", "bce_logits"):
        yield name, OPS[name](p, t, reduction="sum")
    if len(p.axes) == 2:
        for axis in p.axes:
            examples = next(a for a in p.axes if a != axis)
            try:
                yield (
                    "cross_entropy",
                    cross_entropy(p, t, over=axis, reduction="sum", examples=examples),
                )
            except ChainruleError:
                continue


def _sizes(definition: Definition, arrays: Mapping[str, Array]) -> dict[str, int]:
    graph = Graph([definition.root], definition.inputs)
    return graph.sizes({x.name: np.asarray(arrays[x.name]) for x in definition.inputs})


def _scaled(name: str, total: Expr, ratio: float, sizes: Mapping[str, int]) -> Expr:
    """ratio · total, with the sizes of axes by name: the mean over examples stays one."""
    p = total.inputs[0]
    mean = [a for a in p.axes if abs(ratio * sizes[a] - 1) < CLOSE]
    half = [a for a in p.axes if abs(2 * ratio * sizes[a] - 1) < CLOSE] if name == "mse" else []
    attrs = dict(total.attrs)
    if abs(ratio - 1) < CLOSE:
        return total
    for axes, op in ((mean, name), (half, "half_mse")):
        if axes:
            chosen = "m" if "m" in axes else axes[-1]
            return OPS[op](*total.inputs, **{**attrs, "reduction": "mean", "examples": chosen})
    for axis in ("m", *p.axes):  # (c/m) times: a mean over examples, and a factor
        if axis in p.axes:
            rest = ratio * sizes[axis]
            other = next((a for a in p.axes if abs(rest * sizes[a] - 1) < CLOSE), None)
            scaled = OPS[name](*total.inputs, **{**attrs, "reduction": "mean", "examples": axis})
            return scaled / size(other) if other else const(_tidy(rest)) * scaled
    return const(_tidy(ratio)) * total


def _tidy(number: float) -> float:
    """The number without its rounding error, if it is a short one."""
    short = float(f"{number:.12g}")
    return short
