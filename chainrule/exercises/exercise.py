"""An exercise: a problem made from a topic and a seed, its worked solution, and marks."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from chainrule.errors import DataError, ParameterError, VersionError, did_you_mean
from chainrule.exercises import page
from chainrule.exercises.draw import Draw
from chainrule.exercises.mark import Mark
from chainrule.exercises.marking import Marking, judge
from chainrule.exercises.parts import Problem
from chainrule.exercises.topics import TOPICS

LEVELS = (1, 2, 3)
LARGEST_SEED = 10**18 - 1


class Exercise:
    """A problem, its solution, and the marking of answers to it. Made by `exercise`.

    Attributes:
        topic, seed, level: what it is made from.
    """

    def __init__(self, topic: str, seed: int, level: int) -> None:
        if topic not in TOPICS:
            hint = did_you_mean(topic, TOPICS) or f"There are: {', '.join(TOPICS)}"
            raise ParameterError(f"there is no topic {topic[:40]!r}", hint=hint)
        if level not in LEVELS:
            raise ParameterError(f"level must be 1, 2 or 3, got {level!r}")
        if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
            what = f"seed must be a whole number from 0 to {LARGEST_SEED}, got {seed!r:.40}"
            raise ParameterError(what)
        self.topic, self.seed, self.level = topic, seed, level

    @functools.cached_property
    def problem(self) -> Problem:
        """What is given and asked."""
        return TOPICS[self.topic].make(Draw(self.topic, self.level, self.seed), self.level)

    def markdown(self, solution: bool = False) -> str:
        """The problem as a Markdown file with a place for each answer.

        Args:
            solution: whether the worked solution stands below it.
        """
        first = page.head(self.topic, self.seed, self.level)
        text = page.problem_page(self.problem, first)
        return f"{text}\n\n{self.solution()}" if solution else text

    def solution(self) -> str:
        """The worked solution as Markdown."""
        return page.solution_page(self.problem)

    def text(self, solution: bool = False, width: int = 80) -> str:
        """The problem in plain characters, for a terminal of so many columns."""
        return page.as_text(self.markdown(solution), width)

    def mark(self, answers: Mapping[str, str] | str) -> Mark:
        """Mark answers.

        Args:
            answers: by the label of the part, "a", "b", …; or a text that has lines
                ``Answer (a): …``. A formula may be LaTeX, plain characters or a NumPy expression.

        Returns:
            The points of each part, with what is wrong. Nothing that is answered raises an error:
            what cannot be read is said to be so.

        Raises:
            DataError: the text is longer than any answers are, or answers a part twice.
        """
        given = page.answers_in(answers) if isinstance(answers, str) else dict(answers)
        return Marking(self.problem, {str(k).strip("() "): str(v) for k, v in given.items()}).mark()

    def judge(self, label: str, answer: str) -> bool:
        """Whether one answer is right, without a diagnosis.

        Raises:
            FormulaError, ShapeError: it cannot be read.
            ParameterError: there is no such part.
        """
        if label not in self.problem.labels:
            there = ", ".join(self.problem.labels)
            raise ParameterError(f"there is no part {label!r}", hint=f"There are: {there}")
        return judge(self.problem, label, answer)

    def __repr__(self) -> str:
        return f"<Exercise {self.topic}, seed {self.seed}, level {self.level}>"


def exercise(topic: str, seed: int = 0, level: int = 2) -> Exercise:
    r"""A problem about backward passes, with its worked solution and the marking of answers.

    Args:
        topic: one of `chainrule.exercises.topics.TOPICS`, such as "linear-regression".
        seed: another seed is another problem; the same gives the same.
        level: from 1, step by step, to 3.

    Raises:
        ParameterError: there is no such topic or level, or the seed is no whole number.

    >>> task = exercise("activation-derivative", seed=1, level=1)
    >>> print(task.problem.parts[0].ask)
    Write $\frac{da}{dz}$ as a function of $a$ only.
    >>> task.mark({"a": task.problem.parts[0].answer}).points
    4
    """
    return Exercise(topic, seed, level)


def exercise_of(text: str) -> Exercise:
    """The exercise that a problem file is about, made again from its first line.

    Nothing else in the file is looked at: topic, seed and level are checked as those that a user
    types.

    Raises:
        DataError: it has no such line.
        VersionError: it was made by a version whose problems are made otherwise.
        ParameterError: there is no such topic or level.
    """
    found = page.HEAD.search(text[:2_000])
    if found is None:
        what = "this is no problem file: it does not begin with <!-- chainrule exercise: … -->"
        hint = "Give the file that `chainrule exercise new` wrote"
        raise DataError(what, hint=hint)
    topic, seed, level, version = found.groups()
    if int(version) != page.VERSION:
        what = f"the problem is of version {version}, this is version {page.VERSION}"
        raise VersionError(what, hint="Make a new one with `chainrule exercise new`")
    return Exercise(topic, int(seed), int(level))
