"""Definitions from Python functions with parameters annotated with axes; losses put on them."""

from __future__ import annotations
import __future__

import ast
import dis
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FrameType, TracebackType
from typing import Any

from chainrule.errors import ChainruleError, GraphError, ParameterError, ShapeError, did_you_mean
from chainrule.expr import EXAMPLES, Definition, Expr, Spec, input_, parse_axes, postorder
from chainrule.nn import Init, network, revised
from chainrule.ops import OPS

Function = Callable[..., Any]
AXES_EXAMPLE = "Write its axes in quotes: {name}: \"k n\" ('' for a scalar)"
LOSSES = (*(name for name, op in OPS.items() if "reduction" in op.attrs), "sum_squares")
"""Operations that compare a prediction with a target."""


def from_function(
    function: Function,
    *,
    params: Iterable[str] | None = None,
    frozen: Iterable[str] = (),
    name: str | None = None,
    init: Mapping[str, str | Init] | None = None,
) -> Definition:
    """The definition that an annotated function writes down; it is called once, with expressions.

    Local variable names become the names of values. Parameters with a default are options of the
    function, not inputs. Inputs that layers made inside the function come after its own, and are
    trained unless `params` says otherwise.

    Args:
        function: parameters annotated with axes as text, such as ``W: "k n"``; returns an Expr.
        params: the inputs that training changes.
        frozen: those of `params` that training leaves alone after all.
        name: of the definition; the name of the function if not given.
        init: initialisers of parameters by name.

    Raises:
        GraphError: an annotation is missing, the result is no expression, or a generator.
        ShapeError: malformed axes, or axes that do not fit (with file and line).

    >>> def line(w: "", b: "", x: "m"):
    ...     y_hat = w * x + b
    ...     return y_hat
    >>> from_function(line, params=["w", "b"]).values[0][0]
    'y_hat'
    """
    code = _code(function)
    where = f"{code.co_filename}:{code.co_firstlineno}"
    declared, options = _declared(function, where)
    result, names = _run(function, code, declared, options)
    if not isinstance(result, Expr):
        got = "None (is a return missing?)" if result is None else type(result).__name__
        what = f"{function_name(function)} must return an expression, got {got}"
        raise GraphError(what, where=where)
    values = [(local, names[local]) for local in _in_order(code, names)]
    made = _made_by_layers([result, *(value for _, value in values)], declared)
    trained = [x.name for x in made if x.kind == "float"] if params is None else list(params)
    if frozen and not trained:
        what = "frozen names what params would train, but params is not given"
        raise ParameterError(what, where=where)
    trained = without_frozen(trained, frozen, [*declared, *(x.name for x in made)])
    inputs = (*declared.values(), *made)
    label = function_name(function) if name is None else name
    return network(result, inputs, name=label, values=values, params=trained, init=init)


def without_frozen(
    params: Iterable[str], frozen: Iterable[str], inputs: Iterable[str]
) -> list[str]:
    """`params` without those that are frozen.

    Raises:
        ParameterError: a frozen name is not an input.
    """
    inputs, frozen = list(inputs), [frozen] if isinstance(frozen, str) else list(frozen)
    for name in frozen:
        if name not in inputs:
            raise ParameterError(
                f"frozen {name!r} is not an input", hint=did_you_mean(name, inputs)
            )
    return [name for name in params if name not in frozen]


def function_name(function: Function) -> str:
    """What the function is called; options bound with `functools.partial` do not count."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _code(function: Function) -> CodeType:
    """The code of the body, through decorators that keep `__wrapped__`, and `partial`."""
    body: Any = function
    while isinstance(body, functools.partial) or hasattr(body, "__wrapped__"):
        body = body.func if isinstance(body, functools.partial) else body.__wrapped__
    code = getattr(body, "__code__", None)
    if not isinstance(code, CodeType):
        raise GraphError(f"{body!r} is not a Python function with annotated parameters")
    where = f"{code.co_filename}:{code.co_firstlineno}"
    lazy = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    if code.co_flags & lazy:
        hint = "Write a plain function that returns the result"
        what = f"{function_name(function)} is a generator or async function"
        raise GraphError(what, where=where, hint=hint)
    return code


def declared(function: Function, spell: Callable[[str], str] = str) -> dict[str, Expr]:
    """The inputs that a function's annotations declare, by name; the function is not called.

    Args:
        spell: what is done to the text of axes before it is read.

    Raises:
        GraphError: an annotation is missing.
        ShapeError: malformed axes.

    >>> def line(w: "", x: "m"): ...
    >>> declared(line)["x"].axes
    ('m',)
    """
    code = _code(function)
    return _declared(function, f"{code.co_filename}:{code.co_firstlineno}", spell)[0]


def _declared(
    function: Function, where: str, spell: Callable[[str], str] = str
) -> tuple[dict[str, Expr], dict[str, Any]]:
    """The inputs that the annotations declare, and the options with their defaults."""
    quoted = bool(_code(function).co_flags & __future__.annotations.compiler_flag)
    inputs: dict[str, Expr] = {}
    options: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            hint = "Name each input"
            raise GraphError(
                f"{parameter} does not say which inputs there are", where=where, hint=hint
            )
        if parameter.default is not parameter.empty:
            options[name] = parameter.default
            continue
        hint = AXES_EXAMPLE.format(name=name)
        if parameter.annotation is parameter.empty:
            raise GraphError(f"parameter {name!r} has no annotation", where=where, hint=hint)
        axes = _unquoted(parameter.annotation) if quoted else parameter.annotation
        if not isinstance(axes, str):
            what = f"the annotation of {name!r} is {parameter.annotation!r}, expected axes"
            raise ShapeError(what, where=where, hint=hint)
        inputs[name] = input_(name, parse_axes(spell(axes), where=f"{where}: parameter {name!r}"))
    return inputs, options


def _unquoted(annotation: Any) -> Any:
    """`from __future__ import annotations` keeps the source: '"k n"' in place of 'k n'."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return ast.literal_eval(annotation)
    except (ValueError, SyntaxError):
        return None


def _run(
    function: Function, code: CodeType, inputs: Mapping[str, Expr], options: Mapping[str, Any]
) -> tuple[object, dict[str, Expr]]:
    """What the function returns for `inputs`, and its local variables that are expressions."""
    seen: dict[str, Expr] = {}

    def watch(frame: FrameType, event: str, arg: object) -> None:
        if event == "return" and frame.f_code is code:
            seen.clear()
            seen.update((k, v) for k, v in frame.f_locals.items() if isinstance(v, Expr))

    signature = inspect.signature(function)
    bound = signature.bind_partial()
    bound.arguments.update({name: {**options, **inputs}[name] for name in signature.parameters})
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        result = function(*bound.args, **bound.kwargs)
    except ChainruleError as error:
        raise _located(error, code) from error
    finally:
        restore_profiler(before)
    return result, {name: value for name, value in seen.items() if name != "_"}


def restore_profiler(profiler: Any) -> None:
    """Put back what watched before.

    Until Python 3.11 cProfile is no function that could be set again: it is switched on.
    """
    if profiler is None or callable(profiler):
        sys.setprofile(profiler)
    else:
        sys.setprofile(None)
        profiler.enable()


def _located(error: ChainruleError, code: CodeType) -> ChainruleError:
    """The same error with the file and the line of the definition in front."""
    line = code.co_firstlineno
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            line = trace.tb_lineno
        trace = trace.tb_next
    return moved(error, f"{code.co_filename}:{line}")


def moved(error: ChainruleError, where: str, after: str = "") -> ChainruleError:
    """`error` as it reads with `where` in front and `after` behind the fact."""
    fact = str(error)
    if error.hint:
        fact = fact.removesuffix(f". {error.hint}")
    return type(error)(fact + after, where=where, hint=error.hint)


def _in_order(code: CodeType, names: Mapping[str, Expr]) -> list[str]:
    """`names` in the order in which the code last assigns them."""
    last: dict[str, int] = {}
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith(("STORE_FAST", "STORE_DEREF")):
            target = instruction.argval
            # from Python 3.13 one instruction may store two names, or store one and load another
            stored = target if isinstance(target, tuple) else (target,)
            stored = stored[:1] if "LOAD" in instruction.opname else stored
            last.update(dict.fromkeys(stored, instruction.offset))
    return sorted(names, key=lambda name: last.get(name, -1))


def _made_by_layers(roots: Iterable[Expr], declared: Mapping[str, Expr]) -> list[Expr]:
    known = set(declared.values())
    return [node for node in postorder(*roots) if node.op == "input" and node not in known]


def with_loss(definition: Definition, loss: str, **options: Any) -> Definition:
    """`definition` followed by a loss against a new input y, the target.

    Args:
        definition: a network whose root is its prediction.
        loss: one of `LOSSES`. For cross_entropy y holds whole numbers, the labels; for all others
            real numbers with the axes of the prediction.
        options: of the loss, such as ``reduction="sum"``.

    Raises:
        ParameterError: a loss or an option that does not exist.
        GraphError: the definition has a loss or an input y already.

    >>> from chainrule.nn import mlp
    >>> with_loss(mlp([4, 3]), "cross_entropy").input["y"].kind
    'int'
    """
    if loss not in LOSSES:
        known = f"Known: {', '.join(LOSSES)}"
        hint = did_you_mean(loss, LOSSES) or known
        raise ParameterError(f"loss {loss!r} is not known", hint=hint)
    prediction = definition.root
    if prediction.op in LOSSES:
        raise GraphError(f"{definition.name} ends in the loss {prediction.op} already")
    if "y" in definition.input:
        what = f"{definition.name} has an input 'y' already: the target needs that name"
        raise GraphError(what)
    target = input_("y", _target(prediction, loss, options))
    root = OPS[loss](prediction, target, **options)
    return revised(definition, root=root, inputs=(*definition.inputs, target))


def _target(prediction: Expr, loss: str, options: Mapping[str, Any]) -> Spec:
    if loss != "cross_entropy":
        return Spec(prediction.axes, prediction.sizes)
    examples = options.get("examples", EXAMPLES)
    classes = [axis for axis in prediction.axes if axis != examples]
    over = options.get("over") or (classes[-1] if classes else "")
    axes = tuple(axis for axis in prediction.axes if axis != over)
    sizes = {axis: n for axis, n in prediction.sizes.items() if axis in axes}
    return Spec(axes, sizes, "int")
