"""Numbers that people multiply by mistake, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping

PLAIN = {
    2.0: "2", 0.5: "½", 3.0: "3", 1 / 3: "⅓", 4.0: "4", 0.25: "¼", 10.0: "10", 0.1: "1/10",
}  # fmt: skip
EXACT = 1e-6  # relative: how near a factor must be to be called by its name


def factor_name(factor: float, sizes: Mapping[str, int], close: float = EXACT) -> str:
    """What a factor is called: −1, 2, ½, m, 1/m, 2/m …; "" if it is none of these.

    >>> factor_name(0.2, {"m": 5}), factor_name(-1, {}), factor_name(0.4, {"m": 5})
    ('1/m', '−1', '2/m')
    """
    sign, size = ("−" if factor < 0 else ""), abs(factor)

    def equals(number: float) -> bool:
        return abs(size - number) <= close * number

    if equals(1.0):
        return f"{sign}1"
    known = {n: text for n, text in PLAIN.items() if equals(n)}
    axes = sorted((a for a in sizes if sizes[a] > 1), key=lambda a: (a != "m", a))
    if equals(2.0) or equals(0.5):
        return sign + next(iter(known.values()))
    for axis in axes:
        n = sizes[axis]
        for number, text in (
            (n, axis), (1 / n, f"1/{axis}"), (2 * n, f"2{axis}"), (2 / n, f"2/{axis}"),
            (n / 2, f"{axis}/2"), (1 / (2 * n), f"1/(2{axis})"), (n * n, f"{axis}²"),
            (1 / (n * n), f"1/{axis}²"),
        ):  # fmt: skip
            if equals(number):
                return sign + text
    return sign + next(iter(known.values())) if known else ""
