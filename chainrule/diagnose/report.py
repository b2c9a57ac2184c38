"""What a check of a hand-written backward pass found."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.errors import GradientMismatch

WIDEST = 80  # columns of a sentence


@dataclass(frozen=True)
class Line:
    """One gradient compared with the true one.

    Attributes:
        parameter: its name.
        entries: how many numbers it has.
        wrong: how many of them are wrong at some point.
        error: the largest difference.
        tolerance: what rounding errors could explain where that is.
        yours: what the hand-written pass gave there; None where nothing could be compared.
        true: what it should be there.
        index: which entry that is.
        at: the value of the parameter there; None if it is not known.
        ratios: the smallest and the largest of what it gave over what it should be.
        kinks: how many entries lie at a kink, where several slopes are right.
    """

    parameter: str
    entries: int
    wrong: int
    error: float
    tolerance: float
    yours: float | None
    true: float | None
    index: tuple[int, ...]
    kinks: int = 0
    at: float | None = None
    ratios: tuple[float, float] | None = None

    @property
    def ok(self) -> bool:
        """Whether it is right."""
        return not self.wrong


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        parameter: the first gradient, in the order of the backward pass, that is wrong because of
            it.
        parameters: all that are.
        kind: what sort of mistake, such as "factor" or "missing derivative".
        sentence: what is wrong.
        evidence: the numbers that say so.
        right, yours: the right formula in plain characters, and the one that the hand-written
            pass amounts to; "" where there is none.
        latex, yours_latex: the same as LaTeX.
    """

    parameter: str
    parameters: tuple[str, ...]
    kind: str
    sentence: str
    evidence: str
    right: str = ""
    yours: str = ""
    latex: str = ""
    yours_latex: str = ""

    def __str__(self) -> str:
        lines = [_wrapped(self.sentence, 3), "   evidence: " + _wrapped(self.evidence, 13)]
        if self.right:
            lines.append(f"   right:    {self.right}")
        if self.yours:
            lines.append(f"   yours:    {self.yours}")
        return "\n".join(lines)


@dataclass(frozen=True)
class BackwardReport:
    """A hand-written backward pass compared with the true one.

    Attributes:
        name: the function.
        dtype: float type of the arrays it was called with.
        sizes: the shape of every array.
        points: at how many points it was called.
        method: what the true gradients come from.
        lines: one for each parameter, in the order in which the backward pass meets them.
        mistakes: what is wrong, nearest to the loss first.
        notes: what is worth knowing and not wrong.
    """

    name: str
    dtype: str
    sizes: Mapping[str, tuple[int, ...]]
    points: int
    method: str
    lines: tuple[Line, ...]
    mistakes: tuple[Mistake, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.mistakes

    @property
    def first(self) -> str | None:
        """The wrong parameter that the backward pass meets first; None if all are right."""
        wrong = [line.parameter for line in self.lines if not line.ok]
        named = [m.parameter for m in self.mistakes if m.parameter]
        return next(iter(wrong or named), None)

    def raise_if_wrong(self) -> None:
        """Raise a GradientMismatch that names the first wrong parameter and the mistake."""
        if self.ok:
            return
        first = self.mistakes[0]
        line = next((x for x in self.lines if x.parameter == first.parameter and not x.ok), None)
        what = f"backward of {self.name!r} is wrong"
        if line is not None and line.yours is not None and line.true is not None:
            what += f" for input {line.parameter}: {_difference(line)}. Likely: {first.sentence}"
        else:
            what += f": {first.sentence} ({first.evidence})"
        more = len(self.mistakes) - 1
        hint = f"{more} more: {'; '.join(m.sentence for m in self.mistakes[1:])}" if more else ""
        raise GradientMismatch(what, hint=hint)

    def json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "name": self.name,
            "ok": self.ok,
            "first": self.first,
            "dtype": self.dtype,
            "sizes": {n: list(s) for n, s in self.sizes.items()},
            "points": self.points,
            "method": self.method,
            "lines": [{**asdict(x), "ok": x.ok, "index": list(x.index)} for x in self.lines],
            "mistakes": [{**asdict(m), "parameters": list(m.parameters)} for m in self.mistakes],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        parts = [self._title()]
        if self.lines:
            parts.append(self._table())
        if self.mistakes:
            count = len(self.mistakes)
            parts.append(f"{count} mistake{'s' if count > 1 else ''}, nearest to the loss first:")
            parts += [f"{i}. {mistake}" for i, mistake in enumerate(self.mistakes, start=1)]
        parts += ["note: " + _wrapped(note, 6) for note in self.notes]
        return "\n".join(parts)

    def _title(self) -> str:
        verdict = "right" if self.ok else "WRONG"
        first = f", first at {self.first}" if self.first else ""
        return f"backward of {self.name}: {verdict}{first} ({self.dtype}, {self.method})"

    def _table(self) -> str:
        head = ("gradient", "entries", "difference", "tolerance", "")
        rows = [head, *(_row(line) for line in self.lines)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join(
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
        )


def _row(line: Line) -> tuple[str, ...]:
    verdict = f"WRONG in {line.wrong}" if line.wrong else "ok"
    if line.kinks:
        verdict += f" ({line.kinks} at a kink)"
    if line.yours is None:
        return f"d{line.parameter}", str(line.entries), "", "", verdict
    return (
        f"d{line.parameter}", str(line.entries), f"{line.error:.1e}", f"{line.tolerance:.1e}",
        verdict,
    )  # fmt: skip


def _wrapped(text: str, indent: int) -> str:
    """A sentence in lines that fit a terminal."""
    return f"\n{' ' * indent}".join(textwrap.wrap(text, WIDEST - indent)) or text


def _difference(line: Line) -> str:
    """Where a gradient is most wrong, and how wrong it is as a whole."""
    assert line.yours is not None
    assert line.true is not None
    entry = f"{line.parameter}[{', '.join(map(str, line.index))}]" if line.index else line.parameter
    where = f" at {entry}" + (f" = {line.at:.4g}" if line.at is not None else "")
    count = (
        f"all {line.entries}" if line.wrong == line.entries else f"{line.wrong} of {line.entries}"
    )
    told = f"relative error {_relative(line.yours, line.true)}; {count} entries differ"
    if line.ratios is not None:
        low, high = line.ratios
        same = abs(high - low) <= 1e-6 * abs(high)
        told += (
            f", by the factor {low:.4g}" if same else f", by factors from {low:.4g} to {high:.4g}"
        )
    return f"yours {line.yours:.4f}, true {line.true:.4f}{where} ({told})"


def _relative(yours: float, true: float) -> str:
    largest = max(abs(yours), abs(true))
    return f"{abs(yours - true) / largest:.1e}" if largest else "0"
