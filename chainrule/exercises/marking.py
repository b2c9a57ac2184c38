"""Marks answers: formulas against the true derivative at random points, numbers, shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from chainrule.errors import ChainruleError, FormulaError, ShapeError
from chainrule.exercises.attempt import Attempt
from chainrule.exercises.diagnosis import Finding, close, searched
from chainrule.exercises.mark import MISSING, PARTLY, RIGHT, UNREAD, WRONG, Mark, PartMark
from chainrule.exercises.network import Network
from chainrule.exercises.parts import Formula, Own, Part, Problem, Shape, Value
from chainrule.exercises.reading import LONGEST, Number, bare, number, readings, shape_of
from chainrule.run.bind import Array
from chainrule.texmath import name as canonical

EMPTY = re.compile(r"[\s_.…?–—-]*")


class Verdict(NamedTuple):
    """What an answer is, the mistake in it, and what is to be said."""

    verdict: str
    finding: Finding | None = None
    says: str = ""


FOLLOWS = Verdict(RIGHT, says="Right with your own answer to an earlier part.")


def _wrong(finding: Finding) -> Verdict:
    return Verdict(WRONG, finding, finding.says)


class Marking:
    """One marking of all answers to a problem, from the first part on."""

    def __init__(self, problem: Problem, answers: Mapping[str, str]) -> None:
        self.problem, self.answers = problem, answers
        self.numbers: dict[str, Fraction] = {}
        self.own: dict[str, list[Array]] = {}  # derivatives that were answered, at the points

    def mark(self) -> Mark:
        """The marks."""
        parts = [
            self._part(label, part, self.answers.get(label, ""))
            for label, part in zip(self.problem.labels, self.problem.parts, strict=True)
        ]
        return Mark(self.problem.title, tuple(parts), self._strangers())

    def _strangers(self) -> tuple[str, ...]:
        there = self.problem.labels
        return tuple(
            f"There is no part ({label[:20]}): its answer was not marked. The parts are "
            f"{', '.join(f'({x})' for x in there)}."
            for label in self.answers
            if label not in there
        )

    def _part(self, label: str, part: Part, answer: str) -> PartMark:
        if EMPTY.fullmatch(bare(answer[: 4 * LONGEST])):
            if isinstance(part, Value):
                self.numbers[label] = part.value(self.numbers)
            return PartMark(label, MISSING, 0, part.points)
        try:
            if isinstance(part, Formula):
                found = self._formula(part, answer)
            elif isinstance(part, Value):
                found = self._value(label, part, answer)
            else:
                found = _shape(part, answer)
        except ChainruleError as error:
            if isinstance(part, Value):
                self.numbers[label] = part.value(self.numbers)
            return PartMark(label, UNREAD, 0, part.points, says=str(error), answer=answer)
        verdict, finding, says = found
        points = part.points if verdict == RIGHT else _kept(part.points, finding)
        if verdict == WRONG and points:
            verdict = PARTLY
        kind = finding.kind if finding else ""
        return PartMark(label, verdict, points, part.points, kind, says, answer)

    # formulas

    def _formula(self, part: Formula, answer: str) -> Verdict:
        network = self.problem.network
        assert network is not None
        asked = [p.of for p in self.problem.parts if isinstance(p, Formula)]
        earlier = asked[: asked.index(part.of)]
        names = _known(network, earlier)
        found = [Attempt(network, part.of, earlier, r) for r in readings(answer, names)]
        usable = [a for a in found if a.values is not None]
        if not usable:
            return _without_value(found)
        right = next((a for a in usable if a.right), None)
        best = right or usable[0]
        assert best.values is not None
        self.own[part.of] = best.values
        if right is not None:
            foreign = self._foreign(part, right)
            return Verdict(RIGHT) if foreign is None else _wrong(foreign)
        if self._follows(network, part, usable):
            return FOLLOWS
        finding = best.finding()
        if finding is None:
            called = network.called(part.of)
            said = f"your {called} is not the derivative, and no usual mistake alone explains it"
            return Verdict(WRONG, says=said + best.evidence())
        return _wrong(finding)

    def _foreign(self, part: Formula, attempt: Attempt) -> Finding | None:
        """The finding if a right answer has names that the question rules out."""
        if not part.only:
            return None
        used = sorted(
            n for n in attempt.reading.uses() if n in attempt.names and n not in part.only
        )
        if not used:
            return None
        says = f"right as a function, but it was to be written with {' and '.join(part.only)} only"
        return Finding("not in these names", f"{says}: it contains {', '.join(used)}")

    def _follows(self, network: Network, part: Formula, attempts: Sequence[Attempt]) -> bool:
        """Whether it is right with what an earlier part was answered, although that is wrong."""
        own = self.own.get(part.follows)
        if own is None or any(o.shape != network.presented(part.follows) for o in own):
            return False
        true = [
            network.truth(part.of, p, part.follows, o)
            for p, o in zip(network.points, own, strict=True)
        ]
        return any(
            a.values is not None and all(close(v, t) for v, t in zip(a.values, true, strict=True))
            for a in attempts
        )

    # numbers

    def _value(self, label: str, part: Value, answer: str) -> Verdict:
        given = number(answer)
        before = dict(self.numbers)
        self.numbers[label] = given.value
        true = part.value(self.problem.numbers)
        follows = part.value(before)
        if agrees(given, true, part.places):
            return Verdict(RIGHT)
        if follows != true and agrees(given, follows, part.places):
            return FOLLOWS
        finding = _slip(part, given, (true, follows), (self.problem.numbers, before))
        if finding is None:
            return Verdict(WRONG, says=_coarse(given, true, part.places))
        return _wrong(finding)


def _without_value(found: Sequence[Attempt]) -> Verdict:
    """What to say of a formula whose factors do not fit together.

    Raises:
        FormulaError: it is no formula of the names that there are.
    """
    known = found[0].network.names_at(0, found[0].earlier)
    shaped = [
        a for a in found if isinstance(a.error, ShapeError) and a.reading.uses() <= set(known)
    ]
    if not shaped:
        unknown = [a.error for a in found if not isinstance(a.error, ShapeError)]
        raise (unknown or [found[0].error])[0] or FormulaError("it has no value")
    first = shaped[0]
    finding = searched(first.network.square(), first.of, first.at)
    told = f"{first.error}"
    if finding is None:
        return Verdict(WRONG, says=told)
    return Verdict(WRONG, finding, f"{told}\n{finding.says}")


def _known(network: Network, earlier: Sequence[str]) -> list[str]:
    names = [*network.named, *(a for x in network.definition.inputs for a in x.axes if a != "1")]
    for of in earlier:
        names += network.derivatives(of)
    return list(dict.fromkeys(canonical(n) for n in names))


def agrees(given: Number, true: Fraction, places: int | None) -> bool:
    """Whether a number is right to the digits that were written, and these are as many as asked.

    >>> agrees(number("0.33"), Fraction(1, 3), 2), agrees(number("0.3"), Fraction(1, 3), 2)
    (True, False)
    """
    if given.value == true:
        return True
    if given.places is None:  # computed: a fraction or an expression
        return abs(given.value - true) <= abs(true) * Fraction(1, 10**9)
    if places is None or given.places < places:
        return False
    return abs(given.value - true) <= Fraction(1, 2) / Fraction(10) ** given.places


def _coarse(given: Number, true: Fraction, places: int | None) -> str:
    """What to say of a number that is right, to too few digits."""
    if given.places is None or abs(given.value - true) * 2 > Fraction(1, 10) ** given.places:
        return ""
    asked = "exactly" if places is None else f"to {places} decimals"
    return f"close, but the number is asked for {asked}"


FACTORS = {
    Fraction(2): "twice what it should be",
    Fraction(1, 2): "half of what it should be",
    Fraction(4): "four times what it should be",
    Fraction(1, 4): "a quarter of what it should be",
}


def _slip(
    part: Value, given: Number, true: Sequence[Fraction], before: Sequence[Own]
) -> Finding | None:
    """The usual mistake that a wrong number comes from."""
    for numbers in before:
        for slip in part.slips:
            if agrees(given, slip.value(numbers), part.places):
                return Finding("factor", slip.says)
    for right in true:
        if right and agrees(given, -right, part.places):
            return Finding("sign", "the sign is wrong")
        for factor, says in FACTORS.items():
            if right and agrees(given, right * factor, part.places):
                return Finding("factor", f"it is {says}")
    return None


def _shape(part: Shape, answer: str) -> Verdict:
    given = shape_of(answer)
    if given == part.shape:
        return Verdict(RIGHT)
    if given == part.shape[::-1]:
        return _wrong(Finding("transposed", "rows and columns are exchanged"))
    if tuple(n for n in given if n != 1) == tuple(n for n in part.shape if n != 1):
        says = "the sizes are right, but a side of length 1 is missing or stands elsewhere"
        return _wrong(Finding("shape", says))
    return Verdict(WRONG)


def _kept(points: int, finding: Finding | None) -> int:
    """Whole points that are kept: rounded down, but one at least if any."""
    if finding is None or not finding.keeps:
        return 0
    return min(points - 1, max(1, int(points * finding.keeps)))


def judge(problem: Problem, label: str, answer: str) -> bool:
    """Whether an answer to one part is right, everything before it taken to be right.

    Raises:
        FormulaError, ShapeError: it cannot be read.
        KeyError: there is no such part.
    """
    part = dict(zip(problem.labels, problem.parts, strict=True))[label]
    if isinstance(part, Value):
        return agrees(number(answer), problem.numbers[label], part.places)
    if isinstance(part, Shape):
        return shape_of(answer) == part.shape
    assert problem.network is not None
    asked = [p.of for p in problem.parts if isinstance(p, Formula)]
    earlier = asked[: asked.index(part.of)]
    names = _known(problem.network, earlier)
    found = [Attempt(problem.network, part.of, earlier, r) for r in readings(answer, names)]
    if all(a.values is None for a in found):
        raise found[0].error or FormulaError("it has no value")
    return any(a.right for a in found)
