"""Calling functions of the user: which argument gets what, and what comes back.

Arguments are decided by their names, in this order: an input of forward gets its array; a key of
the cache (if forward returns a dict beside the loss) gets that entry; a local variable of forward
gets its value; `CACHES` get what forward returned beside the loss; `UPSTREAM` get the derivative of
the loss with respect to the result of forward (1 for a loss); `RESULTS` get that result. A single
argument that is none of these gets the cache, and the first argument of the backward function of
something that is no loss gets the derivative with respect to its result, whatever it is called.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from chainrule.check.named import Array
from chainrule.definition import restore_profiler
from chainrule.errors import DataError, ParameterError
from chainrule.run.keyed import normal

CACHES = ("cache", "caches", "ctx", "context", "saved", "memo", "tape", "forward_cache")
UPSTREAM = (
    "g", "grad", "grad_out", "grad_output", "upstream", "dout", "d_out", "dy", "gy", "dloss",
    "dL", "d_loss", "dl", "up",
)  # fmt: skip
RESULTS = ("y", "out", "output", "result", "value")
PREFIXES = ("d_", "grad_", "g_", "d")
Function = Callable[..., Any]


class Raised(Exception):
    """A function of the user stopped with an error."""

    def __init__(self, function: str, error: BaseException) -> None:
        self.function, self.error = function, error
        super().__init__(f"{function} raised {type(error).__name__}: {error}{_line(error)}")


def _line(error: BaseException) -> str:
    """Where in the file of the user it happened: the innermost line that is not of a library."""
    trace, found = error.__traceback__, ""
    own = Path(__file__).parents[1]
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        library = "site-packages" in file.parts or own in file.parents
        if file.exists() and not library:
            found = f" ({file.name} line {trace.tb_lineno})"
        trace = trace.tb_next
    return found


@dataclass(frozen=True)
class Outcome:
    """What one call of forward and then backward gave.

    Attributes:
        value: the result of forward.
        raw: what backward returned.
        upstream: what the result was weighted with; 1 for a loss.
        changed: inputs whose arrays are not what they were.
        arrays: the point.
        inputs: the copies of them that both were called with.
    """

    value: Array
    raw: Any
    upstream: Array | float
    changed: tuple[str, ...]
    arrays: Mapping[str, Array]
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """A forward and a backward function.

    Attributes:
        inputs: names of the arguments of forward, in order.
        seed: fixes what a result that is no loss is weighted with.
        values: named values of forward that backward may ask for, where it is no plain function.
    """

    forward: Function
    backward: Function
    inputs: tuple[str, ...]
    seed: int = 0
    values: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None = None

    def __call__(self, arrays: Mapping[str, Array], number: int) -> Outcome:
        """Call both on copies of `arrays`, the point with this number.

        Raises:
            Raised: one of them stops with an error.
            ParameterError: an argument of backward cannot be supplied.
            DataError: forward returns no number, or one that is not finite.
        """
        # a number stays a number: z = b; z += 1 must not change b
        mine: dict[str, Any] = {n: np.array(a)[()] for n, a in arrays.items()}
        result, found = called(self.forward, mine)
        seen: Mapping[str, Any] = found
        cache = None
        if isinstance(result, tuple) and result:
            cache = result[1] if len(result) == 2 else result[1:]
            result = result[0]
        _refuse_no_loss(result, label(self.forward))
        if self.values is not None:
            seen = self.values(mine)
        upstream = self._upstream(np.asarray(result), arrays, number)
        positional, named = self._arguments(mine, seen, cache, upstream, result)
        raw, _ = called(self.backward, named, positional)
        changed = tuple(n for n, a in arrays.items() if not _same(np.asarray(mine[n]), a))
        return Outcome(np.asarray(result), raw, upstream, changed, dict(arrays), mine)

    def _upstream(self, result: Array, arrays: Mapping[str, Array], number: int) -> Array | float:
        """What a result that is no loss is weighted with; ones if backward asks for nothing."""
        if result.size == 1 and not result.ndim:
            return 1.0
        needed = [p.name for p in _parameters(self.backward) if p.default is p.empty]
        if result.size == 1 and not any(name in UPSTREAM for name in needed):
            return 1.0
        if all(name in arrays for name in needed):
            return np.ones(result.shape, result.dtype)
        return np.asarray(normal(self.seed, "check", 100 + number, result.shape), result.dtype)

    def _arguments(
        self,
        arrays: Mapping[str, Array],
        seen: Mapping[str, Any],
        cache: Any,
        upstream: Array | float,
        result: Any,
    ) -> tuple[list[Any], dict[str, Any]]:
        wanted = _parameters(self.backward)
        needed = [p for p in wanted if p.default is p.empty]
        entries = cache if isinstance(cache, Mapping) else {}
        first = needed[0].name if needed and np.ndim(result) else ""
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for p in wanted:
            if p.kind is p.VAR_KEYWORD:
                named |= {n: a for n, a in arrays.items() if n not in {q.name for q in wanted}}
                continue
            if p.kind is p.VAR_POSITIONAL:
                positional = list(cache) if isinstance(cache, tuple | list) else [cache]
                continue
            known, value = self._argument(p.name, arrays, entries, seen, cache, upstream, result)
            if not known and p.default is not p.empty:
                continue
            if not known and len(needed) == 1 and cache is not None:
                known, value = True, cache
            elif not known and p.name == first:
                known, value = True, upstream
            if not known:
                raise self._unknown(p.name, arrays, cache)
            if p.kind is p.POSITIONAL_ONLY:
                positional.append(value)
            else:
                named[p.name] = value
        return positional, named

    def _argument(
        self, name: str, arrays: Mapping[str, Array], entries: Mapping[str, Any],
        seen: Mapping[str, Any], cache: Any, upstream: Any, result: Any,
    ) -> tuple[bool, Any]:  # fmt: skip
        for table in (arrays, entries, seen):
            if name in table:
                return True, table[name]
        if name in CACHES and cache is not None:
            return True, cache
        if name in UPSTREAM:
            return True, upstream
        if name in RESULTS:
            return True, result
        return False, None

    def _unknown(self, name: str, arrays: Mapping[str, Array], cache: Any) -> ParameterError:
        what = f"argument {name!r} of backward is no input of forward ({', '.join(arrays)})"
        if isinstance(cache, Mapping):
            what += f" and no key of its cache ({', '.join(map(str, cache))})"
        elif cache is None:
            what += ", and forward returns no cache beside the loss"
        hint = (
            "Name it as the input or local variable of forward that it is to get; 'y' is the "
            "result, 'g' what arrives from later operations, 'cache' what forward returns"
        )
        return ParameterError(what, where=label(self.backward), hint=hint)


def _refuse_no_loss(result: Any, where: str) -> None:
    try:
        value = np.asarray(result)
    except ValueError:
        value = np.empty(0, object)
    if value.dtype.kind not in "fiub":
        what = f"it returned a value of type {type(result).__name__}, expected the loss, a number"
        raise DataError(what, where=where, hint="return loss, or return loss, cache")
    if value.size == 1 and not np.isfinite(value).all():
        what = f"the loss is {value.reshape(())}: there are no gradients to compare with"
        raise DataError(what, where=where, hint="Give arrays at which it is finite")


def _parameters(function: Function) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        what = f"{label(function)} does not say which arguments it takes"
        raise ParameterError(what, hint="Wrap it: lambda X, y: …") from error


def parameter_names(function: Function) -> tuple[str, ...]:
    """The arguments of a forward function that have no default.

    Raises:
        ParameterError: it takes any number of them.
    """
    found = _parameters(function)
    loose = [p for p in found if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if loose:
        what = f"{loose[0]} does not say which inputs there are"
        raise ParameterError(what, where=label(function), hint="Name each input")
    return tuple(p.name for p in found if p.default is p.empty)


def label(function: Any) -> str:
    """What a function is called."""
    return str(getattr(function, "__name__", type(function).__name__))


def called(
    function: Function, named: Mapping[str, Any], positional: Sequence[Any] = ()
) -> tuple[Any, dict[str, Any]]:
    """The result, and the arrays among the local variables of the function when it returned.

    Raises:
        Raised: it stops with an error.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    seen: dict[str, Any] = {}

    def watch(frame: FrameType, event: str, arg: object) -> None:
        if event == "return" and frame.f_code is code:
            seen.update(
                (n, v)
                for n, v in frame.f_locals.items()
                if isinstance(v, np.ndarray | np.generic | float | int)
            )

    before = sys.getprofile()
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sys.setprofile(watch)
            try:
                result = function(*positional, **named)
            finally:
                restore_profiler(before)
    except (Exception, SystemExit) as error:  # sys.exit() in it must not end the check as a success
        raise Raised(label(function), error) from error
    return result, seen


def _same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == np.asarray(b).tobytes()


def by_name(raw: Any, wrt: Sequence[str], where: str) -> dict[str, Any]:
    """What backward returned, by parameter; None for those it left out.

    A dict has the names of parameters as keys, with d, d_ or grad_ in front or not; a tuple or list
    has the order of `wrt`.

    Raises:
        ParameterError: a tuple has another length than `wrt`.
    """
    if isinstance(raw, Mapping):
        found: dict[str, Any] = {}
        for name in wrt:
            keys = [name, *(prefix + name for prefix in PREFIXES)]
            found[name] = next((raw[key] for key in keys if key in raw), None)
        return found
    many = list(raw) if isinstance(raw, tuple | list) else [raw]
    if len(many) != len(wrt):
        what = f"backward returned {len(many)} values for {len(wrt)} gradients ({', '.join(wrt)})"
        hint = "Return a dict by name, or say which they are: wrt=['W1', 'b1', …]"
        raise ParameterError(what, where=where, hint=hint)
    return dict(zip(wrt, many, strict=True))
