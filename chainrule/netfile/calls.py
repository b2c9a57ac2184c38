"""What a formula may call, with which options; all else is refused before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chainrule.errors import ChainruleError, ParameterError, ShapeError, did_you_mean
from chainrule.expr import Expr, lift, parse_axes
from chainrule.ops import OPS, expand, indexing, matmul, size, transpose

AXIS = ("axis", "examples", "into")
AXES = ("over", "axes", "after")
WHOLE = ("start", "stop", "size", "stream")
WORDS = ("reduction",)
PAIRS = ("to", "sizes")


@dataclass(frozen=True)
class Form:
    """How an operation is called: number of inputs, options in order, inputs that may be named.

    `free` names the option that collects keywords of any name: ``rename(x, m="p")``.
    """

    build: Callable[..., Expr]
    inputs: tuple[int, int]
    options: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    free: str = ""


def _rename(x: Expr, to: tuple[tuple[str, str], ...]) -> Expr:
    return OPS["rename"](x, to=to)


def _split(x: Expr, axis: str, into: str, sizes: tuple[tuple[str, int], ...] = ()) -> Expr:
    return OPS["split"](x, axis, into, sizes)


_CUT = ("axis", "into", "start", "stop")
FRIENDLY = {
    "matmul": Form(matmul, (2, 2)),
    "transpose": Form(transpose, (1, 1), ("axes",)),
    "expand": Form(expand, (1, 1), ("axes",), ("axes",)),
    "size": Form(size, (0, 0), ("axis",), ("axis",)),
    "rename": Form(_rename, (1, 1), ("to",), ("to",), free="to"),
    "split": Form(_split, (1, 1), ("axis", "into", "sizes"), ("axis", "into"), free="sizes"),
    "cut": Form(indexing.cut, (1, 1), _CUT, _CUT),
}
"""Spellings that differ from the record of the same name, or have none."""


def form_of(name: str) -> Form | None:
    """How the operation called `name` is called; None if there is none."""
    if name in FRIENDLY:
        return FRIENDLY[name]
    op = OPS.get(name)
    return Form(op, op.arity, tuple(op.attrs), keywords=op.keywords) if op else None


def call_names() -> list[str]:
    """Everything that a formula may call."""
    return [*OPS, *(name for name in FRIENDLY if name not in OPS)]


def call(name: str, operands: Sequence[object], named: Mapping[str, object]) -> Expr:
    """The expression that `name(*operands, **named)` means in a formula.

    Raises:
        ParameterError: too many operands, an option that does not exist or cannot have the value.
        ShapeError: text that should name axes does not.
    """
    form = form_of(name)
    if form is None:
        raise ParameterError(f"operation {name!r} is not known")
    fewest, most = form.inputs
    count = 0
    while count < min(most, len(operands)) and isinstance(operands[count], Expr | int | float):
        count += 1
    surplus = len(operands) - count - len(form.options)
    if count < fewest or surplus > 0:
        many = str(fewest) if fewest == most else f"{fewest} to {most}"
        options = f" and options {', '.join(form.options)}" if form.options else ""
        what = f"takes {many} input{'s' * (most != 1)}{options}, got {_shown(operands)}"
        raise ParameterError(what, where=name)
    given: dict[str, object] = dict(zip(form.options, operands[count:], strict=False))
    extra = _take_keywords(name, form, named, given)
    missing = [option for option in form.required if option not in given]
    if missing:
        raise ParameterError(f"needs {', '.join(missing)}", where=name)
    if extra and count > fewest:
        raise ParameterError(f"{', '.join(extra)} is given twice", where=name)
    checked = {option: _option(name, option, value) for option, value in given.items()}
    inputs = [lift(operand) for operand in operands[:count]]
    try:
        return form.build(*inputs, **checked, **extra)
    except ChainruleError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # a rule that did not expect such axes: the text is wrong all the same, and has a line
        raise ParameterError(f"cannot be applied like this ({error})", where=name) from error


def _shown(operands: Sequence[object]) -> str:
    if not operands:
        return "nothing"
    words = {int: "a number", float: "a number", str: "text", tuple: "a tuple"}
    return ", ".join(words.get(type(x), "a value") for x in operands)


def _take_keywords(
    name: str, form: Form, named: Mapping[str, object], options: dict[str, object]
) -> dict[str, object]:
    """Sort `named` into `options`; what is left are inputs given by name."""
    extra: dict[str, object] = {}
    free: list[tuple[str, object]] = []
    for key, value in named.items():
        if form.free and isinstance(value, str if form.free == "to" else int):
            free.append((key, value))
        elif key in form.keywords:
            extra[key] = _weights(name, key, value)
        elif key in options:
            raise ParameterError(f"option {key!r} is given twice", where=name)
        elif key in form.options:
            options[key] = value
        else:
            known = f"It has: {', '.join((*form.options, *form.keywords)) or 'no options'}"
            hint = did_you_mean(key, (*form.options, *form.keywords)) or known
            raise ParameterError(f"has no option {key!r}", where=name, hint=hint)
    if free:
        if form.free in options:
            raise ParameterError(f"option {form.free!r} is given twice", where=name)
        options[form.free] = tuple(sorted(free))
    return extra


def _weights(name: str, key: str, value: object) -> object:
    if isinstance(value, Expr | int | float):
        return value
    raise ParameterError(f"{key} must be a value, got {_shown([value])}", where=name)


def _option(op: str, option: str, value: object) -> object:
    """`value` if the option may have it: never an expression, only numbers, words and axes."""
    if option in PAIRS:
        good, expected = _pairs(option, value), "pairs"
    elif option in AXES or (op, option) == ("split", "into"):
        words = value.split() if isinstance(value, str) else value
        good = isinstance(words, tuple | list) and all(isinstance(w, str) for w in words)
        expected = "names of axes in quotes"
        if good:
            _check_axes(op, words)  # type: ignore[arg-type]
    elif option in AXIS:
        good, expected = isinstance(value, str), "the name of an axis in quotes"
        if good:
            _check_axes(op, [value])  # type: ignore[list-item]
    elif option in WORDS:
        good, expected = isinstance(value, str), "a word in quotes"
    elif option in WHOLE:
        good, expected = isinstance(value, int), "a whole number"
    else:
        good, expected = isinstance(value, int | float), "a number"
    if not good:
        got = "text" if isinstance(value, str) else _shown([value])
        raise ParameterError(f"{option} must be {expected}, got {got}", where=op)
    return value


def _pairs(option: str, value: object) -> bool:
    """Whether `value` holds pairs: two axes each for `to`, an axis and a size for `sizes`."""
    second = str if option == "to" else int
    for pair in value if isinstance(value, tuple) else (None,):
        match pair:
            case (str(axis), other) if isinstance(other, second):
                _check_axes(option, [axis])
                if isinstance(other, str):
                    _check_axes(option, [other])
                elif other < 1:
                    raise ParameterError(f"size of {axis!r} must be at least 1, got {other}")
            case _:
                return False
    return True


def _check_axes(op: str, words: Sequence[str]) -> None:
    spec = parse_axes(" ".join(words), where=op)
    if spec.axes != tuple(words) or any(size != 1 for size in spec.sizes.values()):
        shown = " ".join(words)
        raise ShapeError(f"{shown!r} does not name axes", where=op, hint="Write names: 'k n'")
