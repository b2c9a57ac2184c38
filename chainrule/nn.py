"""Layers, and the one place where a definition is put together, checked and made unique."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

from chainrule.errors import GraphError, ParameterError, closest, did_you_mean
from chainrule.expr import LONGEST_NAME, Definition, Expr, Spec, input_, make, postorder, rewrite
from chainrule.ops import OPS, Op, matmul

RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "softplus")
ACTIVATIONS = (*RECTIFIERS, "selu", "sigmoid", "tanh", "log_sigmoid", "identity")
OUTPUTS = (*ACTIVATIONS, "softmax", "log_softmax")
KEY = "key"
"""The input that carries the key of dropout: a whole number that training changes every step."""

Init = tuple[str, str, str]
"""How a parameter starts: initialiser, axes of the fan in, axes of the fan out (blank: 1)."""


def default_for(activation: str) -> str:
    """The initialiser that suits the activation of a layer.

    Units that are near 0 on one side halve the variance, so theirs is doubled: He et al. 2015,
    section 2.2 (derived for relu, customary for its smooth relatives). selu keeps variance 1 on its
    own with LeCun's: Klambauer et al. 2017. Everything else is treated as near the identity at 0,
    which Glorot & Bengio 2010, section 4.2, assume.

    >>> default_for("relu"), default_for("tanh"), default_for("selu")
    ('he_normal', 'glorot_uniform', 'lecun_normal')
    """
    if activation in RECTIFIERS:
        return "he_normal"
    return "lecun_normal" if activation == "selu" else "glorot_uniform"


_known: WeakValueDictionary[tuple[object, ...], Definition] = WeakValueDictionary()


def network(
    root: Expr,
    inputs: Sequence[Expr],
    *,
    name: str,
    values: Iterable[tuple[str, Expr]] = (),
    params: Iterable[str] = (),
    init: Mapping[str, str | Init] | None = None,
) -> Definition:
    """The one `Definition` with these parts: equal definitions are one object.

    Args:
        root: the loss, or the output when the loss is chosen later.
        inputs: what the caller supplies, in order.
        values: named intermediate results; names for constants and inputs are left out.
        params: the inputs that training changes, in any order.
        init: initialisers of some parameters (with fan axes or without); the others get what suits
            their place in the network: see `initial`.

    Raises:
        GraphError: two inputs with one name, a name that is too long, an input that is not listed,
            or a parameter that the root does not depend on.
        ParameterError: a parameter that is not an input of real numbers.

    >>> x, w = input_("x", "m"), input_("w", "")
    >>> network(w * x, [w, x], name="line", params=["w"]).init
    (('w', 'glorot_uniform', '', ''),)
    """
    given = {x.name: x for x in inputs}
    if len(given) < len(inputs):
        twice = next(
            x.name for i, x in enumerate(inputs) if given[x.name] is not x or x in inputs[:i]
        )
        raise GraphError(f"two inputs are called {twice!r}")
    named = tuple(_written_order(values, given))
    for label in (name, *given, *(value for value, _ in named)):
        check_name(label)
    below = tuple(postorder(root))
    _check_inputs(below, given)
    trained = _check_params(tuple(params), given, set(below))
    starts = initial(below, [given[p] for p in trained], init or {})
    parts = (name, root, tuple(inputs), named, trained, starts)
    found = _known.get(parts)
    if found is None:
        found = Definition(*parts)
        _known[parts] = found
    return found


def revised(definition: Definition, **new: Any) -> Definition:
    """`definition` with some parts of `network` replaced; parameters start as they did.

    >>> revised(mlp([2, 1]), name="small").name
    'small'
    """
    init = {name: (how, fan_in, fan_out) for name, how, fan_in, fan_out in definition.init}
    kept = ("root", "inputs", "name", "values", "params")
    parts: dict[str, Any] = {part: getattr(definition, part) for part in kept}
    return network(**{**parts, "init": init, **new})


def check_name(name: str) -> None:
    """Raise a GraphError if `name` is too long. Any character is fine: what shows it escapes it."""
    if len(name) > LONGEST_NAME:
        what = f"name {name[:40]!r}… is {len(name)} characters long (at most {LONGEST_NAME})"
        raise GraphError(what)


def _written_order(
    values: Iterable[tuple[str, Expr]], inputs: Mapping[str, Expr]
) -> Iterable[tuple[str, Expr]]:
    """The values as written, except that a value stands after those that it is made of."""
    names: dict[Expr, list[str]] = {}
    for name, value in values:
        if name not in inputs and value.op not in ("input", "const"):
            names.setdefault(value, []).append(name)
    for node in postorder(*names):
        yield from ((name, node) for name in names.get(node, ()))


def _check_inputs(below: Sequence[Expr], given: Mapping[str, Expr]) -> None:
    for node in below:
        if node.op == "input" and given.get(node.name) is not node:
            what = f"input {node.name!r} is used, but the definition does not declare it"
            raise GraphError(what, hint=did_you_mean(node.name, given))


def _check_params(
    params: tuple[str, ...], given: Mapping[str, Expr], below: set[Expr]
) -> tuple[str, ...]:
    problems = []
    for p in dict.fromkeys(params):
        if p not in given:
            problems.append(f"parameter {p!r} is not an input. {did_you_mean(p, given)}".strip())
        elif given[p].kind != "float":
            problems.append(f"parameter {p!r} is {given[p].kind}: only real numbers are trained")
    if problems:
        raise ParameterError("; ".join(problems))
    for p in params:
        if given[p] not in below:
            raise GraphError(
                f"parameter {p!r} does not influence the loss (gradient would be 0): "
                "remove it or mark it frozen"
            )
    return tuple(name for name in given if name in params)


_SEEN_THROUGH = ("add", "sub", "transpose", "expand", "rename", "mul")
_STEPS_TO_ACTIVATION = 4  # product, bias, a change of axes or two; more would be another layer


def initial(
    below: Sequence[Expr], params: Sequence[Expr], chosen: Mapping[str, str | Init]
) -> tuple[tuple[str, str, str, str], ...]:
    """How each parameter starts, read off its place in the graph.

    What is contracted is a weight: its fan in are the axes summed, and the activation that follows
    chooses the initialiser (`default_for`). A scalar factor is a weight with one input and one
    output, a factor with axes a gain (1), a table that is looked up starts small and normal,
    everything else is an offset (0).
    """
    users: dict[Expr, list[Expr]] = {}
    for node in below:
        for x in dict.fromkeys(node.inputs):
            users.setdefault(x, []).append(node)
    starts = []
    for parameter in params:
        choice = chosen.get(parameter.name, ())
        if isinstance(choice, str):
            choice = (choice, *_place(parameter, users)[1:])
        starts.append((parameter.name, *(choice or _place(parameter, users))))
    return tuple(starts)


def _place(parameter: Expr, users: Mapping[Expr, list[Expr]]) -> Init:
    at = list(users.get(parameter, ()))
    for node in at:
        if node.op == "transpose":
            at.extend(users.get(node, ()))
    by_op = {node.op: node for node in reversed(at)}
    if "contract" in by_op:
        product = by_op["contract"]
        summed = [axis for axis in parameter.axes if axis in product["over"]]
        kept = [axis for axis in parameter.axes if axis not in summed]
        follows = default_for(_activation_after(product, users))
        return follows, " ".join(summed), " ".join(kept)
    if "gather" in by_op:
        return "normal", "", ""
    if "mul" in by_op:
        scalar = default_for(_activation_after(by_op["mul"], users))
        return "constant:c=1" if parameter.axes else scalar, "", ""
    return "zeros", "", ""


def _activation_after(node: Expr, users: Mapping[Expr, list[Expr]]) -> str:
    level = [node]
    for _ in range(_STEPS_TO_ACTIVATION):
        level = [user for x in level for user in users.get(x, ())]
        for user in level:
            if user.op in OUTPUTS:
                return user.op
        level = [user for user in dict.fromkeys(level) if user.op in _SEEN_THROUGH]
    return "identity"


def _affine(x: Expr, units: int, name: str, axis: str) -> Expr:
    features = x.axes[-1]
    sizes = {a: n for a, n in ((features, x.sizes.get(features)), (axis, units)) if n is not None}
    weights = input_(f"W_{name}", Spec((features, axis), sizes))
    return matmul(x, weights) + input_(f"b_{name}", Spec((axis,), {axis: units}))


def _activated(x: Expr, activation: str) -> Expr:
    if activation == "identity":
        return x
    if activation in ("softmax", "log_softmax"):
        return OPS[activation](x, over=x.axes[-1])
    return OPS[activation](x)


def _name_of(activation: str | Op | None) -> str:
    if activation is None or activation == "linear":
        return "identity"
    return activation.name if isinstance(activation, Op) else str(activation)


def _activation_problem(option: str, name: str, known: Sequence[str]) -> list[str]:
    if name in known:
        return []
    near = closest(name, known)
    tail = f". Did you mean {near!r}?" if near else f", expected one of {', '.join(known)}"
    return [f"{option} {name!r} is not known{tail}"]


def _width_problem(option: str, width: object) -> list[str]:
    try:
        whole = 0 if isinstance(width, bool) else operator.index(width)  # type: ignore[arg-type]
    except TypeError:
        whole = 0
    return [] if whole >= 1 else [f"{option} must be a whole number ≥ 1, got {width!r}"]


def dense(
    x: Expr, units: int, activation: str | Op | None = None, *, name: str, axis: str = ""
) -> Expr:
    """A fully connected layer on rows: activation(x @ W_name + b_name), on the last axis of `x`.

    Args:
        x: "… n"; the last axis is what the layer mixes.
        units: size of the new axis, which is called `axis` (``h_name`` if that is empty).
        activation: name of an elementwise operation, softmax or log_softmax; None for none.
        name: tells the parameters of layers apart.

    Raises:
        ParameterError: units below 1 or an activation that does not exist.
        GraphError: `x` is a scalar.

    >>> dense(input_("X", "m n=4"), 3, "relu", name="1").axes
    ('m', 'h_1')
    """
    function = _name_of(activation)
    problems = _width_problem("units", units)
    problems += _activation_problem("activation", function, OUTPUTS)
    if problems:
        raise ParameterError("; ".join(problems), where=f"layer {name!r}")
    if not x.axes:
        raise GraphError("needs a value with axes, got a scalar", where=f"layer {name!r}")
    return _activated(_affine(x, operator.index(units), name, axis or f"h_{name}"), function)


def dropout(x: Expr, rate: float, *, stream: int = 0) -> Expr:
    """Dropout whose key is the input `key`; layers of one network need different streams.

    Raises:
        ParameterError: `rate` is not in [0, 1).

    >>> dropout(input_("A", "m k"), 0.5).inputs[1].name
    'key'
    """
    return OPS["dropout"](x, input_(KEY, "int"), rate, stream)


def _mlp_problems(widths: Sequence[int], activation: str, output: str, rate: object) -> list[str]:
    problems = []
    if len(widths) < 2:
        problems.append(
            f"widths must name the inputs and the outputs at least, got {list(widths)!r}"
        )
    for i, width in enumerate(widths):
        problems += _width_problem(f"widths[{i}]", width)
    problems += _activation_problem("activation", activation, ACTIVATIONS)
    problems += _activation_problem("output", output, OUTPUTS)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        problems.append(f"dropout must be in [0, 1), got {rate!r}")
    return problems


def mlp(
    widths: Sequence[int],
    activation: str | Op | None = "relu",
    output: str | Op | None = None,
    dropout: float = 0.0,
    init: str | None = None,
    name: str = "mlp",
) -> Definition:
    """A multilayer perceptron on rows, without a loss: Z_1 = X @ W_1 + b_1, A_1 = relu(Z_1).

    Args:
        widths: number of inputs, of units of each hidden layer, of outputs.
        activation: of the hidden layers.
        output: activation of the last layer, whose value is then called y_hat; None leaves logits.
        dropout: share of each hidden layer's values that training leaves out, in [0, 1).
        init: initialiser of the weights; None for the one that suits the activation.

    Axes: X is "m n", hidden layers have h_1, h_2, …, the last one c.

    Raises:
        ParameterError: with all problems at once.

    >>> net = mlp([64, 32, 10])
    >>> [x.name for x in net.inputs], net.names()[net.root]
    (['W_1', 'b_1', 'W_2', 'b_2', 'X'], 'Z_2')
    >>> net.init[0]
    ('W_1', 'he_normal', 'n', 'h_1')
    """
    widths = [widths] if isinstance(widths, int) else list(widths)
    hidden, last = _name_of(activation), _name_of(output)
    problems = _mlp_problems(widths, hidden, last, dropout)
    if problems:
        raise ParameterError("; ".join(problems), where="mlp")
    sizes = [operator.index(width) for width in widths]
    examples = a = input_("X", Spec(("m", "n"), {"n": sizes[0]}))
    layers = len(sizes) - 1
    values = []
    for i in range(1, layers):
        z = _affine(a, sizes[i], str(i), f"h_{i}")
        a = _activated(z, hidden)
        values += [(f"Z_{i}", z), (f"A_{i}", a)] if a is not z else [(f"Z_{i}", z)]
        if dropout:
            a = OPS["dropout"](a, input_(KEY, "int"), dropout, i)
            values.append((f"D_{i}", a))
    z = _affine(a, sizes[-1], str(layers), "c")
    root = _activated(z, last)
    values += [(f"Z_{layers}", z)] + ([("y_hat", root)] if root is not z else [])
    params = [x for x in _inputs_below(root) if x.name not in ("X", KEY)]
    keys = [x for x in _inputs_below(root) if x.name == KEY]
    chosen = {x.name: init for x in params if init and x.name.startswith("W_")}
    names = [x.name for x in params]
    inputs = (*params, examples, *keys)
    return network(root, inputs, name=name, values=values, params=names, init=chosen)


def _inputs_below(*roots: Expr) -> list[Expr]:
    return [node for node in postorder(*roots) if node.op == "input"]


def without_dropout(definition: Definition) -> Definition:
    """The same network as it is at prediction: dropout absent, and its key with it.

    >>> without_dropout(mlp([4, 3, 2], dropout=0.5)) is mlp([4, 3, 2])
    True
    """
    roots = (definition.root, *(value for _, value in definition.values))

    def step(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if node.op == "dropout":
            return inputs[0]
        return make(node.op, inputs, node.attrs, node.axes, node.sizes, node.kind)

    new = rewrite(roots, step)
    keys = {node.inputs[1] for node in postorder(*roots) if node.op == "dropout"}
    root = new[definition.root]
    values = [(name, new[v]) for name, v in definition.values if v.op != "dropout"]
    still = set(_inputs_below(root, *(v for _, v in values)))
    inputs = [x for x in definition.inputs if x in still or x not in keys]
    return revised(definition, root=root, inputs=inputs, values=values)
