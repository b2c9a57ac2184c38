r"""Matrix derivatives: every rule is a small network, and what is printed is derived from it.

The text of a rule says what is computed, in the ``.net`` format; nothing else about it is written
down, so the table cannot disagree with the code. For a value Y with axes, G = ∂L/∂Y is what it
receives from whatever loss follows, and dY is its differential. Where the literature gives the
derivative in another form, that form is an expression too: `closed`. The numbers of
equations and sections are those of Petersen & Pedersen 2012, The Matrix Cookbook.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from chainrule.differentiate import forward, reverse
from chainrule.emit.tex import COLUMN, ROW, Printer, label
from chainrule.expr import Definition, Expr, Spec, input_
from chainrule.netfile import parse_net
from chainrule.ops import OPS
from chainrule.plan.simplify import simplify

DIFFERENTIAL = r"\mathrm{d}"
UPSTREAM = {0: "g", 1: "g", 2: "G"}
"""What the value receives, by its number of axes: a vector or a matrix."""


@dataclass(frozen=True)
class Statement:
    """A rule as it is written down: what is computed.

    Attributes:
        key: a stable name.
        says: what it is in words.
        net: the network; its parameters are what is derived with respect to.
        cite: where the literature has it.
        tex: LaTeX of the value where it has a customary name that no operation has, such as a
            trace; "" to read it off the network.
        closed: formulas of derivatives as the literature gives them, by parameter.
        rows: axes whose vectors are written as rows.
        differential: whether it is shown; that of a softmax is its gradient once more.
    """

    key: str
    says: str
    net: str
    cite: str
    tex: str = ""
    closed: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    differential: bool = True


@dataclass(frozen=True)
class Gradient:
    """What one input of a rule receives.

    Attributes:
        input: its name.
        tex: LaTeX of the derivative, as it is derived.
        closed: LaTeX of the form in the literature; "" if it is the same.
        expr, closed_expr: both as expressions; None for a form that is not given.
    """

    input: str
    tex: str
    closed: str
    expr: Expr
    closed_expr: Expr | None


@dataclass(frozen=True)
class MatrixRule:
    """One matrix derivative.

    Attributes:
        statement: what was written down.
        definition: the network of a scalar that checks compare: the value itself, or the sum of
            its entries times G.
        value_expr: what is computed; its LaTeX is `value`.
        symbol: what it is called: its name, else Y for a matrix and y for all else.
        differential: LaTeX of its differential, in those of the inputs; "" for a number.
        gradients: one for each parameter.
    """

    statement: Statement
    definition: Definition
    value_expr: Expr
    value: str
    symbol: str
    differential: str
    gradients: tuple[Gradient, ...]


STATEMENTS = (
    Statement("product-right", "matrix product, right factor",
              "param X: n p\ninput A: k n\nreturn A @ X", "eq. 37"),
    Statement("product-left", "matrix product, left factor",
              "param X: k n\ninput B: n p\nreturn X @ B", "eq. 37"),
    Statement("product-chain", "chain of matrices, one in the middle",
              "param X: n p\ninput A: k n\ninput B: p q\nreturn A @ X @ B", "eq. 37"),
    Statement("matrix-vector", "matrix times vector",
              "param A: k n\nparam x: n\nreturn A @ x", "eq. 37"),
    Statement("layer", "layer with examples as columns: the bias is broadcast",
              "param W: k n\nparam b: k\ninput X: n m\nreturn W @ X + b", "CS230 section 2"),
    Statement("layer-rows", "layer with examples as rows",
              "param W: n k\nparam b: k\ninput X: m n\nreturn X @ W + b", "CS230 section 2",
              rows=("k",)),
    Statement("transpose", "transpose", "param X: n p\nreturn X.T", "eq. 44"),
    Statement("gram", "product with its own transpose",
              'param X: k n\nreturn contract(X, rename(X, k="l"), over="n")', "eq. 37, 44",
              closed={"X": '(G + rename(G, k="l", l="k")) @ rename(X, k="l")'}),
    Statement("outer", "outer product of two vectors",
              'param x: n\nparam y: p\nreturn contract(x, y, over="")', "eq. 37",
              closed={"y": "G.T @ x"}),
    Statement("hadamard", "Hadamard product",
              "param X: n p\nparam A: n p\nreturn A * X", "eq. 38"),
    Statement("quotient", "quotient, entry by entry",
              "param X: n p\nparam A: n p\nY = A / X\nreturn Y", "quotient rule"),
    Statement("scale", "number times matrix", "param a:\nparam X: n p\nreturn a * X", "eq. 34"),
    Statement("entrywise", "a function of every entry (here σ)",
              "param X: n p\nY = sigmoid(X)\nreturn Y", "chain rule; σ′ = σ ⊙ (1 − σ)"),
    Statement("entrywise-kink", "a function of every entry (here relu)",
              "param X: n p\nreturn relu(X)", "chain rule"),
    Statement("composition", "composition: layer, function, layer",
              "param X: n p\ninput A: k l\ninput B: l n\nS = sigmoid(B @ X)\nreturn A @ S",
              "chain rule"),
    Statement("row-sums", "sums over each row",
              'param X: n p\nreturn sum(X, over="p")', "eq. 37"),
    Statement("column-sums", "sums over each column",
              'param X: n p\nreturn sum(X, over="n")', "eq. 37", rows=("p",)),
    Statement("row-means", "means over each row",
              'param X: n m\nreturn mean(X, over="m")', "eq. 37"),
    Statement("softmax", "softmax", 'param z: c\ny = softmax(z, over="c")\nreturn y',
              "Bridle 1990: ∂y_i/∂z_j = y_i (δ_ij − y_j)", differential=False),
    Statement("log-softmax", "log softmax", 'param z: c\ny = log_softmax(z, over="c")\nreturn y',
              "the derivative of softmax divided by its value", differential=False),
    Statement("sum", "sum of all entries", "param X: n p\nreturn sum(X)",
              "section 2.5, with A = 11ᵀ"),
    Statement("mean", "mean of all entries", "param X: n p\nreturn mean(X)", "section 2.5"),
    Statement("trace", "trace",
              'param X: n p\ninput I: n p\nreturn contract(I, X, over="n p")', "section 2.5",
              tex=r"\operatorname{tr}(X)"),
    Statement("trace-product", "trace of a product",
              'param X: n k\ninput A: k n\nreturn contract(A, X, over="k n")', "section 2.5",
              tex=r"\operatorname{tr}(AX)"),
    Statement("trace-chain", "trace of a chain",
              'param X: n p\ninput A: k n\ninput B: p k\nreturn contract(A @ X, B, over="k p")',
              "section 2.5", tex=r"\operatorname{tr}(AXB)"),
    Statement("trace-quadratic", "trace of a quadratic form",
              'param X: n p\ninput A: n q\nreturn contract(X, A @ rename(X, n="q"), over="n p")',
              "section 2.5", tex=r"\operatorname{tr}(X^\intercal AX)",
              closed={"X": '(A + rename(A, n="q", q="n")) @ rename(X, n="q")'}),
    Statement("linear-form", "linear form",
              "param x: n\ninput a: n\nreturn a @ x", "section 2.4"),
    Statement("bilinear-form", "bilinear form",
              "param X: n p\ninput a: n\ninput b: p\nreturn a @ X @ b", "section 2.4",
              tex=r"a^\intercal Xb"),
    Statement("quadratic-form", "quadratic form",
              'param x: n\ninput A: n q\nreturn x @ (A @ rename(x, n="q"))', "section 2.4",
              closed={"x": '(A + rename(A, n="q", q="n")) @ rename(x, n="q")'}),
    Statement("squared-norm", "squared length",
              "param x: n\nreturn sum(square(x))", "section 2.6", tex="||x||^2"),
    Statement("norm", "length", "param x: n\nr = sqrt(sum(square(x)))\nreturn r", "section 2.6",
              tex="||x||", closed={"x": "x / r"}),
    Statement("frobenius", "squared Frobenius norm",
              "param X: n p\nreturn sum(square(X))", "section 2.7", tex="||X||_F^2"),
    Statement("distance", "squared distance",
              "param x: n\ninput a: n\nreturn sum_squares(x, a)", "section 2.6"),
    Statement("least-squares", "least squares",
              "param x: n\ninput A: k n\ninput b: k\nreturn sum_squares(A @ x, b)", "section 2.4",
              closed={"x": "2 * (A.T @ (A @ x - b))"}),
    Statement("least-squares-matrix", "least squares with several right sides",
              "param X: n p\ninput A: k n\ninput B: k p\nreturn sum_squares(A @ X, B)",
              "section 2.4",
              closed={"X": "2 * (A.T @ (A @ X - B))"}),
    Statement("mse", "mean squared error over m examples",
              "param P: k m\ninput Y: k m\nreturn mse(P, Y)", "CS230 section 2"),
    Statement("logsumexp", "log of a sum of exponentials",
              'param z: c\nr = logsumexp(z, over="c")\nreturn r', "its gradient is the softmax",
              closed={"z": 'softmax(z, over="c")'}),
    Statement("cross-entropy", "softmax and cross-entropy, labels as numbers",
              "param Z: c m\ninput t: m int\nreturn cross_entropy(Z, t)",
              "Cox 1958; ∂L/∂z = (softmax(z) − y)/m"),
    Statement("logistic", "sigmoid and binary cross-entropy",
              "param z: m\ninput t: m\nreturn bce_logits(z, t)", "Bernoulli log-likelihood"),
)  # fmt: skip


@dataclass(frozen=True)
class Uncovered:
    """A rule of the usual sheets that no operation of ours computes, so that it is not derived.

    Attributes:
        key, says, cite: as in `Statement`.
        value, derivative: LaTeX of both sides.
        why: what is missing.
    """

    key: str
    says: str
    value: str
    derivative: str
    cite: str
    why: str


_NO_INVERSE = "no operation inverts a matrix"
_NO_DETERMINANT = "no operation takes a determinant"
UNCOVERED = (
    Uncovered("inverse", "inverse", r"Y = X^{-1}",
              r"\mathrm{d}Y = -X^{-1}\,\mathrm{d}X\,X^{-1}", "eq. 40", _NO_INVERSE),
    Uncovered("trace-inverse", "trace with an inverse", r"y = \operatorname{tr}(AX^{-1}B)",
              r"\frac{\partial y}{\partial X} = -(X^{-1}BAX^{-1})^\intercal", "section 2.5",
              _NO_INVERSE),
    Uncovered("bilinear-inverse", "bilinear form with an inverse", r"y = a^\intercal X^{-1}b",
              r"\frac{\partial y}{\partial X} = -X^{-\intercal}ab^\intercal X^{-\intercal}",
              "section 2.2", _NO_INVERSE),
    Uncovered("determinant", "determinant", r"y = \det(X)",
              r"\frac{\partial y}{\partial X} = \det(X)\,X^{-\intercal}", "section 2.1",
              _NO_DETERMINANT),
    Uncovered("log-determinant", "logarithm of a determinant",
              r"y = \log \lvert \det(X) \rvert",
              r"\frac{\partial y}{\partial X} = X^{-\intercal}", "section 2.1", _NO_DETERMINANT),
)  # fmt: skip


def matrix_rules() -> Iterator[MatrixRule]:
    r"""Every matrix rule, derived now.

    >>> rules = {rule.statement.key: rule for rule in matrix_rules()}
    >>> rules["product-right"].gradients[0].tex
    'A^\\intercal G'
    """
    yield from (matrix_rule(statement) for statement in STATEMENTS)


def matrix_rule(statement: Statement) -> MatrixRule:
    """Derive one rule."""
    net = parse_net(statement.net)
    root, params = net.root, [net.input[p] for p in net.params]
    upstream, closed = _upstream(root), _closed(statement, net)
    found = reverse(root, params, seed=upstream).wrt
    tangents = {x: input_(f"d{x.name}", Spec(x.axes, x.sizes)) for x in reversed(params)}
    moved = forward(root, tangents) if root.axes and statement.differential else None
    exprs = [root, *found.values(), *closed.values(), *([moved] if moved is not None else [])]
    simple = simplify(exprs)
    named = {x: label(x.name) for x in net.inputs}
    named |= {simple.get(v, v): label(name) for name, v in net.values}
    named |= {t: rf"{DIFFERENTIAL}{label(x.name)}" for x, t in tangents.items()}
    printer = Printer(named, _orientation(exprs, statement.rows))
    gradients = []
    for x in params:
        tex = printer.tex(simple[found[x]]).text
        other = closed.get(x.name)
        shown = "" if other is None else printer.tex(simple[other]).text
        gradients.append(Gradient(x.name, tex, shown if shown != tex else "", found[x], other))
    return MatrixRule(
        statement,
        _scalar(net, upstream),
        root,
        statement.tex or ", \\quad ".join(_value(net, printer, simple)),
        _symbol(net, printer, simple[root]),
        "" if moved is None else _spaced(printer.tex(simple[moved]).text),
        tuple(gradients),
    )


_BEFORE = re.compile(r"(?<=[\w})])(?=\\mathrm\{d\})")
_AFTER = re.compile(r"(\\mathrm\{d\}[A-Za-z](?:\^\\intercal)?)(?=[A-Za-z(]|\\vec)")


def _spaced(tex: str) -> str:
    """A differential stands apart from the factors beside it: A dX B."""
    return _AFTER.sub(r"\1\\,", _BEFORE.sub(r"\\,", tex))


def _upstream(root: Expr) -> Expr | None:
    return input_(UPSTREAM[len(root.axes)], Spec(root.axes, root.sizes)) if root.axes else None


def _scalar(net: Definition, upstream: Expr | None) -> Definition:
    if upstream is None:
        return net
    root = OPS["contract"](upstream, net.root, upstream.axes)
    return Definition(net.name, root, (*net.inputs, upstream), net.values, net.params)


def _closed(statement: Statement, net: Definition) -> dict[str, Expr]:
    """The formulas of the literature, in the names of the network and of what it receives."""
    upstream = _upstream(net.root)
    head = statement.net.rsplit("return", 1)[0]
    if upstream is not None:
        head += f"input {upstream.name}: {' '.join(upstream.axes)}\n"
    frozen = head.replace("param ", "input ")
    return {
        name: parse_net(f"{frozen}return {text}").root for name, text in statement.closed.items()
    }


def _orientation(exprs: list[Expr], rows: tuple[str, ...]) -> dict[str, str]:
    from chainrule.expr import postorder

    axes = {axis for node in postorder(*exprs) for axis in node.axes}
    return {axis: ROW if axis in rows else COLUMN for axis in axes}


def _value(net: Definition, printer: Printer, simple: Mapping[Expr, Expr]) -> Iterator[str]:
    """The value, and what the names in it are short for."""
    yield printer.definition(simple[net.root]).text
    for name, value in net.values:
        if value is not net.root:
            yield f"{label(name)} = {printer.definition(simple.get(value, value)).text}"


def _symbol(net: Definition, printer: Printer, root: Expr) -> str:
    """The name that the network gives its value; Y for a matrix, y for a vector or a number."""
    if root in printer.names and root.op != "input":
        return printer.names[root]
    return "Y" if len(root.axes) == 2 else "y"
