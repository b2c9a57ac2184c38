"""Exercises: problems that are the same for the same seed, solutions that are right, fair marks."""

import pytest

import chainrule as cr
from chainrule.exercises.parts import Formula, Shape, Value
from chainrule.exercises.topics import TOPICS

MADE = [(topic, seed, level) for topic in TOPICS for level in (1, 2, 3) for seed in (0, 1, 2)]


def right_answers(exercise):
    """One right answer to every part."""
    found = {}
    for label, part in zip(exercise.problem.labels, exercise.problem.parts, strict=True):
        if isinstance(part, Formula):
            found[label] = part.answer
        elif isinstance(part, Value):
            found[label] = str(exercise.problem.numbers[label])
        elif isinstance(part, Shape):
            found[label] = " × ".join(map(str, part.shape))
    return found


@pytest.mark.parametrize(("topic", "seed", "level"), MADE)
def test_the_right_answers_get_all_points(topic, seed, level):
    exercise = cr.exercise(topic, seed, level)
    mark = exercise.mark(right_answers(exercise))
    assert mark.ok, mark.text()
    assert mark.points == mark.out_of
