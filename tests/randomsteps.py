"""The steps of random networks: each makes an expression from what is there, or cannot.

`Grower` holds a network under construction and the value of everything in it.
"""

from __future__ import annotations

import numpy as np

from chainrule.expr import Expr, input_, postorder
from chainrule.ops import OPS, contraction, expand, sum_, transpose
from chainrule.ops.indexing import concat, cut, rename, split
from tests.oracles.textbook import value_of

LARGEST = 6.0  # of any value on the way
MARGIN = 1e-4  # to the nearest kink: far above the rounding of values of this size
STRETCH = 3.0  # arguments of functions lie in ±STRETCH


class Unfit(Exception):
    """This step cannot be made here: no fitting operands, a kink, or a value out of range."""


class Grower:
    """A graph under construction.

    Args:
        largest: the most entries along an axis of the first inputs.
    """

    def __init__(self, seed: int, largest: int = 4) -> None:
        self.rng = np.random.default_rng(seed)
        self.sizes = {axis: int(self.rng.integers(1, largest + 1)) for axis in "kmn"}
        self.most_entries = max(64, 2 * largest**2)
        self.given: dict[Expr, np.ndarray] = {}
        self.values: dict[Expr, np.ndarray] = {}
        self.pool: list[Expr] = []
        self.fresh = 0

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, items):
        items = list(items)
        if not items:
            raise Unfit
        return items[int(self.rng.integers(len(items)))]

    def some_axes(self, axes) -> tuple[str, ...]:
        """A random subset in random order, seldom empty."""
        axes = [a for a in axes if self.chance(0.7)]
        self.rng.shuffle(axes)
        return tuple(axes)

    def number(self) -> float:
        return round(float(self.rng.uniform(0.3, 1.8)) * (-1 if self.chance(0.5) else 1), 3)

    def new_axis(self, size: int) -> str:
        self.fresh += 1
        axis = f"r{self.fresh}"
        self.sizes[axis] = size
        return axis

    def source(self, kind: str, axes: tuple[str, ...], high: int = 0) -> Expr:
        """A new input with random values."""
        shape = tuple(self.sizes[a] for a in axes)
        x = input_(f"x{len(self.given)}", " ".join((*axes, kind)))
        if kind == "float":
            self.given[x] = self.rng.uniform(-1.5, 1.5, shape)
        else:
            self.given[x] = self.rng.integers(0, high, shape)
        self.values[x] = self.given[x]
        return x

    def value(self, expr: Expr) -> np.ndarray:
        """The value of `expr`; computes what is new below it and refuses what is unfit."""
        for node in postorder(expr):
            if node in self.values:
                continue
            self.sizes |= node.sizes
            if node.op == "const":
                value = np.asarray(node["value"])
            elif node.op == "size":
                value = np.asarray(float(self.sizes[node["axis"]]))
            else:
                inputs = [self.values[x] for x in node.inputs]
                refuse_kinks(node, self.sizes, inputs)
                value = value_of(node, self.sizes, inputs)
                self.sizes |= dict(zip(node.axes, np.shape(value), strict=True))
            if not np.all(np.isfinite(value)) or np.abs(value).max(initial=0) > LARGEST:
                raise Unfit
            self.values[node] = value
        return self.values[expr]

    def operand(self, wanted=lambda x: True) -> Expr:
        """Something made before, squashed if it is large."""
        recent = self.pool[-6:] if self.chance(0.6) else self.pool
        x = self.pick([x for x in recent if wanted(x)] or [x for x in self.pool if wanted(x)])
        return OPS["tanh"](x) if np.abs(self.values[x]).max(initial=0) > STRETCH else x

    def positive(self) -> Expr:
        """An operand between about 0.2 and 3."""
        return OPS["softplus"](self.operand()) + 0.2

    def fitting(self, x: Expr) -> Expr:
        """An operand whose axes nest with those of `x`, in whatever order."""
        mine = set(x.axes)
        return self.operand(lambda y: set(y.axes) <= mine or mine <= set(y.axes))

    def twin(self, x: Expr) -> Expr:
        """An operand with exactly the axes of `x`, in some order."""
        y = self.fitting(x)
        y = sum_(y, tuple(a for a in y.axes if a not in x.axes)) if set(y.axes) - set(x.axes) else y
        return expand(y, self.rng.permutation(x.axes).tolist()) if x.axes else y


def gap(x: np.ndarray) -> float:
    return float(np.abs(x).min(initial=np.inf))


def top_gap(x: np.ndarray, at: int) -> float:
    """How far the largest entry along an axis stands out."""
    if x.shape[at] < 2:
        return np.inf
    ordered = np.sort(x, axis=at)
    return gap(np.take(ordered, -1, at) - np.take(ordered, -2, at))


def refuse_kinks(node: Expr, sizes, inputs) -> None:
    """Raise Unfit if `node` lies so near a kink or jump that rounding decides."""
    op, distance = node.op, np.inf
    if op in ("relu", "leaky_relu", "elu", "selu", "abs", "sign"):
        distance = gap(inputs[0])
    elif op == "clip":
        distance = min(gap(inputs[0] - node["low"]), gap(inputs[0] - node["high"]))
    elif op in ("max", "min", "argmax"):
        sign = -1 if op == "min" else 1
        distance = top_gap(sign * inputs[0], node.inputs[0].axes.index(node["over"][0]))
    elif op in ("maximum", "minimum", "gt", "ge", "lt", "le", "mae", "huber", "hinge"):
        a, b = inputs[:2]
        widest = node.axes or node.inputs[0].axes
        a, b = (
            np.broadcast_to(aligned(v, x.axes, widest), [sizes[w] for w in widest])
            for v, x in zip((a, b), node.inputs, strict=False)
        )
        off = 1 - a * b if op == "hinge" else a - b
        distance = gap(np.abs(off) - node["delta"]) if op == "huber" else gap(off)
    if distance < MARGIN:
        raise Unfit


def aligned(value, axes, wanted):
    place = [axes.index(a) for a in wanted if a in axes]
    return np.transpose(value, place)[tuple(slice(None) if a in axes else None for a in wanted)]


UNARY = (
    "neg", "tanh", "erf", "square", "abs", "sigmoid", "relu", "leaky_relu", "elu", "selu", "gelu",
    "gelu_tanh", "silu", "softplus", "log_sigmoid", "exp", "expm1", "stop_gradient", "sign",
)  # fmt: skip
LOSSES = (
    "mse",
    "half_mse",
    "mae",
    "huber",
    "log_cosh",
    "poisson",
    "bce_logits",
    "hinge",
    "sum_squares",
)


def unary(g):
    return OPS[g.pick(UNARY)](g.operand())


def of_positive(g):
    return OPS[g.pick(("log", "log1p", "sqrt"))](g.positive())


def clipped(g):
    return OPS["clip"](g.operand(), low=-0.8, high=0.9)


def affine(g):
    return g.number() * g.operand() + g.number()


def binary(g):
    a = g.operand()
    pair = [a, g.fitting(a)]
    g.rng.shuffle(pair)
    return OPS[g.pick(("add", "sub", "mul", "maximum", "minimum"))](*pair)


def quotient(g):
    a, b = g.operand(), g.positive()
    return (a if set(a.axes) <= set(b.axes) or set(b.axes) <= set(a.axes) else g.number()) / b


def power(g):
    base = g.positive()
    return base ** g.pick([2, 3, -1, 0.5, 1.5, OPS["tanh"](base), OPS["sigmoid"](g.twin(base))])


def chosen(g):
    a = g.operand()
    condition = OPS[g.pick(("gt", "ge", "lt", "le"))](a, g.pick([0.1, g.twin(a)]))
    if g.chance(0.2):
        condition = OPS["eq"](g.source("int", a.axes, 2), 1)
    return g.pick([lambda: OPS["where"](condition, a, g.twin(a)), lambda: condition * g.twin(a)])()


def reduced(g):
    x = g.operand(lambda y: y.axes)
    return OPS[g.pick(("sum", "mean"))](x, tuple(a for a in x.axes if g.chance(0.6)) or None)


def along(g):
    x = g.operand(lambda y: y.axes)
    op = g.pick(("max", "min", "softmax", "log_softmax", "logsumexp"))
    return OPS[op](x, g.pick(x.axes))


def position(g):
    x = g.operand(lambda y: y.axes)
    axis = g.pick(x.axes)
    return OPS["one_hot"](OPS["argmax"](x, axis), axis, g.sizes[axis]) * x


def product(g):
    a = g.operand(lambda y: y.axes)
    b = g.operand(lambda y: set(y.axes) & set(a.axes))
    common = [x for x in a.axes if x in b.axes]
    over = g.pick(common)
    kept = [x for x in dict.fromkeys((*a.axes, *b.axes)) if x != over]
    g.rng.shuffle(kept)
    how = g.pick([lambda: OPS["contract"](a, b, (over,)), lambda: contraction(a, b, tuple(kept))])
    return how() / float(g.sizes[over])


def outer(g):
    a = g.operand()
    b = g.operand(lambda y: len({*y.axes, *a.axes}) <= 3)
    return OPS["contract"](a, b, ())


def transposed(g):
    x = g.operand(lambda y: len(y.axes) > 1)
    return transpose(x, tuple(g.rng.permutation(x.axes).tolist()))


def expanded(g):
    x = g.operand(lambda y: len(y.axes) < 3)
    known = {axis for y in g.given for axis in y.axes}
    missing = g.pick(sorted(known - set(x.axes)))
    return expand(x, tuple(g.rng.permutation([*x.axes, missing]).tolist()))


def renamed_and_joined(g):
    """Two values, each with an axis of its own, end to end; then cut apart again."""
    a = g.operand(lambda y: y.axes)
    b = g.twin(a)
    axis = g.pick(a.axes)
    own = [g.new_axis(g.sizes[axis]) for _ in range(2)]
    parts_ = [rename(x, **{axis: new}) for x, new in zip((a, b), own, strict=True)]
    joined_ = g.new_axis(2 * g.sizes[axis])
    whole = concat(*parts_, over=tuple(own), into=joined_)
    start = int(g.rng.integers(0, g.sizes[axis] + 1))
    return rename(cut(whole, joined_, own[0], start, start + g.sizes[axis]), **{own[0]: axis})


def merged(g):
    """Two axes joined into one, a function along it, and split again."""
    x = g.operand(lambda y: len(y.axes) > 1)
    at = int(g.rng.integers(0, len(x.axes) - 1))
    pair = x.axes[at : at + 2]
    whole = g.new_axis(g.sizes[pair[0]] * g.sizes[pair[1]])
    y = OPS["merge"](x, pair, whole)
    y = OPS["softmax"](y, whole) if g.chance(0.5) else y * g.number()
    return split(y, whole, pair, **{pair[0]: g.sizes[pair[0]]})


def looked_up(g):
    """Rows read by an index, and added up again at another."""
    x = g.operand(lambda y: y.axes)
    axis = g.pick(x.axes)
    free = g.pick([a for a in "kmn" if a not in x.axes] or [g.new_axis(3)])
    rows = OPS["gather"](x, g.source("int", (free,), g.sizes[axis]), axis)
    if g.chance(0.5):
        return rows
    return OPS["scatter_add"](rows, g.source("int", (free,), g.sizes[axis]), axis, g.sizes[axis])


def padded(g):
    x = g.operand(lambda y: y.axes)
    axis = g.pick(x.axes)
    into = g.new_axis(g.sizes[axis] + 2)
    return OPS["pad"](x, axis, into, start=g.pick((0, 1, 2)), size=g.sizes[into])


def dropped(g):
    x, key = g.operand(), g.source("int", (), 1000)
    if g.chance(0.3):
        return x * OPS["uniform"](x, key)
    return OPS["dropout"](x, key, rate=0.4, stream=g.pick((0, 3)))


def with_weights(g, p):
    w = g.fitting(p)
    return [w] if set(w.axes) <= set(p.axes) and g.chance(0.4) else []


def loss(g):
    p = g.operand(lambda y: y.axes)
    name = g.pick(LOSSES)
    how = (
        {"examples": g.pick(p.axes), "reduction": g.pick(("mean", "sum"))}
        if name != "sum_squares"
        else {}
    )
    weights = with_weights(g, p) if how else []
    return 0.2 * OPS[name](p, g.twin(p), *weights, **how)


def probability_loss(g):
    p = g.operand(lambda y: y.axes)
    t = OPS["sigmoid"](g.twin(p))
    how = {"examples": g.pick(p.axes), "reduction": g.pick(("mean", "sum"))}
    return 0.2 * OPS[g.pick(("bce", "kl"))](OPS["sigmoid"](p), t, *with_weights(g, p), **how)


def classified(g):
    z = g.operand(lambda y: y.axes)
    over = g.pick(z.axes)
    rest = tuple(a for a in z.axes if a != over)
    how = {"over": over, "label_smoothing": g.pick((0.0, 0.1))}
    how |= {"examples": g.pick(rest)} if rest and g.chance(0.7) else {"reduction": "sum"}
    sized_ = OPS["one_hot"](g.source("int", rest, g.sizes[over]), over, g.sizes[over])
    labels = sized_.inputs[0]
    targets = g.pick([labels, OPS["softmax"](g.twin(z), over), sized_])
    return 0.2 * OPS["cross_entropy"](z, targets, **how)


STEPS = (
    *(unary,) * 4, *(binary,) * 4, *(product,) * 3, affine, of_positive, clipped, quotient, power,
    chosen, reduced, along, position, outer, transposed, expanded, renamed_and_joined, merged,
    looked_up, padded, dropped, loss, probability_loss, classified,
)  # fmt: skip
