"""Numbers that people multiply by mistake, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chainrule.expr import EXAMPLES, Expr, const
from chainrule.ops.structure import size

PLAIN = {2.0: "2", 0.5: "½", 3.0: "3", 1 / 3: "⅓", 4.0: "4", 0.25: "¼", 10.0: "10", 0.1: "1/10"}
MEANS = {
    "m": "the factor 1/{a} is missing",
    "1/m": "it is divided by {a} once too often",
    "2m": "the factor 1/(2{a}) is missing",
    "m/2": "the factor 2/{a} is missing",
    "2/m": "a factor 2/{a} too many",
    "2": "a factor 2 too many",
    "½": "a factor 2 is missing",
}
EXACT = 1e-6  # relative: how near a factor must be to be called by its name


def factor_name(factor: float, sizes: Mapping[str, int], close: float = EXACT) -> str:
    """What a factor is called: −1, 2, ½, m, 1/m, 2/m …; "" if it is none of these.

    >>> factor_name(0.2, {"m": 5}), factor_name(-1, {}), factor_name(0.4, {"m": 5})
    ('1/m', '−1', '2/m')
    """
    found = next(_known(abs(factor), sizes, close), None)
    return "" if found is None else ("−" if factor < 0 else "") + found[0]


def factor_means(called: str, axes: Iterable[str]) -> str:
    """What usually stands behind a factor of this name; "" if nothing is usual.

    >>> factor_means("1/k", ["m", "k"]), factor_means("½", [])
    ('it is divided by k once too often', 'a factor 2 is missing')
    """
    for axis in (*axes, ""):
        for pattern, says in MEANS.items():
            if called == pattern.replace("m", axis) and ("m" not in pattern or axis):
                return says.format(a=axis)
    return ""


def factor_value(factor: float, sizes: Mapping[str, int], close: float = EXACT) -> Expr:
    """The factor as it is meant: 1/m rather than 0.142857; −1 rather than −1.0000000000000002."""
    found = next(_known(abs(factor), sizes, close), None)
    if found is None:
        return const(factor)
    return (
        -found[1]
        if factor < 0 and found[1].op != "const"
        else (const(-found[1]["value"]) if factor < 0 else found[1])
    )


def _known(number: float, sizes: Mapping[str, int], close: float) -> Iterator[tuple[str, Expr]]:
    """Names of a positive number, and the number itself."""

    def equals(other: float) -> bool:
        return abs(number - other) <= close * other

    for plain in (1.0, 2.0, 0.5):
        if equals(plain):
            yield PLAIN.get(plain, "1"), const(plain)
    for axis in sorted((a for a in sizes if sizes[a] > 1), key=lambda a: (a != EXAMPLES, a)):
        n, m = sizes[axis], size(axis)
        for value, text, expr in (
            (n, axis, m), (1 / n, f"1/{axis}", 1 / m), (2 * n, f"2{axis}", 2 * m),
            (2 / n, f"2/{axis}", 2 / m), (n / 2, f"{axis}/2", m / 2),
            (1 / (2 * n), f"1/(2{axis})", 1 / (2 * m)), (n * n, f"{axis}²", m * m),
            (1 / (n * n), f"1/{axis}²", 1 / (m * m)),
            (n / (n - 1), f"{axis}/({axis} − 1)", m / (m - 1)),
        ):  # fmt: skip
            if equals(value):
                yield text, expr
    for value, text in PLAIN.items():
        if equals(value):
            yield text, const(value)
