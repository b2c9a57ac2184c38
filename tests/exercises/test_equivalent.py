"""Two hundred equivalent answers are accepted, two hundred wrong ones are not."""

import functools

import numpy as np
import pytest

from chainrule.errors import ChainruleError
from chainrule.exercises.parts import Formula
from chainrule.exercises.reading import readings
from tests.exercises.answers import right_answers, slopes, wrong_answers


@functools.cache
def slopes_of(exercise, label):
    part = dict(zip(exercise.problem.labels, exercise.problem.parts, strict=True))[label]
    return slopes(exercise.problem.network, part.of)


def far_from_right(exercise, label, answer):
    """Whether no reading of the answer has the values that differences of the loss give."""
    problem = exercise.problem
    part = dict(zip(problem.labels, problem.parts, strict=True))[label]
    network = problem.network
    true = slopes_of(exercise, label)
    asked = [p.of for p in problem.parts if isinstance(p, Formula)]
    names = network.names_at(0, asked[: asked.index(part.of)])
    for reading in readings(answer, names):
        try:
            value = reading.value(names, true.shape)
        except ChainruleError:
            continue
        scale = np.abs(true).max()
        if value.shape == true.shape and np.allclose(value, true, rtol=0, atol=1e-6 * scale):
            return False
    return True


def test_equivalent_answers_are_accepted():
    count, refused = 0, []
    for exercise, label, answer in right_answers():
        count += 1
        try:
            right = exercise.judge(label, answer)
        except ChainruleError as error:
            right = False
            answer = f"{answer}: {error}"
        if not right:
            refused.append((exercise, label, answer))
        elif far_from_right(exercise, label, answer):
            pytest.fail(f"accepted, but not the slope of the loss: {exercise} ({label}) {answer}")
    assert refused == []
    assert count >= 200


def test_wrong_answers_are_rejected():
    count, accepted = 0, []
    for exercise, label, answer in wrong_answers():
        if not far_from_right(exercise, label, answer):
            continue  # the change made no difference there
        count += 1
        try:
            if exercise.judge(label, answer):
                accepted.append((exercise, label, answer))
        except ChainruleError:
            pytest.fail(f"not read: {exercise} ({label}) {answer}")
    assert accepted == []
    assert count >= 200


def test_nine_of_ten_wrong_answers_get_their_mistake_named():
    """Every sixth of them: the search for a mistake takes a fraction of a second each."""
    wrong = [answer for answer in wrong_answers() if far_from_right(*answer)][::6]
    marks = [exercise.mark({label: answer})[label] for exercise, label, answer in wrong]
    assert len(marks) >= 50
    assert sum(bool(mark.kind) for mark in marks) >= 0.9 * len(marks)
    assert all(mark.points < mark.out_of for mark in marks)
