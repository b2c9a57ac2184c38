"""Random layered networks that matrices have a notation for: a pure function of a seed.

Dense layers of random widths and depths with every activation and loss, with and without biases,
examples as columns or rows, shared weights, skip connections, penalties; regressions on rows of
numbers; chains of numbers; products entry by entry. Some values have names and some do not, so
that printers must also nest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.expr import Definition, Expr, input_
from chainrule.ops import OPS
from chainrule.ops.indexing import rename

ACTIVATIONS = (
    "sigmoid", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "softplus",
    "log_sigmoid", "tanh", "erf", "square", "abs", "exp", "expm1", "log1p", "sqrt", "log", "sign",
    "clip", "softmax", "log_softmax", "maximum", "minimum", "where", "pow", "div", "neg",
    "stop_gradient",
)  # fmt: skip
LOSSES = (
    "mse", "half_mse", "mae", "huber", "log_cosh", "poisson", "bce", "bce_logits", "hinge", "kl",
    "sum_squares", "cross_entropy",
)  # fmt: skip
POSITIVE = ("log1p", "sqrt", "log", "pow")  # of a positive argument
GROUP = 20  # seeds that have the same sizes: one call of the compiler serves them all
WIDTHS = ("k", "h", "q", "r")
HIDDEN = ("Z", "H", "S", "hidden", "beta", "P")
WEIGHTS = ("W", "U", "V", "Theta", "weights")
BIASES = ("b", "c", "d", "bias")


@dataclass(frozen=True)
class Network:
    """A definition and arrays for its inputs."""

    seed: int
    definition: Definition
    given: dict[str, np.ndarray]
    sizes: dict[str, int]


class Maker:
    """A network under construction."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        drawn = np.random.default_rng((seed // GROUP, 1))
        self.sizes = {a: int(drawn.integers(1, 5)) for a in ("m", "n", "o", *WIDTHS)} | {"1": 1}
        self.inputs: dict[str, Expr] = {}
        self.params: list[str] = []
        self.values: list[tuple[str, Expr]] = []
        self.columns = bool(self.rng.random() < 0.6)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    def number(self) -> float:
        choices = (0.5, 2, 3, 0.1, 1.5, -1, -0.25, 1e-3, 1, round(float(self.rng.normal()), 3))
        return float(self.pick(choices))

    def input(self, name: str, axes: str, kind: str = "float") -> Expr:
        while name in self.inputs or name in dict(self.values):
            stem, _, last = name.rpartition("_")
            name = f"{stem}_{int(last) + 1}" if last.isdigit() else f"{name}_1"
        self.inputs[name] = input_(name, f"{axes} {kind}".strip())
        return self.inputs[name]

    def param(self, name: str, axes: str) -> Expr:
        found = self.input(name, axes)
        self.params.append(found.name)
        return found

    def named(self, name: str, value: Expr, p: float = 0.75) -> Expr:
        """The value, mostly with a name."""
        taken = {*self.inputs, *(n for n, _ in self.values)}
        fresh = value.inputs and value not in {e for _, e in self.values}
        if self.chance(p) and fresh and name not in taken and value.kind == "float":
            self.values.append((name, value))
        return value

    def activated(self, x: Expr, classes: str = "") -> Expr:
        """A function of x that every entry survives."""
        name = self.pick(ACTIVATIONS)
        if name in POSITIVE:
            x = OPS["softplus"](x) + 0.5
        if name == "pow":
            return x ** self.pick((2, 3, 0.5, -1.5))
        if name in ("exp", "expm1"):
            x = OPS["tanh"](x)
        if name == "leaky_relu" and self.chance(0.5):
            return OPS[name](x, slope=0.2)
        if name == "elu" and self.chance(0.5):
            return OPS[name](x, alpha=1.3)
        if name in ("softmax", "log_softmax"):
            return OPS[name](x, classes) if classes else OPS["tanh"](x)
        if name == "clip":
            return OPS[name](x, low=-0.9, high=0.7)
        if name in ("maximum", "minimum"):
            return OPS[name](x, self.pick((0.1, -0.2)))
        if name == "where":
            return OPS["where"](x > 0.1, x, 0.3 * x)
        if name == "div":
            return x / (1 + OPS["square"](x))
        if name == "neg":
            return -OPS["tanh"](x)
        if name in ("sign", "stop_gradient"):  # they pass no gradient on
            return OPS["tanh"](x) * OPS[name](x)
        return OPS[name](x)

    def definition(self, name: str, root: Expr) -> Definition:
        order = tuple(self.inputs.values())
        values = tuple((n, e) for n, e in self.values if e is not root)
        return Definition(name, root, order, values, tuple(self.params))

    def arrays(self) -> dict[str, np.ndarray]:
        found = {}
        for name, x in self.inputs.items():
            shape = tuple(self.sizes[a] for a in x.axes)
            if x.kind == "int":
                found[name] = self.rng.integers(0, self.sizes["o"], shape)
            else:
                found[name] = self.rng.uniform(-1, 1, shape)
        return found


def affine(g: Maker, x: Expr, below: str, above: str, at: str, weights: Expr | None = None) -> Expr:
    """W x + b in the layout of this network, with or without a bias."""
    axes = f"{above} {below}" if g.columns else f"{below} {above}"
    w = weights if weights is not None else g.param(f"{g.pick(WEIGHTS)}{at}", axes)
    z = w @ x if g.columns else x @ w
    if g.chance(0.75):
        kind = g.pick(("k", "k 1", "", "matrix")) if g.chance(0.3) else "k"
        shape = {"k": above, "k 1": above, "": "", "matrix": above}[kind]
        b = g.param(f"{g.pick(BIASES)}{at}", shape)
        z = z + b if g.chance(0.9) else b + z
    return z


def stacked(g: Maker) -> Expr:
    """Dense layers, with skip connections and weights used twice."""
    style = g.pick(("_{}", "{}", "_{}", "_{}"))
    x = g.input(g.pick(("X", "X", "x", "inputs")), "n m" if g.columns else "m n")
    below, value = "n", x
    for i in range(1, int(g.rng.integers(1, 4))):
        above = WIDTHS[i]
        z = affine(g, value, below, above, style.format(i))
        z = g.named(f"{g.pick(HIDDEN)}_{i}", z)
        a = g.named(f"A_{i}", g.activated(z, above))
        if g.chance(0.15):
            a = g.named(f"G_{i}", a * OPS["sigmoid"](z))
        if g.chance(0.2):
            a = g.named(f"R_{i}", a + g.number() * z)
        if g.chance(0.15):
            a = again(g, a, above, style.format(i + 5))
        below, value = above, a
    out = affine(g, value, below, "o", "_out" if g.chance(0.2) else style.format(9))
    return finished(g, g.named(g.pick(("y_hat", "Y_hat", "z", "out")), out), "o")


def again(g: Maker, a: Expr, axis: str, at: str) -> Expr:
    """A square layer applied twice with the same weights."""
    other = f"{axis}_2"
    g.sizes[other] = g.sizes[axis]
    w = g.param(f"Q{at}", f"{other} {axis}" if g.columns else f"{axis} {other}")
    for _ in range(2):
        z = w @ a if g.columns else a @ w
        a = rename(OPS["tanh"](z), **{other: axis})
    return a


def finished(g: Maker, out: Expr, classes: str) -> Expr:
    """A loss on the output, perhaps with a penalty."""
    loss = losses(g, out, classes)
    if g.chance(0.3) and g.params:
        w = g.inputs[g.pick(g.params)]
        penalty = g.pick((lambda: OPS["sum"](w**2), lambda: OPS["sum"](OPS["abs"](w))))()
        loss = loss + abs(g.number()) * penalty
    if g.chance(0.1):
        loss = g.number() * loss
    if g.chance(0.05):
        loss = loss * g.param("scale", "")
    return loss


def losses(g: Maker, out: Expr, classes: str) -> Expr:
    name = g.pick(LOSSES)
    axes = " ".join(out.axes)
    how: dict[str, object] = {}
    if name != "sum_squares":
        how = {"reduction": g.pick(("mean", "mean", "sum"))}
        if "m" not in out.axes:
            how = {"reduction": "sum"}
    if name == "cross_entropy":
        if classes not in out.axes:
            name = "mse"
        else:
            rest = [a for a in out.axes if a != classes]
            kind = g.pick(("labels", "labels", "rows", "smooth"))
            how |= {"over": classes, "label_smoothing": 0.1 if kind == "smooth" else 0.0}
            if kind == "rows" or not rest:
                return OPS[name](out, OPS["softmax"](g.input("T", axes), classes), **how)
            return OPS[name](out, g.input("y", " ".join(rest), "int"), **how)
    y = g.input(g.pick(("y", "Y", "t")), axes)
    if name in ("bce", "kl"):
        out, y = OPS["sigmoid"](out), OPS["sigmoid"](y)
    extra = []
    if how and g.chance(0.15):
        extra = [OPS["softplus"](g.input("s", g.pick((axes, "m" if "m" in out.axes else axes))))]
    return OPS[name](out, y, *extra, **how)


def regression(g: Maker) -> Expr:
    """Numbers w and b, examples in a row."""
    x = g.input("x", "m")
    value = g.param("w", "") * x + g.param("b", "")
    for i in range(int(g.rng.integers(0, 3))):
        value = g.named(f"h_{i}", g.activated(value))
        value = g.param(f"v_{i}", "") * value + (g.param(f"c_{i}", "") if g.chance(0.6) else 0.5)
    return finished(g, g.named("y_hat", value), "")


def row_of_weights(g: Maker) -> Expr:
    """Weights in a row or a column, examples side by side or below one another."""
    if g.columns:
        out = g.param("w", g.pick(("1 n", "n"))) @ g.input("X", "n m")
    else:
        out = g.input("X", "m n") @ g.param("w", g.pick(("n 1", "n")))
    out = g.named("z", out + g.param("b", ""))
    return finished(g, g.named("y_hat", g.activated(out)), "")


def chain(g: Maker) -> Expr:
    """Numbers all the way."""
    value = g.input("x", "")
    for i in range(1, int(g.rng.integers(2, 6))):
        value = g.param(f"w_{i}", "") * value + g.param(f"b_{i}", "")
        value = g.named(f"h_{i}", g.activated(value))
    y = g.input("y", "")
    ends = (
        lambda: (value - y) ** 2,
        lambda: OPS["sum_squares"](value, y),
        lambda: OPS["square"](value - y) / 2,
        lambda: OPS["tanh"](value * y),
    )
    return g.pick(ends)()


def entrywise(g: Maker) -> Expr:
    """Products, quotients and differences entry by entry, matrices with rows and columns."""
    axes = ("k m", "k", "m", "k m", "")
    pool = [g.param("A", "k m"), g.param("B", g.pick(axes)), g.param("s", g.pick(axes))]
    for i in range(int(g.rng.integers(2, 6))):
        a, b = pool[0], g.pick(pool)
        how = g.pick(("mul", "sub", "add", "div", "square", "tanh", "mul"))
        if how == "div":
            made = a / (1.5 + OPS["square"](b))
        elif how in ("square", "tanh"):
            made = OPS[how](a)
        else:
            pair = (a, b) if g.chance(0.6) else (b, a)
            made = OPS[how](*pair)
        pool.insert(0, g.named(f"M_{i}", OPS["tanh"](made) if g.chance(0.3) else made, 0.5))
    total = OPS[g.pick(("sum", "mean"))](pool[0])
    for x in pool[-3:]:
        total = total + g.number() * OPS["sum"](OPS["square"](x))
    return total


KINDS = (stacked,) * 6 + (regression, row_of_weights, row_of_weights, chain, entrywise, entrywise)


def network(seed: int) -> Network:
    """The network of this seed."""
    g = Maker(seed)
    kind = g.pick(KINDS)
    root = kind(g)
    return Network(seed, g.definition(f"net_{seed}", root), g.arrays(), g.sizes)
