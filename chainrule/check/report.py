"""What a check found: one line a parameter, and the entry that is worst."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.errors import GradientMismatch

DIRECTIONS = "all together"  # what the line of random directions is called


@dataclass(frozen=True)
class Finding:
    """One derivative compared with an independent one.

    Attributes:
        parameter: its name; `DIRECTIONS` for a random direction of all parameters.
        index: which entry of it, or (number,) of a direction.
        derived: the value under test.
        independent: what the oracle says.
        error: how far apart they are; at a kink, how far outside the two slopes.
        tolerance: how far they may be apart.
    """

    parameter: str
    index: tuple[int, ...]
    derived: float
    independent: float
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether they agree."""
        return self.error <= self.tolerance

    @property
    def ratio(self) -> float:
        """Error over tolerance: above 1 is wrong. NaN counts as infinite."""
        if self.ok:
            return self.error / self.tolerance if self.tolerance else 0.0
        return (
            self.error / self.tolerance
            if self.tolerance and self.error == self.error
            else float("inf")
        )

    @property
    def label(self) -> str:
        """``W_1[2, 0]``."""
        return (
            f"{self.parameter}[{', '.join(map(str, self.index))}]" if self.index else self.parameter
        )

    def __str__(self) -> str:
        return (
            f"{self.label}: derived {_shown(self.derived)}, independent {_shown(self.independent)} "
            f"(error {self.error:.1e}, tolerance {self.tolerance:.1e})"
        )


@dataclass(frozen=True)
class Entry:
    """What was compared for one parameter.

    Attributes:
        parameter: its name.
        method: "complex step" or "differences".
        checked: how many of its `total` entries were compared one by one.
        wrong: how many of them disagree.
        error: the largest error among them.
        kinks: at how many the slopes to the left and to the right differ.
        worst: the entry with the largest error for its tolerance; None if nothing was compared.
    """

    parameter: str
    method: str
    checked: int
    total: int
    wrong: int
    error: float
    kinks: int
    worst: Finding | None


@dataclass(frozen=True)
class Report:
    """Every derivative of a network compared with an independent one, at one point.

    Attributes:
        name: the network.
        dtype: float type of the derivatives under test.
        sizes: the size of every axis at the point.
        arrays: names of the inputs whose values were given, not drawn.
        seed: what the point was drawn from.
        value: the loss compared.
        entries: a line for each parameter, and one for random directions where not every entry was
            compared.
    """

    name: str
    dtype: str
    sizes: Mapping[str, int]
    arrays: tuple[str, ...]
    seed: int
    value: Finding
    entries: tuple[Entry, ...]

    @property
    def ok(self) -> bool:
        """Whether the loss and every derivative agree."""
        return self.value.ok and not any(entry.wrong for entry in self.entries)

    @property
    def worst(self) -> Finding:
        """The comparison with the largest error for its tolerance.

        Of what is wrong, an entry of a parameter comes before the loss, and that before a
        direction.
        """
        found = [entry.worst for entry in self.entries if entry.worst is not None]
        single = [f for f in found if f.parameter != DIRECTIONS and not f.ok]
        if not single and not self.value.ok:
            return self.value
        return max(single or found or [self.value], key=lambda f: f.ratio)

    @property
    def kinks(self) -> int:
        """At how many comparisons the slopes to the left and to the right differ."""
        return sum(entry.kinks for entry in self.entries)

    def raise_if_wrong(self) -> None:
        """Raise a GradientMismatch that names the worst entry, if anything disagrees."""
        if self.ok:
            return
        kind = "loss" if self.worst is self.value else "gradient"
        wrong = [
            entry.parameter
            for entry in self.entries
            if entry.wrong and entry.parameter != DIRECTIONS
        ]
        hint = f"Wrong: {', '.join(wrong)}" if len(wrong) > 1 else ""
        raise GradientMismatch(f"{kind} is wrong: {self.worst}", where=self.name, hint=hint)

    def json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            **asdict(self),
            "sizes": dict(self.sizes),
            "arrays": list(self.arrays),
            "ok": self.ok,
            "kinks": self.kinks,
            "worst": asdict(self.worst) | {"index": list(self.worst.index)},
            "value": asdict(self.value) | {"index": []},
            "entries": [_plain(entry) for entry in self.entries],
        }

    def __str__(self) -> str:
        head = ("", "compared with", "entries", "error", "tolerance", "kinks", "")
        rows = [head, *(_row(entry) for entry in self.entries)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        table = [
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        sizes = ", ".join(f"{axis}={n}" for axis, n in self.sizes.items() if axis != "1")
        title = f"{self.name}: derivatives in {self.dtype}" + (f" at {sizes}" if sizes else "")
        verdict = "agrees" if self.ok else "WRONG"
        last = f"{verdict}; {'worst' if self.ok else 'wrong'}: {self.worst}"
        return "\n".join(
            [title, *table, f"loss: {self.value}".replace("loss: loss:", "loss:"), last]
        )


def _plain(entry: Entry) -> dict[str, Any]:
    plain = asdict(entry)
    if entry.worst is not None:
        plain["worst"]["index"] = list(entry.worst.index)
    return plain


def _row(entry: Entry) -> tuple[str, ...]:
    counted = (
        str(entry.total) if entry.checked == entry.total else f"{entry.checked} of {entry.total}"
    )
    error = f"{entry.worst.error:.1e}" if entry.worst else ""
    tolerance = f"{entry.worst.tolerance:.1e}" if entry.worst else ""
    kinks = str(entry.kinks) if entry.kinks else ""
    verdict = f"WRONG in {entry.wrong}" if entry.wrong else "ok"
    return entry.parameter, entry.method, counted, error, tolerance, kinks, verdict


def _shown(number: float) -> str:
    return f"{number:.4f}" if 1e-3 <= abs(number) < 1e5 else f"{number:.4g}"
